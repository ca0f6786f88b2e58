"""When somebody has to look at a contact again although nothing has happened."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from engine.features.contact import HistoryEvent, features_of
from engine.features.flips import HORIZON_DAYS
from engine.features.outlook import Outlook
from engine.features.spec import Scalar
from engine.features.subjects import subjects_of
from rules.compiled import CompiledRules, compile_rules
from rules.due import Situation, next_check_at
from tests.factories.events import make_event
from tests.factories.language import a_rule, load

NEW_YORK = ZoneInfo("America/New_York")
MONDAY = datetime(2026, 3, 2, 15, tzinfo=UTC)
SILENT = """\
- count: appointment.no_show
  in_last: 30 days
  at_least: 1
- none: appointment.booked
  since_last: appointment.no_show
  for_at_least: 2 days"""


def compiled(*rules: str) -> CompiledRules:
    return compile_rules(load(*rules))


def check_at(
    rules: CompiledRules,
    events: list[HistoryEvent],
    *,
    as_of: datetime = MONDAY,
    attributes: dict[str, Scalar] | None = None,
    holidays: frozenset[date] | None = None,
    elsewhere: frozenset[str] = frozenset(),
) -> datetime | None:
    outlook = Outlook(attributes or {}, events, zone=NEW_YORK, holidays=holidays)
    situation = Situation(outlook, as_of, rules.subject_kinds, elsewhere)
    return next_check_at(rules.expressions, situation)


def no_show(at: datetime = MONDAY, **more: object) -> HistoryEvent:
    return make_event("appointment.no_show", at, **more)


def test_a_no_show_is_looked_at_again_when_two_silent_days_are_over() -> None:
    assert check_at(compiled(a_rule(SILENT)), [no_show()]) == MONDAY + timedelta(days=2)


def test_once_it_proposes_and_nothing_else_can_there_is_no_later_look() -> None:
    rules = compiled(a_rule(SILENT))
    assert check_at(rules, [no_show()], as_of=MONDAY + timedelta(days=2)) is None


def test_a_booking_takes_the_look_away() -> None:
    booked = make_event("appointment.booked", MONDAY + timedelta(hours=1))
    later = MONDAY + timedelta(hours=2)
    assert check_at(compiled(a_rule(SILENT)), [no_show(), booked], as_of=later) is None


def test_the_earliest_of_several_rules_counts() -> None:
    week = SILENT.replace("2 days", "7 days")
    day = SILENT.replace("2 days", "1 day")
    rules = compiled(a_rule(week, name="a.week"), a_rule(day, name="a.day", then="action: b"))
    assert check_at(rules, [no_show()]) == MONDAY + timedelta(days=1)


def test_a_rule_is_looked_at_when_what_kept_it_quiet_ends() -> None:
    when = "- {count: appointment.no_show, in_last: 60 days, at_least: 1}"
    unless = (
        "    unless:\n"
        "      - {count: message.sent, in_last: 14 days, at_least: 1, because: asked lately}\n"
    )
    rules = compiled(a_rule(when, unless))
    sent = make_event("message.sent", MONDAY - timedelta(days=1))
    flip = check_at(rules, [no_show(), sent])
    # two weeks and a microsecond, an hour earlier as the clocks go forward on 8 March
    assert flip == MONDAY + timedelta(days=13, hours=-1, microseconds=1)


def test_a_rule_for_some_weekdays_waits_for_the_first_of_them() -> None:
    rules = compiled(a_rule(SILENT, "    on_days: [Fri]\n"))
    assert check_at(rules, [no_show()]) == datetime(2026, 3, 6, 5, tzinfo=UTC)


def test_a_holiday_puts_it_off_to_the_next_day() -> None:
    rules = compiled(a_rule(SILENT, "    holidays: quiet\n"))
    wednesday = frozenset({date(2026, 3, 4)})
    assert check_at(rules, [no_show()], holidays=wednesday) == datetime(2026, 3, 5, 5, tzinfo=UTC)


def test_what_stays_false_keeps_everybody_from_looking() -> None:
    rules = compiled(a_rule(SILENT + "\n- {field: contact.plan, is: family}"))
    assert check_at(rules, [no_show()], attributes={"contact.plan": "solo"}) is None
    flip = check_at(rules, [no_show()], attributes={"contact.plan": "family"})
    assert flip == MONDAY + timedelta(days=2)


def test_what_comes_from_elsewhere_may_be_anything_by_then() -> None:
    rules = compiled(a_rule(SILENT + "\n- {field: contact.plan, is: family}"))
    flip = check_at(rules, [no_show()], elsewhere=frozenset({"contact.plan"}))
    assert flip == MONDAY + timedelta(days=2)


def test_each_open_contract_has_its_own_moment() -> None:
    rules = compiled(
        a_rule("- {field: contract.ends_on, within_next: 30 days}", "    for_each: contract\n")
    )
    ends = {"1": "2026-06-30", "2": "2026-05-31", "3": "2026-04-30"}
    events = [
        make_event(
            "contract.started",
            MONDAY - timedelta(days=9),
            subject=f"contract:{n}",
            properties=f'{{"ends_on": "{day}"}}',
        )
        for n, day in ends.items()
    ] + [make_event("contract.ended", MONDAY - timedelta(days=1), subject="contract:3")]
    assert check_at(rules, events) == datetime(2026, 5, 1, 4, tzinfo=UTC)


def test_an_event_ahead_is_looked_at_when_it_happens() -> None:
    soon = MONDAY + timedelta(minutes=3)
    assert check_at(compiled(a_rule(SILENT)), [no_show(soon)]) == soon


CONDITIONS = (
    "- {count: appointment.no_show, in_last: 14 days, at_least: 1}",
    "- {count: appointment.booked, in_last: 30 days, at_most: 1}",
    "- {none: visit, since_last: appointment.no_show, for_at_least: 2 days}",
    "- {none: message.sent, in_last: 3 days}",
    "- {last: visit, at_least_ago: 1 month}",
    "- {last: visit, at_most_ago: 2 months}",
    "- {field: contact.born, anniversary_within_next: 7 days}",
    "- {field: due, overdue_by_at_least: 3 days}",
    "- any:\n  - {last: visit, at_least_ago: 10 days}\n  - {first: visit, at_least_ago: 45 days}",
)
TYPES = ("appointment.no_show", "appointment.booked", "appointment.kept", "message.sent")


@pytest.mark.parametrize("seed", range(40))
def test_no_rule_begins_to_propose_before_the_look_and_one_does_at_it(seed: int) -> None:
    rng = Random(seed)
    when = "\n".join(rng.sample(CONDITIONS, 2))
    unless = "".join(f"      {line}\n" for line in _reasoned(rng.choice(CONDITIONS[:2])))
    season = "    season: {from: 1 Mar, to: 15 Apr}\n" if rng.random() < 0.3 else ""
    rules = compiled(a_rule(when, f"    unless:\n{unless}{season}"), a_rule(
        rng.choice(CONDITIONS), name="b.rule", then="action: b"))  # fmt: skip
    as_of = MONDAY + timedelta(hours=rng.randrange(200))
    events = [
        make_event(rng.choice(TYPES), as_of - timedelta(hours=rng.randrange(1600)))
        for _ in range(rng.randrange(8))
    ]
    attributes: dict[str, Scalar] = {"contact.born": "1980-03-20"}

    def proposing(at: datetime) -> frozenset[str]:
        row = features_of(attributes, events, rules.features, as_of=at, zone=NEW_YORK)
        return rules.reference(row)

    found = check_at(rules, events, as_of=as_of, attributes=attributes)
    end = found or as_of + timedelta(days=HORIZON_DAYS)
    before = proposing(as_of)
    hours = int((end - as_of) / timedelta(hours=1))
    for number in range(1, hours + 1, 1 + hours // 300):
        at = as_of + timedelta(hours=number)
        if at < end:
            now = proposing(at)
            assert now <= before, at
            before = now
    if found is not None:
        before = proposing(found - timedelta(microseconds=1))
        assert proposing(found) - before


def _reasoned(condition: str) -> list[str]:
    return [condition.replace("}", ", because: so it is}")]


def test_a_subject_alone_and_in_the_scene_of_its_contact_agree() -> None:
    rules = compiled(
        a_rule(
            "- {none: contract.used, in_last: 20 days}\n- {last: visit, at_least_ago: 5 days}",
            "    for_each: contract\n",
        )
    )
    start = MONDAY - timedelta(days=100)
    events = [
        make_event("contract.started", start, subject="contract:1"),
        make_event("contract.used", MONDAY - timedelta(days=18), subject="contract:1"),
        make_event("appointment.kept", MONDAY - timedelta(days=4)),
    ]
    found = check_at(rules, events)
    assert found is not None

    def proposing(at: datetime) -> frozenset[str]:
        moment = {"as_of": at, "zone": NEW_YORK}
        row = features_of({}, events, rules.features, **moment)
        (one,) = subjects_of(events, rules.subject_kinds, rules.features, **moment)
        return rules.reference({**row, **one.row}, "contract")

    assert proposing(found) == {"a.rule"}
    assert proposing(found - timedelta(microseconds=1)) == frozenset()
