"""What a campaign manager may write, and what is said about what may not be written."""

from dataclasses import replace

import pytest

from engine.errors import InvalidRules
from rules.check import check
from rules.document import Goal, RuleSet, Season, StillFact
from rules.examples import run_examples
from rules.loader import load_rules
from rules.text import render, render_all, shown_width
from tests.factories.hostile_rules import HOSTILE, a_file, vocabulary


def load(text: str) -> RuleSet:
    return load_rules(text, "test.yaml", vocabulary())


def findings(text: str) -> list[tuple[str, int, int]]:
    with pytest.raises(InvalidRules) as error:
        load(text)
    return [(f.code, f.line, f.column) for f in error.value.findings]


def codes(text: str) -> list[str]:
    return [code for code, _, _ in findings(text)]


def test_a_rule_file_becomes_typed_values() -> None:
    more = "    season: {from: 15 Aug, to: 31 Jan}\n    cooldown: 3 weeks\n"
    (rule,) = load(a_file(more=more)).rules
    assert rule.season == Season(815, 131)
    assert rule.cooldown_days == 21
    assert rule.nightly
    assert rule.then.value_cents == 12_050
    assert rule.then.cost_cents == (("email", 0.5), ("sms", 2.0))
    assert rule.then.goal == Goal("appointment.booked", 14)
    assert rule.then.channels == ("sms", "email")
    assert not rule.then.needs_approval


def test_facts_checked_again_and_triggers_are_read() -> None:
    more = "      still: [none appointment.booked]\n    check: [on visit]\n"
    (rule,) = load(a_file(more=more)).rules
    assert rule.then.still == (StillFact("none", "appointment.booked"),)
    assert rule.check_on == ("maintenance.visit", "appointment.kept")
    assert not rule.nightly
    assert rule.checked_on("appointment.kept")
    assert not rule.checked_on("nightly")


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("- {field: patient.statsu, is: active}", "E102"),
        ("- {field: patient.status, is: actve}", "E112"),
        ("- {field: patient.status, at_least: 3}", "E103"),
        ("- {field: patient.score, at_least: 11}", "E111"),
        ("- {field: patient.score, at_least: many}", "E110"),
        ("- {field: patient.score, at_least: 1e3}", "E110"),
        ("- {field: patient.score, at_least: 0.00000000001}", "E115"),
        ("- {field: patient.insured, is: maybe}", "E113"),
        ("- {field: patient.note, missing: no}", "E113"),
        ("- {field: patient.score}", "E106"),
        ("- {feild: patient.score, is: 1}", "E101"),
        ("- hello", "E101"),
        ("- {count: appointment.no_show, at_least: 2}", "E105"),
        ("- {count: appointment.noshow, in_last: 60 days, at_least: 2}", "E102"),
        ("- {count: appointment.no_show, in_last: 2 months, at_least: 2}", "E121"),
        ("- {count: appointment.no_show, in_last: soon, at_least: 2}", "E120"),
        ("- {none: appointment.no_show, in_last: 9 days, for_at_least: 2 days}", "E105"),
        ("- {none: appointment.booked, since_last: visit}", "E107"),
        ("- {last: visit}", "E106"),
        ("- any: [{any: [{last: visit, at_most_ago: 1 day}]}, {last: visit}]", "E104"),
        ("- any: [{field: patient.score, is: 1}]", "E106"),
        ("[]", "E106"),
        ("- {field: patient.score, is: 1, because: no}", "E103"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(when, code) -> None:
    assert code in codes(a_file(when))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("format: 1", "format: 2", "E112"),
        ("    title: A rule\n", "", "E011"),
        ("    status: live", "    status: lively", "E112"),
        ("    status: live", "    stauts: live", "E010"),
        ("id: a.rule", "id: A Rule", "E014"),
        ("value: 120.50 USD", "value: 120.50", "E123"),
        ("email: 0.005}", "letter: 1}", "E010"),
        ("by: [sms, email]", "by: [sms, pigeon]", "E112"),
        ("weight: 40", "weight: 0", "E111"),
        ("if_left: 0.1", "if_left: 10", "E111"),
        ("appointment.booked within 2 weeks", "soon", "E125"),
        ("appointment.booked within 2 weeks", "nothing within 2 weeks", "E102"),
        ("template: healthcare/a", "template: ../../etc", "E014"),
        ("pack: test", "pack: &x test", "E005"),
        ("pack: test", "pack: !x test", "E005"),
        ("pack: test", "pack: test\npack: other", "E006"),
        ("    title: A rule", "\ttitle: A rule", "E002"),
        ("title: A rule", "title: A \u202erule", "E003"),
        ("title: A rule", "title: A \x07rule", "E003"),
        ("title: A rule", 'title: "A rule', "E004"),
        ("title: A rule", "title: A: rule", "E004"),
        ("format: 1", "%YAML 1.2\n---\nformat: 1", "E005"),
        ("pack: test", "pack: test\n...\n---\nb: 1", "E005"),
    ],
)
def test_a_file_that_surprises_is_refused(old, new, code) -> None:
    text = a_file()
    assert old in text
    assert code in codes(text.replace(old, new))


