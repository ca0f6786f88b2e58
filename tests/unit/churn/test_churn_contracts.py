"""Leaving by contract: cancelled, not renewed, renewed late, never held."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import polars as pl
import pytest

from churn import artifact
from churn.contracts import spells
from churn.definition import ChurnDefinition, rhythm
from churn.features import churn_features, matrix_of
from churn.model import HazardModel
from churn.person_rows import departed, outcomes_of
from churn.snapshots import History, snapshot
from churn.train import train
from engine.errors import InvalidInput
from engine.features.column_history import EVENT_SCHEMA
from engine.features.columns import feature_columns
from tests.unit.churn.small_business import QUICK

START = datetime(2024, 1, 1, tzinfo=UTC)
BY_CONTRACT = ChurnDefinition(("appointment.kept",), judged_by="contract")


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def told(*rows: tuple[str, str, float, float | None]) -> pl.DataFrame:
    """Contact, what happened to its contract, on which day, and the day its term ends."""
    return pl.DataFrame(
        [
            {
                "contact_id": who,
                "type": what,
                "occurred_at": day(at),
                "subject": "contract:1",
                "properties": None
                if ends is None
                else orjson.dumps({"ends_on": day(ends).date().isoformat()}).decode(),
            }
            for who, what, at, ends in rows
        ],
        schema=EVENT_SCHEMA,
    ).sort("occurred_at", "contact_id")


def people(events: pl.DataFrame) -> pl.DataFrame:
    return (
        events.select("contact_id").unique().sort("contact_id").with_columns(timezone=pl.lit("UTC"))
    )


def left_after(events: pl.DataFrame, origin: float, until: float) -> dict[str, float]:
    """Days from the origin to the departure, of those at risk at it; NaN: stayed."""
    history = History(people(events), events, events.clear())
    seen = snapshot(history, day(origin), BY_CONTRACT, churn_features(BY_CONTRACT))
    found = outcomes_of(seen, history.visits, day(until))
    return dict(zip(seen.contacts["contact_id"], found.churn_days.tolist(), strict=True))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # cancelled on day 150
        ([("contract.started", 0, 365), ("contract.cancelled", 150, None)], 50),
        # the term ends with day 140, nothing is renewed in the 30 days of grace: 141 + 30 - 100
        ([("contract.started", 0, 140)], 71),
        # renewed within the grace, late as it is
        ([("contract.started", 0, 140), ("contract.renewed", 165, 505)], None),
        # ended at its term and renewed ten days later
        (
            [
                ("contract.started", 0, 140),
                ("contract.ended", 140, None),
                ("contract.renewed", 150, 505),
            ],
            None,
        ),
        # without an end it runs on
        ([("contract.started", 0, None)], None),
    ],
)
def test_a_contract_is_lost_when_it_is_cancelled_or_not_renewed(rows, expected):
    found = left_after(told(*(("a", *row) for row in rows)), 100, 300)
    assert list(found) == ["a"]
    assert np.isnan(found["a"]) if expected is None else found["a"] == pytest.approx(expected)


def test_who_never_held_a_contract_is_not_judged_and_who_lost_it_is_not_at_risk():
    events = told(
        ("never", "appointment.kept", 90, None),
        ("lost", "contract.started", 0, 365),
        ("lost", "contract.cancelled", 60, None),
    )
    assert left_after(events, 100, 300) == {}
    table = feature_columns(people(events), events, churn_features(BY_CONTRACT), as_of=day(100))
    standing = rhythm(table, BY_CONTRACT, tenant_median_days=45.0)
    lost, never = standing.days_to_limit
    assert (lost, np.isnan(never)) == (-40, True)
    # beside contracts, silence: who holds none is judged by its visits
    both = replace(BY_CONTRACT, judged_by="contract_or_silence")
    mixed = rhythm(table, both, tenant_median_days=45.0)
    assert mixed.by_contract.tolist() == [False, False]
    assert mixed.days_to_limit[1] == pytest.approx(112.5 - 10)


def test_a_term_may_be_of_the_business_where_events_say_none():
    deals = replace(
        BY_CONTRACT, holding_types=("deal.won",), ending_types=(), term_days=100.0, grace_days=20.0
    )
    events = told(
        ("a", "deal.won", 0, None), ("b", "deal.won", 0, None), ("b", "deal.won", 90, None)
    )
    found = spells(events, deals, day(400))
    assert found["ends_at"].to_list() == [day(120), day(210)]
    table = feature_columns(people(events), events, churn_features(deals), as_of=day(110))
    standing = rhythm(table, deals, tenant_median_days=45.0)
    assert standing.days_to_limit.tolist() == [10, 30]  # 30: it can be cancelled on any day


def test_what_is_cancelled_in_the_last_days_of_grace_may_yet_be_renewed():
    events = told(("a", "contract.started", 0, None), ("a", "contract.cancelled", 150, None))
    assert np.isnan(left_after(events, 100, 170)["a"])
    assert left_after(events, 100, 181)["a"] == pytest.approx(50)


def memberships(*, people: int = 400, seed: int = 5) -> pl.DataFrame:
    """Yearly contracts; who comes seldom cancels or lets them lapse: known truth."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, float, float | None]] = []
    for number in range(people):
        who, begins = f"m{number:04}", rng.uniform(0, 500)
        keen = rng.random() < 0.6
        at = begins
        rows.append((who, "contract.started", at, at + 180))
        while at < 900:
            cancels = rng.random() < (0.03 if keen else 0.25)
            ends = at + (rng.uniform(20, 175) if cancels else 180)
            visit = at
            while (visit := visit + rng.exponential(12 if keen else 45)) < min(ends, 900):
                rows.append((who, "appointment.kept", visit, None))
            if cancels:
                rows.append((who, "contract.cancelled", ends, None))
                break
            if rng.random() < (0.06 if keen else 0.5):
                break
            at = ends
            rows.append((who, "contract.renewed", at, at + 180))
    return told(*(row for row in rows if row[2] < 900))


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    return memberships()


