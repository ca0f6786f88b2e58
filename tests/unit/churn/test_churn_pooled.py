from dataclasses import replace

import numpy as np
import pytest

from churn import artifact
from churn.artifact import TrainedModel
from churn.definition import rhythm
from churn.features import churn_features, matrix_of
from churn.model import HazardModel
from churn.person_rows import Rows
from churn.pooled import borrower_until, lent_rows, train_pooled
from engine.errors import TooFewData
from engine.features.columns import feature_columns
from tests.unit.churn.small_business import QUICK, Business, make_business


@pytest.fixture(scope="module")
def borrower() -> Business:
    return make_business(contacts=60, seed=11)


def lent_to(business: Business, lenders: int = 3) -> list[Rows]:
    until = borrower_until(business.events, business.definition, business.until)
    others = [make_business(contacts=150, seed=20 + number) for number in range(lenders)]
    found = [
        lent_rows(each.contacts, each.events, each.definition, until=until, settings=QUICK)
        for each in others
    ]
    return [each for each in found if each is not None]


@pytest.fixture(scope="module")
def lent(borrower: Business) -> list[Rows]:
    return lent_to(borrower)


def trained_on(business: Business, rows: list[Rows]) -> TrainedModel:
    return train_pooled(
        business.contacts,
        business.events,
        business.definition,
        rows,
        as_of=business.until,
        settings=QUICK,
    )


@pytest.fixture(scope="module")
def pooled(borrower: Business, lent: list[Rows]) -> TrainedModel:
    return trained_on(borrower, lent)


def test_sixty_customers_get_a_model_of_the_industry_that_ranks_unseen_departures(
    pooled: TrainedModel,
):
    assert pooled.tier in {"shared", "adjusted"}
    assert pooled.lenders == 3
    found = pooled.metrics["all"][90]
    assert found.auc is not None
    # about 30 contacts, half of whom leave: the standard error of an AUC is 0.1
    assert found.auc > 0.55


def test_no_column_of_money_is_lent(pooled: TrainedModel):
    assert not [name for name in pooled.feature_names if "cents" in name]


def test_fewer_than_three_lenders_are_too_few_to_hide_among(borrower: Business, lent: list[Rows]):
    with pytest.raises(TooFewData, match="2 other businesses"):
        trained_on(borrower, lent[:2])


def test_nothing_that_lenders_saw_after_the_borrowers_test_reaches_the_model(
    borrower: Business, lent: list[Rows]
):
    until = borrower_until(borrower.events, borrower.definition, borrower.until)
    lender = make_business(contacts=150, seed=20)
    known = lender.events.filter(lender.events["occurred_at"] <= until)
    again = lent_rows(lender.contacts, known, lender.definition, until=until, settings=QUICK)
    assert again is not None
    np.testing.assert_array_equal(again.matrix, lent[0].matrix)
    np.testing.assert_array_equal(again.event, lent[0].event)


def test_a_pooled_model_is_stored_and_read_as_any_other(pooled: TrainedModel):
    document = artifact.dump(pooled)
    again = artifact.load(document, expected_digest=artifact.digest(document))
    assert artifact.dump(again) == document
    assert (again.tier, again.lenders) == (pooled.tier, 3)


def test_own_trees_on_top_of_the_shared_ones_are_scored_alone_as_among_many():
    business = make_business(contacts=260, seed=12)
    model = trained_on(business, lent_to(business))
    # whichever tier was earned: one with trees of its own is what is scored here
    if model.extension is None:
        model = replace(model, tier="extended", extension=model.booster)
    scorer = HazardModel(model)
    table = feature_columns(
        business.contacts,
        business.events,
        churn_features(business.definition),
        as_of=business.until,
    )
    left = rhythm(
        table, model.definition, tenant_median_days=model.tenant_median_days
    ).days_to_limit
    matrix = matrix_of(table, model.feature_names)
    together = scorer.predict(matrix, left)
    for row in range(0, 40, 7):
        alone = scorer.predict(matrix[row : row + 1], left[row : row + 1])
        np.testing.assert_array_equal(alone.hazard_90d, together.hazard_90d[row : row + 1])
    plain = HazardModel(replace(model, extension=None)).predict(matrix, left)
    assert not np.array_equal(plain.hazard_90d, together.hazard_90d, equal_nan=True)
    factors = scorer.factors(matrix[:1], np.array([1.0]))
    assert factors[0]


def test_the_same_history_gives_the_same_pooled_model(
    borrower: Business, lent: list[Rows], pooled: TrainedModel
):
    assert artifact.dump(trained_on(borrower, lent)) == artifact.dump(pooled)