@pytest.mark.parametrize("text", ["", "just words", "- a list", "# only a comment\n"])
def test_a_file_without_settings_says_what_it_needs(text) -> None:
    assert codes(text) == ["E008"]


def test_all_faults_come_at_once_in_file_order_with_their_places() -> None:
    text = a_file("- {field: patient.score, at_least: 11}\n- {last: vist, at_most_ago: 3 days}")
    text = text.replace("why:", "whi:").replace("weight: 40", "weight: forty")
    found = findings(text)
    assert [code for code, _, _ in found] == ["E011", "E010", "E111", "E102", "E110"]
    assert [line for _, line, _ in found] == [4, 6, 10, 11, 19]
    lines = text.split("\n")
    assert lines[9][found[2][2] - 1 :].startswith("11")
    assert lines[10][found[3][2] - 1 :].startswith("vist")


@pytest.mark.parametrize(
    "when",
    [
        "- {field: contract.ends_on, at_least: 5}",
        "- {count: visit, in_lst: 60 days, at_least: 1}",
        "- {last: visit, at_leest_ago: 5 days}",
    ],
)
def test_a_word_that_does_not_fit_is_one_fault(when) -> None:
    with pytest.raises(InvalidRules) as refused:
        load_rules(a_file(when), "r.yaml", vocabulary())
    assert [finding.code for finding in refused.value.findings] == ["E103"]


def test_two_rules_may_not_share_an_id() -> None:
    text = a_file()
    rule = text[text.index("  - id") :]
    assert codes(text + rule) == ["E013"]


def test_a_rule_with_more_alternatives_than_the_matcher_holds_is_refused() -> None:
    alternatives = ", ".join(f"{{field: patient.score, is: {n}}}" for n in range(7))
    other = ", ".join(f"{{field: patient.note, is: n{n}}}" for n in range(7))
    assert codes(a_file(f"- any: [{alternatives}]\n- any: [{other}]")) == ["E130"]


def test_an_unless_needs_a_reason_for_staff() -> None:
    unless = "    unless:\n      - {field: patient.score, is: 1}\n"
    assert codes(a_file(more=unless)) == ["E011"]


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_file_is_refused_with_few_findings(name) -> None:
    with pytest.raises(InvalidRules) as error:
        load(HOSTILE[name])
    assert 1 <= len(error.value.findings) <= 100
    assert len(render_all(error.value.findings)) < 100_000


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("rules: [" + "x, " * 21_000 + "x]", "E007"),
        ("a: " + "[" * 20 + "]" * 20, "E007"),
        ("# " + "x" * 300_000, "E001"),
        ("# " + "é" * 140_000, "E001"),
    ],
)
def test_a_file_beyond_the_limits_is_told_so(text, code) -> None:
    assert codes(text) == [code]