def test_a_model_of_contracts_knows_who_will_not_renew(events: pl.DataFrame):
    model = train(people(events), events, BY_CONTRACT, as_of=day(900), settings=QUICK)
    found = model.metrics["all"][90]
    assert found.n >= 60
    # about 100 members of whom a quarter leave: the standard error of an AUC is about 0.06
    assert found.auc is not None
    assert found.auc > 0.65
    document = artifact.dump(model)
    again = artifact.load(document)
    assert again.definition == BY_CONTRACT
    assert artifact.dump(again) == document

    table = feature_columns(people(events), events, churn_features(BY_CONTRACT), as_of=day(880))
    standing = rhythm(table, BY_CONTRACT, tenant_median_days=model.tenant_median_days)
    scorer = HazardModel(model)
    told_90 = scorer.predict(matrix_of(table, scorer.feature_names), standing.days_to_limit)
    held = standing.at_risk
    assert 0 < np.mean(told_90.hazard_30d[held]) < np.mean(told_90.hazard_90d[held]) < 1
    assert (told_90.hazard_30d[standing.days_to_limit <= 0] == 1).all()


def test_nothing_after_an_origin_changes_who_is_at_risk_at_it(events: pl.DataFrame):
    specs = churn_features(BY_CONTRACT)
    known = events.filter(pl.col("occurred_at") <= day(600))
    whole, cut = (
        snapshot(History(people(events), each, each.clear()), day(600), BY_CONTRACT, specs)
        for each in (events, known)
    )
    np.testing.assert_array_equal(whole.features, cut.features)
    assert whole.contacts.equals(cut.contacts)
    assert departed([whole], events.clear(), day(900))


@pytest.mark.parametrize(
    "wrong",
    [
        {"judged_by": "mood"},
        {"judged_by": "contract", "ending_types": ()},
        {"judged_by": "contract", "holding_types": ()},
        {"judged_by": "contract", "grace_days": -1},
        {"judged_by": "contract", "term_days": float("nan")},
    ],
)
def test_a_definition_that_can_not_be_is_refused(wrong: dict):
    with pytest.raises(InvalidInput):
        ChurnDefinition(("appointment.kept",), **wrong)


def test_a_definition_by_silence_is_stored_as_ever():
    assert "judged_by" not in ChurnDefinition(("appointment.kept",)).stored()
    assert ChurnDefinition.from_dict(BY_CONTRACT.stored()) == BY_CONTRACT
