"""What the words of a rules file mean, from the file to the match."""

from datetime import UTC, datetime

import polars as pl
import pytest

from engine.features.spec import Scalar, SubjectKind
from rules.check import check
from rules.compiled import compile_rules
from rules.document import StillFact
from rules.examples import run_examples
from rules.expression import expression_of
from tests.factories.language import a_rule, asked, codes, load, vocabulary

# ------------------------------------------------------------------------------ conditions


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("{field: contact.born, within_next: 3 days}", [(">=", 0), ("<=", 3)]),
        ("{field: contact.born, due_in_at_least: 3 days}", [(">=", 3)]),
        ("{field: contact.born, overdue_by_at_least: 3 days}", [("<=", -3)]),
        ("{field: contact.born, overdue_by_at_most: 3 days}", [(">=", -3), ("<=", 0)]),
        ("{field: contact.born, at_least_ago: 3 days}", [("<=", -3)]),
        ("{field: contact.born, at_most_ago: 3 days}", [(">=", -3), ("<=", 0)]),
        ("{field: contact.born, at_least_ago: 2 years}", [(">=", 24)]),
        ("{field: contact.born, anniversary_within_next: 7 days}", [("<=", 7)]),
        ("{field: due, at_least_ago: 2 weeks}", [("<=", -14)]),
        ("{sum: visit, in_last: 9 days, more_than: 12.50 USD}", [(">", 1250)]),
        ("{rate: visit, of: appointment.booked, in_last: 9 days, at_most: 0.5}", [("<=", 0.5)]),
        ("{last: survey.answered, value_at_least: 9}", [(">=", 9)]),
        ("{first: visit, at_most_ago: 2 months}", [("<=", 2)]),
        ("{field: contact.tags, lacks: a}", [("==", False)]),
        ("{field: contact.tags, has_one_of: [a, b]}", [("==", True), ("==", True)]),
        ("{field: contact.plan, is_none_of: [family, solo]}", [("!=", "family"), ("!=", "solo")]),
    ],
)
def test_a_condition_becomes_comparisons_with_one_feature(when, expected) -> None:
    assert [(leaf.op, leaf.value) for leaf in asked(f"- {when}")] == expected


