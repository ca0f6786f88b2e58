"""Coverage says which conditions and boundaries the tests in a file have not seen."""

import pytest

from rules.coverage import Coverage, coverage, coverage_findings, percent
from rules.loader import load_rules
from rules.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary(
    """
format: 1
events:
  appointment.no_show: {label: missed appointment}
  appointment.booked: {label: new booking}
  invoice.paid: {label: payment}
fields:
  contact.age: {type: number, from: 0, to: 130, label: age}
  contact.insured: {type: flag, label: insured}
  contract.ends_on: {type: date, label: end}
  health.hazard_30d: {type: number, from: 0, to: 1, label: risk}
""",
    "v.yaml",
)
AGE = "{field: contact.age, at_least: 18}"
INSURED = "{field: contact.insured, is: yes}"


def covered(when: str, tests: str, more: str = "") -> Coverage:
    """Coverage of one rule; a test is 'fires' or 'quiet', its contact, and its events."""
    conditions = "".join(f"      - {line}\n" for line in when.splitlines())
    settings = "".join(f"    {line}\n" for line in more.splitlines())
    examples = ""
    for number, line in enumerate(tests.splitlines()):
        expect, contact, events = (part.strip() for part in line.split("|"))
        examples += f"      - {{name: t{number}, today: 2026-03-11 10:00, expect: {expect}, "
        examples += f"contact: {{{contact}}}, events: [{events}]}}\n"
    text = (
        "format: 1\npack: test\nrules:\n  - id: a.rule\n    title: T\n    why: W\n"
        "    status: live\n    owner: me\n    cooldown: 365 days\n"
        f"    when:\n{conditions}{settings}"
        "    then: {action: a, template: healthcare/no-show-rescue, purpose: service, "
        "by: [call_task], value: 1.00 USD, cost: {call_task: 1.00}, "
        "expect: {if_contacted: 0.2, if_left: 0.1, weight: 9}, "
        "goal: appointment.booked within 9 days}\n"
    )
    text += f"    tests:\n{examples}" if examples else ""
    return coverage(load_rules(text, "test.yaml", VOCABULARY))


def told(found: Coverage, code: str) -> list[tuple[int, str]]:
    return [(f.line, f.message) for f in coverage_findings(found) if f.code == code]


def test_every_condition_seen_both_ways_is_complete() -> None:
    found = covered(
        f"{AGE}\n{INSURED}",
        "fires | contact.age: 18, contact.insured: yes |\n"
        "quiet | contact.age: 17, contact.insured: no |",
    )
    (rule,) = found.rules
    assert rule.complete
    assert found.conditions == (6, 6)
    assert found.boundaries == (2, 2)
    assert coverage_findings(found) == []


def test_a_condition_never_seen_false_is_named_with_its_line() -> None:
    found = covered(
        f"{AGE}\n{INSURED}",
        "fires | contact.age: 18, contact.insured: yes |\n"
        "quiet | contact.age: 17, contact.insured: yes |",
    )
    assert not found.rules[0].complete
    assert found.conditions == (5, 6)
    ((line, message),) = told(found, "L320")
    assert line == 12
    assert message == 'a.rule: "field contact.insured is yes" is never false in a test'


@pytest.mark.parametrize(
    ("tests", "missing"),
    [
        ("", ["fires or quiet"]),
        ("fires | contact.age: 18 |", ["quiet"]),
        ("quiet | contact.age: 17 |", ["fires"]),
        ("fires | contact.age: 18 |\nquiet | contact.age: 17 |", []),
        ("fires | contact.age: 18 |\ntodo | contact.age: 17 |", ["quiet"]),
    ],
)
def test_a_rule_never_seen_firing_or_quiet_is_told_and_a_todo_proves_nothing(
    tests, missing
) -> None:
    found = covered(AGE, tests)
    messages = [message for _, message in told(found, "L305")]
    assert messages == [f"a.rule has no test with expect: {each}" for each in missing]
    assert found.rules[0].complete == (not missing)


def test_each_alternative_of_an_any_is_a_condition_of_its_own() -> None:
    found = covered(
        f"any: [{AGE}, {INSURED}]",
        "fires | contact.age: 30, contact.insured: no |\nquiet | contact.age: 17 |",
    )
    assert [message for _, message in told(found, "L320")] == [
        'a.rule: "field contact.insured is yes" is never true in a test'
    ]


