"""A rule's past nights, found by looking now and then, are those found by looking every night."""

from datetime import UTC, date, datetime, timedelta
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.features.contact import HistoryEvent, features_of
from engine.features.spec import CONTACT
from engine.features.subjects import subjects_of
from engine.features.wall_clock import zone_of
from rules import reference
from rules.compiled import compile_rules
from rules.spells import Past, divided, frame_at, spells
from tests.factories.events import contact_frame, event_frame
from tests.factories.language import a_rule, load

US = pl.Datetime("us", "UTC")
FIRST = datetime(2026, 2, 20, 8, tzinfo=UTC)  # clocks change in March
NIGHTS = [FIRST + timedelta(days=day) for day in range(45)]
HOLIDAYS = frozenset({date(2026, 3, 3), date(2026, 3, 17)})
TYPES = (
    "appointment.kept",
    "appointment.booked",
    "appointment.no_show",
    "contract.started",
    "contract.ended",
    "contract.used",
    "survey.answered",
)
RULES = (
    a_rule("- {count: appointment.no_show, in_last: 10 days, at_least: 1}"),
    a_rule(
        "- {count: appointment.no_show, in_last: 20 days, at_least: 1}\n"
        "- {none: appointment.booked, since_last: appointment.no_show, for_at_least: 2 days}",
        "    unless:\n      - {last: visit, at_most_ago: 3 days, because: was here}\n",
    ),
    a_rule("- {last: visit, at_least_ago: 1 month, at_most_ago: 40 days}"),
    a_rule("- {field: due, overdue_by_at_most: 9 days}"),
    a_rule(
        "- any:\n    - {field: contact.age, at_least: 18}\n"
        "    - {last: survey.answered, value_at_most: 6}\n- {none: visit, in_last: 15 days}",
        "    season: {from: 1 Mar, to: 20 Mar}\n    on_days: [Mon, Tue, Wed]\n"
        "    holidays: quiet\n",
    ),
    a_rule("- {field: contact.born, anniversary_within_next: 5 days}"),
    a_rule("- {field: contact.age, missing: yes}", "    on_days: [Fri]\n"),
    a_rule("- {field: contract.ends_on, within_next: 12 days}", "    for_each: contract\n"),
    a_rule(
        "- {none: contract.used, in_last: 14 days}\n- {count: visit, in_last: 30 days, is: 0}",
        "    for_each: contract\n    on_days: [Mon, Thu]\n",
    ),
)


def past(seed: int) -> Past:
    rng = Random(seed)
    zones, attributes, histories = {}, {}, {}
    for number in range(5):
        name = f"contact-{number}"
        zones[name] = rng.choice(("America/New_York", "Europe/London", None))
        born = date(1980, rng.choice((2, 3, 4)), rng.randrange(1, 29)).isoformat()
        attributes[name] = {
            "contact.age": rng.choice((None, 12.0, 40.0)),
            "contact.born": rng.choice((None, born, "1980-02-29")),
            "known_from": rng.choice((None, FIRST + timedelta(days=rng.randrange(-9, 50)))),
        }
        histories[name] = [event(rng) for _ in range(rng.randrange(12))]
    schema = {"contact.age": pl.Float64, "contact.born": pl.String, "known_from": US}
    frame = event_frame(histories)
    delays = [timedelta(hours=rng.choice((0, 0, 0, 40))) for _ in range(frame.height)]
    frame = frame.with_columns(
        known_at=(pl.col("occurred_at") + pl.Series(delays, dtype=pl.Duration("us"))).cast(US),
        forgotten_at=(pl.col("occurred_at") + timedelta(days=rng.choice((60, 1095)))).cast(US),
    )
    rules = compile_rules(load(*RULES[-1:]))
    return Past(
        contact_frame(zones, attributes, schema), frame, NIGHTS, rules.subject_kinds, HOLIDAYS
    )


