from dataclasses import replace

import pytest

from churn import artifact
from churn.artifact import TrainedModel
from churn.features import churn_features
from churn.health_policy import HealthPolicy
from churn.model import HazardModel
from churn.score import score
from churn.train import train
from engine.features.columns import feature_columns
from tests.unit.churn.small_business import QUICK, Business, make_business, trained_on


@pytest.fixture(scope="module")
def business() -> Business:
    return make_business(contacts=350, seed=9)


@pytest.fixture(scope="module")
def trained(business: Business) -> TrainedModel:
    return trained_on(business)


def scored(business: Business, model: TrainedModel):
    table = feature_columns(
        business.contacts,
        business.events,
        churn_features(business.definition),
        as_of=business.until,
    )
    return table, score(table, HazardModel(model), as_of=business.until, policy=HealthPolicy())


def test_the_method_that_was_least_off_on_unseen_days_tells_the_money(trained: TrainedModel):
    value = trained.value
    assert value is not None
    assert set(value.mae) == {"bg_nbd", "survival", "trees"}
    assert value.mae[value.method] == min(value.mae.values())
    assert value.judged >= 50


@pytest.mark.parametrize("method", ["bg_nbd", "survival", "trees"])
def test_money_lies_in_its_interval_and_alone_is_told_as_among_all(
    business: Business, trained: TrainedModel, method: str
):
    value = trained.value
    assert value is not None
    told = {"r": 1.0, "alpha": 30.0, "a": 0.5, "b": 4.0, "penalty": 0.001}
    spend = {"p": 5.0, "q": 4.0, "v": 3.0, "unit": 50.0}
    booster = trained.booster if value.trees is None else value.trees
    assert method != "trees" or value.trees is not None, "trees tell this business's money best"
    model = replace(
        trained, value=replace(value, method=method, visits=told, spend=spend, trees=booster)
    )
    table, rows = scored(business, model)
    known = rows.filter(rows["predicted_ltv"].is_not_null())
    assert set(known["ltv_method"]) == {method}
    assert (known["predicted_ltv_low"] <= known["predicted_ltv"]).all()
    assert (known["predicted_ltv"] <= known["predicted_ltv_high"]).all()
    gone = rows.filter(rows["hazard_30d"] == 1)
    assert (gone["predicted_ltv"] == 0).all()
    for row in range(0, table.height, 60):
        alone = score(table[row], HazardModel(model), as_of=business.until, policy=HealthPolicy())
        assert alone.equals(rows[row])


def test_how_money_is_told_is_stored_with_the_model(trained: TrainedModel):
    document = artifact.dump(trained)
    assert artifact.dump(artifact.load(document)) == document
    assert artifact.load(document).value == trained.value


def test_contracts_are_never_told_by_visits_to_come(business: Business):
    definition = replace(
        business.definition,
        judged_by="contract",
        holding_types=("appointment.kept",),
        ending_types=(),
        term_days=60.0,
    )
    model = train(
        business.contacts, business.events, definition, as_of=business.until, settings=QUICK
    )
    assert model.value is not None
    assert "bg_nbd" not in model.value.mae


def test_visits_without_amounts_have_no_value(business: Business):
    events = business.events.with_columns(amount_cents=None).cast(business.events.schema)
    model = train(
        business.contacts, events, business.definition, as_of=business.until, settings=QUICK
    )
    assert model.value is None
    _, rows = scored(replace(business, events=events), model)
    staying = rows.filter(rows["hazard_30d"] < 1)
    assert staying["predicted_ltv"].null_count() == staying.height > 0