def test_season_days_and_holidays_are_conditions_too() -> None:
    timing = "season: {from: 1 Jan, to: 30 Jun}\non_days: [Wed]\nholidays: quiet"
    found = covered(AGE, "fires | contact.age: 18 |\nquiet | contact.age: 17 |", timing)
    assert [message.split('"')[1] for _, message in told(found, "L320")] == [
        "season from 1 Jan to 30 Jun",
        "on Wed",
        "a public holiday",
    ]


def test_an_unless_has_to_be_seen_keeping_the_rule_quiet() -> None:
    unless = f"unless:\n  - {INSURED[:-1]}, because: b}}"
    tests = "fires | contact.age: 18 |\nquiet | contact.age: 17 |"
    assert len(told(covered(AGE, tests, unless), "L320")) == 1
    tests += "\nquiet | contact.age: 18, contact.insured: yes |"
    assert told(covered(AGE, tests, unless), "L320") == []


@pytest.mark.parametrize(
    ("condition", "values", "missing"),
    [
        ("{field: contact.age, at_least: 18}", (18, 17), ""),
        ("{field: contact.age, at_least: 18}", (19, 17), ""),
        ("{field: contact.age, at_least: 18}", (20, 17), "inside"),
        ("{field: contact.age, at_least: 18}", (18, 16), "outside"),
        ("{field: contact.age, more_than: 18}", (19, 18), ""),
        ("{field: contact.age, at_least: 18}", (40, 3), "inside or outside"),
        ("{field: health.hazard_30d, at_least: 0.5}", (0.5, 0.4), ""),
        ("{field: health.hazard_30d, at_least: 0.5}", (0.6, 0.3), "outside"),
        ("{field: health.hazard_30d, at_least: 0.25}", (0.26, 0.24), ""),
        ("{field: health.hazard_30d, at_least: 0.25}", (0.3, 0.24), "inside"),
        ("{field: health.hazard_30d, at_most: 1}", (1, 0.2), ""),  # nothing lies above
        (
            "{field: contract.ends_on, overdue_by_at_least: 10 days}",
            ("2026-03-01", "2026-03-02"),
            "",
        ),
        (
            "{field: contract.ends_on, overdue_by_at_least: 10 days}",
            ("2026-03-01", "2026-03-04"),
            "outside",
        ),
    ],
)
def test_a_boundary_is_seen_by_a_test_within_one_step_on_each_side(
    condition, values, missing
) -> None:
    name = condition.split(": ")[1].split(",")[0]
    inside, outside = values
    found = covered(condition, f"fires | {name}: {inside} |\nquiet | {name}: {outside} |")
    (message,) = [text for _, text in told(found, "L322")] or [""]
    assert message.partition("lies just ")[2].partition(' "')[0] == missing
    assert told(found, "L320") == [] or values == (1, 0.2)


@pytest.mark.parametrize(
    ("old_enough", "too_old", "missing"),
    [
        ("2026-02-09 10:00", "2026-02-09 09:59", ""),
        ("2026-02-10 09:00", "2026-02-09 09:00", ""),
        ("2026-02-20 10:00", "2026-02-09 09:59", "inside"),
        ("2026-02-10 22:00", "2026-02-09 09:59", "inside"),
        ("2026-02-09 10:00", "2026-02-07 10:00", "outside"),
    ],
)
def test_a_window_is_seen_by_an_event_just_inside_and_one_just_outside(
    old_enough, too_old, missing
) -> None:
    found = covered(
        "{count: appointment.no_show, in_last: 30 days, at_least: 1}",
        f"fires | | {old_enough} appointment.no_show\nquiet | | {too_old} appointment.no_show",
    )
    messages = [text for _, text in told(found, "L322") if "in the last 30 days" in text]
    assert [text.partition("lies just ")[2].partition(' "')[0] for text in messages] == (
        [missing] if missing else []
    )


@pytest.mark.parametrize(
    ("first", "missing"),
    [
        ("11 Mar", "outside"),
        ("10 Mar", "outside"),
        ("12 Mar", "inside"),
        ("9 Mar", "inside or outside"),
    ],
)
def test_the_first_day_of_a_season_is_a_boundary_of_one_day(first, missing) -> None:
    season = f"season: {{from: {first}, to: 30 Sep}}"
    found = covered(AGE, "fires | contact.age: 18 |\nquiet | contact.age: 17 |", season)
    (message,) = [text for _, text in told(found, "L322") if "today >=" in text]
    assert f"lies just {missing} " in message


def test_percent_is_never_rounded_up() -> None:
    assert percent(9999, 10_000) == 99.9
    assert percent(10_000, 10_000) == 100.0
    assert percent(2, 3) == 66.6
    assert percent(0, 0) == 100.0
