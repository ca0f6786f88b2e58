import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from churn import metrics

ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 20).map(lambda n: n / 20)), min_size=2, max_size=60
)


@given(ROWS)
def test_auc_loss_and_brier_agree_with_sklearn_ties_included(rows: list[tuple[bool, float]]):
    truth = np.array([row[0] for row in rows])
    told = np.array([row[1] for row in rows])
    if truth.all() or not truth.any():
        assert metrics.auc(truth, told) is None
    else:
        assert metrics.auc(truth, told) == pytest.approx(roc_auc_score(truth, told))
    inside = np.clip(told, 0.01, 0.99)
    expected = sklearn_log_loss(truth, inside, labels=[False, True])
    assert metrics.log_loss(truth, inside) == pytest.approx(expected)
    expected = brier_score_loss(truth, told, labels=[False, True], pos_label=True)
    assert metrics.brier(truth, told) == pytest.approx(expected)


def test_a_confident_error_costs_much_but_not_infinity():
    assert metrics.log_loss([1], [0.0]) == pytest.approx(-np.log(1e-15))


def test_calibration_error_is_the_gap_of_each_bin_weighted_by_rows():
    # bin 0.2: 4 rows told 0.2, one event (gap 0.05); bin 1.0: 1 row told 1.0, no event (gap 1)
    truth = [1, 0, 0, 0, 0]
    told = [0.2, 0.2, 0.2, 0.2, 1.0]
    assert metrics.ece(truth, told) == pytest.approx((4 * 0.05 + 1 * 1.0) / 5)


def test_accuracy_stands_beside_the_majority():
    found = metrics.scores([1, 0, 0, 0], [0.9, 0.1, 0.2, 0.6])
    assert (found.n, found.base_rate) == (4, 0.25)
    assert (found.accuracy, found.majority_accuracy) == (0.75, 0.75)


@pytest.mark.parametrize(("truth", "told"), [([], []), ([1, 0], [0.5])])
def test_outcomes_and_probabilities_must_pair(truth: list[int], told: list[float]):
    with pytest.raises(ValueError, match="one outcome per probability"):
        metrics.auc(truth, told)