def test_months_of_a_date_are_rounded_towards_the_question() -> None:
    when = "- {field: contact.born, at_least_ago: 1 month, at_most_ago: 1 year}"
    (rule,) = load(a_rule(when)).rules
    kinds = [spec.kind for spec in expression_of(rule, vocabulary()).features]
    assert kinds == ["months_since_date", "months_since_date_up"]


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("{field: due, anniversary_within_next: 3 days}", "E103"),
        ("{field: due, at_least_ago: 2 months}", "E121"),
        ("{field: contact.born, is: 2026-01-01}", "E103"),
        ("{field: contact.born, at_least: 5}", "E103"),
        ("{field: contact.age, has: x}", "E103"),
        ("{last: visit, value_at_least: 5}", "E103"),
        ("{last: survey.answered, value_at_least: 11}", "E111"),
        ("{sum: visit, in_last: 9 days, at_least: 12}", "E123"),
        ("{sum: visit, at_least: 12.00 USD}", "E105"),
        ("{sum: visit, in_last: 9 days, at_least: 0.001 USD}", "E123"),
        ("{rate: visit, in_last: 9 days, at_least: 0.5}", "E105"),
        ("{rate: visit, of: visit, in_last: 9 days, at_least: 50}", "E111"),
        ("{field: contract.ends_on, within_next: 3 days}", "E108"),
        ("any: []", "E106"),
        ("{field: contact.tags, has: ''}", "E112"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(when, code) -> None:
    assert code in codes(a_rule(f"- {when}"))


# ------------------------------------------------------------------------------ subjects

CONTRACT = "    for_each: contract\n"


def test_in_a_rule_for_each_contract_only_what_is_about_it_looks_at_it() -> None:
    when = (
        "- {count: contract.used, in_last: 9 days, at_least: 1}\n"
        "- {count: visit, in_last: 9 days, at_least: 1}\n"
        "- {field: contract.ends_on, within_next: 9 days}\n- {field: contact.age, at_least: 1}"
    )
    rule_set = load(a_rule(when, CONTRACT + "    unless: []\n"))
    compiled = compile_rules(rule_set)
    assert [(spec.name, spec.scope) for spec in compiled.features] == [
        ("contract: count contract.used in 9 days", "contract"),
        ("count visit in 9 days", "contact"),
        ("contract: days until contract.ends_on", "contract"),
        ("contact.age", "contact"),
    ]
    assert compiled.kinds == ("contract",)
    assert compiled.subject_kinds == (
        SubjectKind("contract", ("contract.started",), ("contract.ended",)),
    )
    events_about = ("contract.ended", "contract.started", "contract.used")
    assert compiled.features[2].types == events_about


def test_the_same_words_without_for_each_count_for_the_whole_contact() -> None:
    (spec,) = compile_rules(
        load(a_rule("- {count: contract.used, in_last: 9 days, at_least: 1}"))
    ).features
    assert (spec.name, spec.scope) == ("count contract.used in 9 days", "contact")


def test_a_subject_rule_is_matched_on_rows_of_its_kind_alone() -> None:
    own = a_rule("- {field: contract.tier, is: gold}", CONTRACT, name="own")
    other = a_rule("- {field: contact.age, at_least: 1}", name="other")
    compiled = compile_rules(load(own, other))
    row: dict[str, Scalar] = {"contract: contract.tier": "gold", "contact.age": 5}
    assert compiled.match_one(row) == compiled.reference(row) == {"other"}
    assert compiled.match_one(row, kind="contract") == {"own"}
    assert compiled.match_one(row, kind="asset") == frozenset()
    assert [v.held for v in compiled.explain_one(row, "own")] == [True]
    assert [v.rule_id for v in compiled.explain_one(row)] == ["other"]
    assert [v.rule_id for v in compiled.explain_one(row, kind="contract")] == ["own"]
    frame = pl.DataFrame([row])
    assert compiled.match_frame(frame).tolist() == [[False, True]]
    assert compiled.match_frame(frame, kind="contract").tolist() == [[True, False]]
    assert not compiled.match_frame(frame, "job.done", kind="contract").any()


@pytest.mark.parametrize(
    ("when", "more", "code"),
    [
        ("- {field: asset.kind, is: boiler}", CONTRACT, "E108"),
        ("- {none: contract.used, since_last: visit}", CONTRACT, "E107"),
        ("- {none: contract.used, since_last: job.done}", CONTRACT, "E108"),
        ("- {rate: job.done, of: contract.used, in_last: 9 days, at_least: 0.1}", CONTRACT, "E108"),
        ("- {field: contact.age, is: 1}", "    for_each: contrat\n", "E102"),
    ],
)
def test_a_subject_rule_that_mixes_things_up_is_refused(when, more, code) -> None:
    assert code in codes(a_rule(when, more))


def test_a_fact_to_check_again_is_about_the_subject_where_its_event_is() -> None:
    then = "action: a\n      still: [none contract.ended, none visit]"
    (rule,) = load(a_rule("- {field: contact.age, at_least: 1}", CONTRACT, then=then)).rules
    assert rule.then.still == (
        StillFact("none", "contract.ended", "contract"),
        StillFact("none", "visit"),
    )
    assert rule.subject == "contract"


def test_a_test_of_a_subject_rule_speaks_of_the_first_one() -> None:
    tests = CONTRACT + (
        "    tests:\n"
        "      - {name: own, today: 2026-03-10 10:00, events: [2026-03-09 10:00 contract.used],"
        " expect: fires}\n"
        "      - {name: another, today: 2026-03-10 10:00,"
        " events: [2026-03-09 10:00 contract.used about contract:2], expect: quiet,"
        " because: count contract.used}\n"
        "      - {name: opened later, today: 2026-03-10 10:00, events:"
        " [2026-03-09 10:00 contract.used, 2026-03-11 10:00 contract.started], expect: quiet,"
        " because: for_each contract}\n"
        "      - {name: ended, today: 2026-03-10 10:00, events: [2026-03-09 10:00 contract.used,"
        " 2026-03-10 10:00 contract.ended], expect: quiet, because: for_each contract}\n"
    )
    results = run_examples(
        load(a_rule("- {count: contract.used, in_last: 9 days, at_least: 1}", tests))
    )
    assert [(r.name, r.message) for r in results] == [
        ("own", ""),
        ("another", ""),
        ("opened later", ""),
        ("ended", ""),
    ]


def test_an_event_that_waits_is_due_when_time_passes() -> None:
    more = "    check: [on job.done]\n"
    (rule,) = load(a_rule("- {field: contact.age, at_least: 1}", more)).rules
    asked_on = ("due", "job.done", "nightly", "visit", None)
    assert [rule.checked_on(trigger) for trigger in asked_on] == [True, True, False, False, True]
    (nightly,) = load(a_rule("- {field: contact.age, at_least: 1}")).rules
    assert not nightly.checked_on("due")


# ------------------------------------------------------------------------------ allowances

COUNTED = "- {count: visit, in_last: 60 days, at_least: 1}"
BOTH = (
    "    cooldown: 9 days\n    tests:\n      - {name: a, today: 2026-03-10 10:00,"
    " events: [2026-03-09 10:00 job.done], expect: fires}\n"
    "      - {name: b, today: 2026-03-10 10:00, expect: quiet}\n"
)


def lints(comment: str, rule: str) -> list[str]:
    return [finding.code for finding in check(load(comment, rule))]


def test_a_warning_that_is_meant_is_silenced_beside_its_rule() -> None:
    rule = a_rule(COUNTED, BOTH)
    assert lints("", rule) == ["L304"]
    assert lints("  # allow L304: every visit counts\n", rule) == []
    assert lints("", rule.replace("id: a.rule", "id: a.rule # allow L304: meant")) == []
    assert lints("  # allow L306: another one\n", rule) == ["L304"]
    assert lints("  # allow L304: meant\n\n", rule) == ["L304"]


def test_an_allow_gives_a_reason_and_names_a_code() -> None:
    rule = a_rule(COUNTED, BOTH)
    assert lints("  # allow L304\n", rule) == ["L330"]
    assert lints("  # allow L999: meant\n", rule) == ["L330", "L304"]


def test_an_allow_inside_a_text_is_no_comment() -> None:
    rule = a_rule(COUNTED, BOTH)
    first = "- id: a.rule\n    title: A rule"
    assert first in rule
    quoted = '- title: "A rule # allow L304: meant"\n    id: a.rule'
    assert lints("", rule.replace(first, quoted)) == ["L304"]


# ------------------------------------------------------------------------------ in-file tests


def test_an_event_of_a_test_says_when_how_much_how_good_and_of_what() -> None:
    event = "2026-03-01 10:00 survey.answered for 2026-03-02 10:00 worth 4.50 scored -1.5 about s:1"
    tests = (
        f"    tests:\n      - {{name: x, today: 2026-03-10 10:00, events: [{event}],"
        " expect: todo}\n"
    )
    rule_set = load(a_rule("- {field: contact.age, at_least: 1}", tests))
    (said,) = rule_set.rules[0].tests[0].events
    assert (said.value, said.amount_cents, said.subject) == (-1.5, 450, "s:1")
    (result,) = run_examples(rule_set)
    assert result.passed
    assert result.todo
    assert result.got == "quiet"


def test_a_holiday_keeps_a_rule_quiet_only_where_it_is_known() -> None:
    rule_set = load(a_rule("- {field: contact.age, at_least: 1}", "    holidays: quiet\n"))
    compiled = compile_rules(rule_set)
    row: dict[str, Scalar] = {"contact.age": 5}
    assert compiled.match_one(row | {"public holiday": True}) == frozenset()
    assert compiled.match_one(row | {"public holiday": False}) == {"a.rule"}
    assert compiled.match_one(row) == {"a.rule"}


def test_the_days_of_the_week_are_the_contact_s_own() -> None:
    (rule,) = load(a_rule("- {field: contact.age, at_least: 1}", "    on_days: [Sun, Mon]\n")).rules
    assert rule.on_days == (1, 7)
    (weekday, _) = expression_of(rule, vocabulary()).features
    assert weekday.kind == "local_weekday"
    assert datetime(2026, 3, 9, tzinfo=UTC).isoweekday() == 1
