"""The packs of a contractor together: what one contract, estimate, emergency or customer gets.

The tests inside the packs show each rule alone; these show that the steps follow each other without
a gap and that no two of them talk about the same thing.
"""

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

import rules
from engine.features.contact import HistoryEvent, features_of
from engine.features.subjects import subjects_of
from engine.features.wall_clock import zone_of
from rules.compiled import CompiledRules, compile_rules
from rules.loader import read_rules
from rules.merged import merge_rule_sets
from tests.factories.events import make_event

FOLDER = Path(rules.__file__).parent / "packs" / "trades"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if not path.name.endswith(".vocab.yaml"))
ZONE = zone_of("UTC")
# a Monday; an hour past the whole day, where no two steps meet
MONDAY = datetime(2026, 6, 1, 11, tzinfo=UTC)


@cache
def contractor() -> CompiledRules:
    """All packs for trades as one tenant has them."""
    return compile_rules(merge_rule_sets([read_rules(path) for path in FILES]))


def proposals(
    kind: str, events: list[HistoryEvent], as_of: datetime, **attributes: object
) -> frozenset[str]:
    """Rules about the only open subject of a kind that apply."""
    packs = contractor()
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    row = features_of(named, events, packs.features, as_of=as_of, zone=ZONE)  # type: ignore[arg-type]
    kinds = [each for each in packs.subject_kinds if each.name == kind]
    (subject,) = subjects_of(events, kinds, packs.features, as_of=as_of, zone=ZONE)
    return packs.reference({**row, **subject.row}, kind=kind)


def contract(ends_on: date, *, auto_renews: bool = False) -> HistoryEvent:
    return make_event(
        "contract.started",
        MONDAY - timedelta(days=300),
        subject="contract:1",
        properties=json.dumps({"ends_on": ends_on.isoformat(), "auto_renews": auto_renews}),
    )


def test_a_used_contract_has_one_step_for_each_day_from_two_months_before_to_its_end() -> None:
    expected = {
        "trades.renewals-value": range(31, 61),
        "trades.renewals-terms": range(15, 31),
        "trades.renewals-last": range(15),
        "trades.renewals-lapsed": range(-45, 0),
    }
    visit = make_event("maintenance.visit", MONDAY - timedelta(days=90), subject="contract:1")
    for days in range(-50, 70):
        step = {rule for rule, when in expected.items() if days in when}
        history = [contract(MONDAY.date() + timedelta(days=days)), visit]
        assert proposals("contract", history, MONDAY) == step, days


def test_nobody_is_told_to_renew_what_renews_by_itself() -> None:
    visit = make_event("maintenance.visit", MONDAY - timedelta(days=90), subject="contract:1")
    for days in range(-50, 70):
        ends_on = MONDAY.date() + timedelta(days=days)
        history = [contract(ends_on, auto_renews=True), visit]
        assert proposals("contract", history, MONDAY) == frozenset(), days


def test_after_two_repairs_a_person_talks_instead_of_a_message_about_the_terms() -> None:
    repairs = [
        make_event("repair.done", MONDAY - timedelta(days=days), subject="asset:1")
        for days in (40, 200)
    ]
    visit = make_event("maintenance.visit", MONDAY - timedelta(days=90), subject="contract:1")
    for days in range(15, 31):
        history = [contract(MONDAY.date() + timedelta(days=days)), visit, *repairs]
        assert proposals("contract", history, MONDAY) == {"trades.renewals-talk"}, days


@pytest.mark.parametrize(
    ("amount_cents", "expected"),
    [
        (
            90_000,
            {"three-days": (3, 8, 6), "ten-days": (10, 28, 19), "thirty-days": (30, 59, 30)},
        ),
        # on weekdays only
        (900_000, {"large-call": (3, 59, 41)}),
    ],
)
def test_an_estimate_is_asked_about_by_message_or_by_call_and_never_by_both(
    amount_cents: int, expected: dict[str, tuple[int, int, int]]
) -> None:
    sent = make_event(
        "estimate.sent",
        MONDAY - timedelta(hours=1),
        subject="estimate:1",
        amount_cents=amount_cents,
    )
    steps: defaultdict[str, list[int]] = defaultdict(list)
    for day in range(80):
        for rule in proposals("estimate", [sent], MONDAY + timedelta(days=day)):
            steps[rule.removeprefix("trades.estimates-")].append(day)
    assert {rule: (days[0], days[-1], len(days)) for rule, days in steps.items()} == expected


@pytest.mark.parametrize(
    ("outcome", "hours", "expected"),
    [
        ("emergency.solved", 2, {"trades.emergencies-check"}),
        ("emergency.solved", 9, {"trades.emergencies-slow"}),
        ("emergency.unsolved", 2, {"trades.emergencies-unsolved"}),
        ("emergency.unsolved", 9, {"trades.emergencies-unsolved"}),
    ],
)
def test_an_emergency_has_one_follow_up_that_fits_its_outcome_and_its_waiting(
    outcome: str, hours: int, expected: set[str]
) -> None:
    history = [
        make_event("emergency.reported", MONDAY - timedelta(hours=40), subject="emergency:1"),
        make_event(
            "emergency.attended",
            MONDAY - timedelta(hours=40 - hours),
            subject="emergency:1",
            properties=json.dumps({"response_hours": hours}),
        ),
        make_event(outcome, MONDAY - timedelta(hours=28), subject="emergency:1"),
    ]
    assert proposals("emergency", history, MONDAY) == expected


def asset(kind: str, years: int) -> HistoryEvent:
    return make_event(
        "asset.installed",
        MONDAY - timedelta(days=366 * years),
        subject="asset:1",
        properties=json.dumps({"kind": kind}),
    )


@pytest.mark.parametrize(
    ("kind", "years"),
    [("air_conditioner", 15), ("heat_pump", 15), ("furnace", 18), ("boiler", 35),
     ("water_heater", 12)],
)  # fmt: skip
def test_old_equipment_gets_one_talk_about_a_replacement(kind: str, years: int) -> None:
    repair = make_event("repair.done", MONDAY - timedelta(days=9), subject="asset:1",
                        amount_cents=90_000)  # fmt: skip
    # no reminder of the season, the filter or the flush is about a replacement
    talks = {r for r in proposals("asset", [asset(kind, years), repair], MONDAY) if "repl" in r}
    assert len(talks) == 1
    younger = proposals("asset", [asset(kind, years - 1), repair], MONDAY)
    assert not {rule for rule in younger if rule.startswith("trades.replacements-") and
                rule != "trades.replacements-repairs"}  # fmt: skip


def test_each_climate_is_asked_once_a_year_and_never_by_two_rules_on_a_day() -> None:
    for kind in ("air_conditioner", "furnace", "boiler", "heat_pump"):
        for climate in ("cold", "mixed", "hot", None):
            months = set()
            for day in range(0, 365, 3):
                at = MONDAY + timedelta(days=day)
                history = [asset(kind, 5)]
                due = {
                    rule
                    for rule in proposals("asset", history, at, account__climate=climate)
                    if rule.startswith("trades.tune-ups-")
                }
                assert len(due) <= 1, (kind, climate, at)
                months |= {at.month} if due else set()
            assert months, (kind, climate)


def test_calls_and_advertising_start_as_shadow_rules() -> None:
    acting = [
        rule.id
        for rule in contractor().rule_set.rules
        if rule.status == "live"
        and (rule.then.purpose == "marketing" or "call_task" in rule.then.channels)
    ]
    assert acting == []