def event(rng: Random) -> HistoryEvent:
    day = rng.choice((rng.randrange(-50, 45), rng.randrange(-50, 45), rng.randrange(-190, -140)))
    at = FIRST + timedelta(days=day, minutes=rng.choice((0, 0, 1, -1, 700)))
    kind = rng.choice(TYPES)
    about = f"contract:{rng.randrange(2)}" if kind.startswith("contract") else None
    ends = (at + timedelta(days=rng.randrange(30))).date().isoformat()
    properties = f'{{"ends_on": "{ends}"}}' if rng.random() < 0.6 else None
    value = rng.choice((None, 3.0, 9.0))
    return HistoryEvent(kind, at, None, about, None, value, properties)


def every_night(rule: str, past: Past) -> set[tuple[str, str | None, int]]:
    """By the plain judge, one contact and one night at a time."""
    rules = compile_rules(load(rule))
    (expression,) = rules.expressions
    found = set()
    for person in past.contacts.iter_rows(named=True):
        name, zone = person["contact_id"], zone_of(person["timezone"])
        events = past.events.filter(pl.col("contact_id") == name).to_dicts()
        for number, night in enumerate(past.nights):
            if person["known_from"] is not None and person["known_from"] > night:
                continue
            known = [
                HistoryEvent(**{k: v for k, v in one.items() if k in HistoryEvent.__slots__})
                for one in events
                if one["known_at"] <= night < one["forgotten_at"]
            ]
            moment = {"as_of": night, "zone": zone}
            row = features_of(person, known, rules.features, **moment, holidays=HOLIDAYS)
            rows = {None: row}
            if expression.kind != CONTACT:
                opened = subjects_of(known, rules.subject_kinds, rules.features, **moment)
                rows = {one.subject: row | dict(one.row) for one in opened}
            found |= {
                (name, subject, number)
                for subject, one in rows.items()
                if reference.matches(expression, one)
            }
    return found


def by_spells(rule: str, past: Past) -> set[tuple[str, str | None, int]]:
    (expression,) = compile_rules(load(rule)).expressions
    return {
        (contact, subject, night)
        for contact, subject, first, until in spells(divided(expression), past).iter_rows()
        for night in range(first, until)
    }


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(RULES), st.integers(0, 10**6))
def test_every_night_that_the_rule_applied_is_found_and_no_other(rule, seed) -> None:
    assert by_spells(rule, past(seed)) == every_night(rule, past(seed))


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_of_these_tests_apply_on_some_nights_and_rest_on_others(rule) -> None:
    found = [by_spells(rule, past(seed)) for seed in range(30)]
    assert any(found)
    assert all(len(nights) < 5 * len(NIGHTS) for nights in found)


def test_a_spell_is_as_long_as_it_lasts() -> None:
    (expression,) = compile_rules(load(RULES[0])).expressions
    missed = HistoryEvent("appointment.no_show", FIRST + timedelta(days=2, hours=1))
    again = HistoryEvent("appointment.no_show", FIRST + timedelta(days=6, hours=1))
    events = event_frame({"1": [missed, again]})
    found = spells(divided(expression), Past(contact_frame({"1": "UTC"}), events, NIGHTS))
    assert found.rows() == [("1", None, 3, 17)]


def test_what_comes_from_elsewhere_is_left_open() -> None:
    (expression,) = compile_rules(load(RULES[4])).expressions
    parts = divided(expression, frozenset({"contact.age"}))
    assert [part.label for part in parts.elsewhere.when] == ["any"]
    assert {part.label for part in parts.calendar.when} == {"season", "on_days"}
    assert [part.label for part in parts.history.when] == ["none visit"]


def test_features_of_a_night_are_those_of_what_was_known_then() -> None:
    rules = compile_rules(load(RULES[0]))
    at = FIRST + timedelta(days=3, hours=-1)
    events = event_frame({"1": [HistoryEvent("appointment.no_show", at)]})
    events = events.with_columns(known_at=pl.lit(at + timedelta(days=2), dtype=US))
    nights = pl.DataFrame({"contact_id": "1", "night": [3, 5]})
    frame = frame_at(
        nights, Past(contact_frame({"1": "UTC"}), events, NIGHTS), rules.features, CONTACT
    )
    assert frame[rules.features[0].name].to_list() == [0, 1]
