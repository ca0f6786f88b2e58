from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.artifact import Calibration, TrainedModel
from churn.definition import HORIZONS
from churn.design_matrix import period_rows
from churn.features import FAMILY_TEXTS
from churn.model import HazardModel
from engine.errors import InvalidInput, ModelUnusable


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> HazardModel:
    return HazardModel(trained)


def some_contacts(model: HazardModel, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.gamma(2.0, 20.0, (n, len(model.feature_names)))
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    matrix[:, model.feature_names.index("days_since_last_visit")] = rng.uniform(0, 180, n)
    return matrix, rng.uniform(-20, 180, n)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_one_contact_alone_gets_the_same_bits_as_among_many(model: HazardModel, seed: int, n: int):
    matrix, left = some_contacts(model, n, seed)
    together = model.predict(matrix, left)
    for row in range(n):
        alone = model.predict(matrix[row : row + 1], left[row : row + 1])
        for days in HORIZONS:
            assert alone.within(days)[0] == together.within(days)[row]


def test_chunks_and_threads_change_no_bit(model: HazardModel, monkeypatch: pytest.MonkeyPatch):
    matrix, left = some_contacts(model, 1000, seed=1)
    whole = model.predict(matrix, left)
    monkeypatch.setattr("churn.model._CHUNK_CONTACTS", 7)
    parts = HazardModel(model.trained, threads=2).predict(matrix, left)
    for days in HORIZONS:
        np.testing.assert_array_equal(whole.within(days), parts.within(days))


def test_the_chance_never_falls_with_the_horizon_and_stays_a_probability(model: HazardModel):
    matrix, left = some_contacts(model, 2000, seed=2)
    found = np.stack([model.predict(matrix, left).within(days) for days in HORIZONS])
    assert (np.diff(found, axis=0) >= 0).all()
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_array_equal(found, found.round(12))


def test_before_the_limit_nobody_churns_after_it_everyone_has(model: HazardModel):
    matrix, _ = some_contacts(model, 3, seed=3)
    found = model.predict(matrix, np.array([61.0, 0.0, np.nan]))
    assert found.hazard_60d[0] == 0 < found.hazard_90d[0]
    assert [found.within(days)[1] for days in HORIZONS] == [1, 1, 1, 1]
    assert np.isnan(found.hazard_120d[2])


def test_the_chance_is_one_minus_the_product_of_calibrated_stays(trained: TrainedModel):
    calibration = Calibration(slope=1.5, intercept=-0.4, rows=1, events=1)
    model = HazardModel(replace(trained, calibration=calibration))
    matrix, _ = some_contacts(model, 4, seed=9)
    left = np.full(4, 45.0)
    rows = period_rows(matrix, matrix[:, model.feature_names.index("days_since_last_visit")], left)
    raw = model._log_odds(rows.reshape(16, -1)).reshape(4, 4)
    hazard = 1 / (1 + np.exp(-(1.5 * raw - 0.4)))
    hazard[0] = 0  # the limit falls into the second period
    expected = 1 - np.cumprod(1 - hazard, axis=0)
    found = model.predict(matrix, left)
    for row, days in zip(expected, HORIZONS, strict=True):
        np.testing.assert_allclose(found.within(days), row, atol=1e-11)


def test_no_contacts_no_answers(model: HazardModel):
    matrix, left = some_contacts(model, 0, seed=1)
    assert model.predict(matrix, left).hazard_30d.shape == (0,)
    assert model.factors(matrix, left) == ()


def test_contributions_add_up_to_the_log_odds_of_the_model(model: HazardModel):
    matrix, _ = some_contacts(model, 5, seed=4)
    left = np.full(5, 20.0)  # the limit falls into all three explained periods
    rows = period_rows(matrix, matrix[:, model.feature_names.index("days_since_last_visit")], left)
    booster = model._booster
    raw = model._log_odds(rows[:3].reshape(15, -1)).reshape(3, 5).mean(axis=0)
    share, logistic = model.trained.tree_share, model.trained.logistic
    bias = share * booster.predict(rows[0, :1], pred_contrib=True)[0, -1]
    bias += (1 - share) * logistic.intercepts[0]
    explained = model.factors(matrix, left, most=len(FAMILY_TEXTS))
    points = [sum(factor.points or 0 for factor in of_one) for of_one in explained]
    np.testing.assert_allclose(points, (raw - bias) * model.trained.calibration.slope, atol=1e-5)


def test_the_strongest_factor_comes_first_and_is_readable(model: HazardModel):
    matrix, left = some_contacts(model, 30, seed=5)
    for factors in model.factors(matrix, left, most=3):
        assert len(factors) <= 3
        sizes = [abs(factor.points or 0) for factor in factors]
        assert sizes == sorted(sizes, reverse=True)
        assert all(factor.text.startswith(FAMILY_TEXTS[factor.factor]) for factor in factors)


def test_a_matrix_of_another_shape_is_refused(model: HazardModel):
    matrix, left = some_contacts(model, 2, seed=6)
    for wrong in (matrix[:, 1:], matrix.astype(np.float32), matrix[0]):
        with pytest.raises(InvalidInput, match="float64 matrix"):
            model.predict(wrong, left)
    with pytest.raises(InvalidInput, match="One days_to_limit per row"):
        model.predict(matrix, left[:1])


def test_a_booster_that_does_not_fit_its_columns_is_unusable(trained: TrainedModel):
    with pytest.raises(ModelUnusable, match="columns"):
        HazardModel(
            replace(
                trained,
                feature_names=(*trained.feature_names, "extra"),
                families=(*trained.families, "other"),
            )
        )


def test_what_the_model_has_hardly_seen_is_told_apart(model: HazardModel):
    usual = [each or (0.0, 0.0) for each in model.trained.usual]
    known = np.array([[low for low, _ in usual], [high + 1e6 for _, high in usual]])
    seen = np.array([each is not None for each in model.trained.usual])
    assert seen.sum() > 10
    rows = np.vstack([known, np.full(len(usual), np.nan)])
    rows[:2, ~seen] = np.nan
    np.testing.assert_array_equal(model.familiar(rows), [1.0, 0.0, 1.0])


def test_both_members_have_their_share(trained: TrainedModel):
    matrix, _ = some_contacts(HazardModel(trained), 50, seed=11)
    left = np.full(50, 20.0)
    alone = [HazardModel(replace(trained, tree_share=share)) for share in (0.0, 1.0)]
    mixed = HazardModel(replace(trained, tree_share=0.25))
    silence = matrix[:, mixed.feature_names.index("days_since_last_visit")]
    rows = period_rows(matrix, silence, left)[0]
    logistic, trees = (model._log_odds(rows) for model in alone)
    assert np.abs(logistic - trees).max() > 0.05
    np.testing.assert_allclose(mixed._log_odds(rows), 0.25 * trees + 0.75 * logistic, atol=1e-12)


def test_a_text_that_is_no_booster_is_unusable(trained: TrainedModel):
    with pytest.raises(ModelUnusable, match="LightGBM can't read"):
        HazardModel(replace(trained, booster="tree\nversion=v4\n"))