def test_the_digest_is_of_the_meaning() -> None:
    text = a_file()
    digest = load(text).digest
    assert (
        load(
            "# a comment\n"
            + text.replace(
                "{field: patient.status, is: active}", "field: patient.status\n        is: active"
            )
        ).digest
        == digest
    )
    assert load(text.replace("is: active", "is: lapsed")).digest != digest
    assert load(text.replace("0.25", "0.26")).digest != digest
    assert load(text.replace("\n", "\r\n")).digest == digest


TESTS = """
    tests:
      - name: active
        today: 2026-03-10 10:00
        contact: {patient.status: active}
        expect: fires
      - name: lapsed
        today: 2026-03-10 10:00
        contact: {patient.status: lapsed}
        expect: quiet
        because: field patient.status
"""


def test_in_file_tests_run_and_say_which_condition_decided() -> None:
    assert [r.message for r in run_examples(load(a_file(more=TESTS)))] == ["", ""]
    wrong = TESTS.replace("expect: fires", "expect: quiet").replace(
        "expect: quiet\n        because: field patient.status", "expect: fires"
    )
    first, second = run_examples(load(a_file(more=wrong)))
    assert first.message == "quiet expected, but every condition holds"
    assert second.message == (
        'fires expected, quiet because "field patient.status is active" does not hold '
        "(patient.status is lapsed)"
    )
    assert second.because == "field patient.status"


def test_a_test_that_is_quiet_for_another_reason_fails() -> None:
    other = TESTS.replace("because: field patient.status", "because: season")
    assert 'not because of "season"' in run_examples(load(a_file(more=other)))[1].message


def test_draft_rules_are_tested_too() -> None:
    draft = a_file(more=TESTS).replace("status: live", "status: draft")
    assert [r.passed for r in run_examples(load(draft))] == [True, True]


def lints(text: str) -> list[str]:
    return [f.code for f in check(load(text))]


def test_lints_name_what_is_hardly_meant() -> None:
    assert lints(a_file(more=TESTS)) == []
    assert lints(a_file()) == ["L305"]
    assert "L301" in lints(a_file("- {field: patient.score, more_than: 3, less_than: 3}"))
    assert "L301" not in lints(a_file("- {field: patient.score, at_least: 3, at_most: 3}"))
    assert "L301" in lints(a_file("- {field: patient.note, missing: yes, is: a}"))
    count = "- {count: appointment.no_show, in_last: 60 days, at_least: 2}"
    assert "L304" in lints(a_file(count, "    cooldown: 30 days\n"))
    assert "L304" not in lints(a_file(count, "    cooldown: 60 days\n"))


def test_two_rules_with_the_same_meaning_are_noticed() -> None:
    text = a_file(more=TESTS)
    twice = text + text[text.index("  - id") :].replace("a.rule", "b.rule")
    assert lints(twice) == ["L302"]


def test_a_finding_shows_the_line_with_a_caret_under_the_words() -> None:
    with pytest.raises(InvalidRules) as error:
        load(a_file("- {field: patient.statsu, is: active}"))
    assert render_all(error.value.findings) == (
        'test.yaml:10:17: error E102: the field "patient.statsu" is not in the vocabulary\n'
        "    |\n"
        " 10 |       - {field: patient.statsu, is: active}\n"
        "    |                 ^^^^^^^^^^^^^^\n"
        "   = try: patient.status"
    )


def test_the_caret_counts_columns_as_shown() -> None:
    assert shown_width("é日本") == 5
    with pytest.raises(InvalidRules) as error:
        load(a_file().replace("why: Because.", "why: Because.\n    日本: x"))
    finding = error.value.findings[0]
    assert render(finding).split("\n")[3].endswith("^^^^")
    long = replace(finding, text=" " * 4 + "日本" + "x" * 300)
    assert all(shown_width(line) <= 80 for line in render(long).split("\n")[1:4])
