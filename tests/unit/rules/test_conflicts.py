"""Rules that contradict themselves, repeat each other, or set each other off are found."""

import re

import pytest

from engine.errors import Finding
from rules import regions as regions_module
from rules.conflicts import conflict_findings, conflicts
from rules.document import RuleSet
from rules.loader import load_rules
from rules.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary(
    """
format: 1
subjects:
  contract: {label: contract, opened_by: [contract.started], closed_by: [contract.ended]}
events:
  appointment.no_show: {label: missed appointment}
  appointment.booked: {label: new booking}
  appointment.kept: {label: kept appointment}
  contract.started: {label: start, about: contract}
  contract.ended: {label: end, about: contract}
  message.sent: {label: message sent}
  message.replied: {label: answer}
  contact.any: {label: anything, of: [message.sent, appointment.kept]}
fields:
  contact.age: {type: number, from: 0, to: 130, label: age}
  contact.plan: {type: text, one_of: [single, family], label: plan}
  contact.insured: {type: flag, label: insured}
  contact.note: {type: text, label: note}
  health.hazard_30d: {type: number, from: 0, to: 1, label: risk}
""",
    "v.yaml",
)


def a_rule(name: str, when: str, more: str = "", then: str = "") -> str:
    """A rule; `then` replaces settings of the usual proposal, e.g. 'by: [email]'."""
    proposal = {
        "action": name,
        "template": "healthcare/no-show-rescue",
        "purpose": "service",
        "by": "[call_task]",
        "value": "120.00 USD",
        "expect": "{if_contacted: 0.25, if_left: 0.1, weight: 40}",
        "goal": "appointment.booked within 2 weeks",
    } | dict(line.split(": ", 1) for line in then.splitlines())
    costs = ", ".join(f"{word}: 0.5" for word in re.findall(r"\w+", proposal["by"]))
    proposal["cost"] = "{" + costs + "}"
    lines = [f"  - id: {name}", "    title: T", "    why: W", "    status: live", "    when:"]
    lines += [f"      - {condition}" for condition in when.splitlines()]
    lines += [f"    {line}" for line in more.splitlines()]
    lines += ["    then:", *(f"      {key}: {value}" for key, value in proposal.items())]
    return "\n".join(lines) + "\n"


def load(*rules: str, file: str = "test.yaml", top: str = "") -> RuleSet:
    text = f"format: 1\npack: test\n{top}defaults: {{cooldown: 365 days}}\nrules:\n" + "".join(
        rules
    )
    return load_rules(text, file, VOCABULARY)


def found(*rules: str, top: str = "") -> list[Finding]:
    return conflicts([load(*rules, top=top)])


def codes(*rules: str, top: str = "") -> list[str]:
    return [finding.code for finding in found(*rules, top=top)]


MISSED = "{count: appointment.no_show, in_last: 60 days, at_least: 2}"
ADULT = "{field: contact.age, at_least: 18}"


@pytest.mark.parametrize(
    ("when", "more", "says"),
    [
        (
            "{count: appointment.no_show, in_last: 30 days, at_least: 3}\n"
            "{count: appointment.no_show, in_last: 60 days, at_most: 2}",
            "",
            "exclude each other",
        ),
        (
            "{last: appointment.kept, at_least_ago: 90 days}\n"
            "{count: appointment.kept, in_last: 60 days, at_least: 1}",
            "",
            "exclude each other",
        ),
        ("{field: contact.age, more_than: 130}", "", "never holds"),
        ("{field: contact.plan, is_none_of: [single, family]}", "", "never holds"),
        (ADULT, f"unless:\n  - {ADULT[:-1]}, because: b}}", "unless"),
        (
            "any: [{field: contact.age, at_most: 3}, {field: contact.age, at_least: 90}]\n"
            "{field: contact.age, at_least: 4, at_most: 89}",
            "",
            "exclude each other",
        ),
        (
            "{field: contact.plan, is: single}\n{field: contact.insured, is: yes}",
            "unless:\n"
            "  - any: [{field: contact.plan, is: single}, {field: contact.insured, is: no}]\n"
            "    because: b",
            "exclude each other",
        ),
    ],
)
def test_a_rule_that_no_contact_can_meet_is_named_with_its_reason(when, more, says) -> None:
    rule = a_rule("never", when, more)
    (finding,) = found(rule)
    assert finding.code == "L301"
    assert says in finding.message
    assert finding.line > 3


def test_the_place_of_an_impossible_rule_is_the_condition_that_spoils_it() -> None:
    (finding,) = found(a_rule("never", f"{ADULT}\n{MISSED}\n{{field: contact.age, less_than: 18}}"))
    assert (finding.line, finding.column) == (12, 9)
    assert "field contact.age at_least 18" in finding.message


def test_a_rule_that_every_contact_meets_is_told() -> None:
    always = "any: [{field: contact.note, missing: yes}, {field: contact.note, present: yes}]"
    assert codes(a_rule("always", always)) == ["L307"]
    assert codes(a_rule("always", "{field: contact.note, present: yes}")) == []


def test_an_unless_that_never_holds_when_the_rule_applies_is_told() -> None:
    unless = "unless:\n  - {field: contact.age, less_than: 10, because: a child}"
    (finding,) = found(a_rule("adults", ADULT, unless))
    assert (finding.code, finding.line) == ("L314", 12)
    assert codes(a_rule("all", MISSED, unless)) == []


def test_the_same_meaning_in_other_words_with_the_same_action_is_a_duplicate() -> None:
    one = a_rule("one", f"{MISSED}\n{ADULT}", then="action: call")
    assert codes(one, a_rule("two", f"{{field: contact.age, more_than: 17}}\n{MISSED}")) == ["L303"]
    words = f"{MISSED}\n{{field: contact.age, present: yes}}\n{{field: contact.age, more_than: 3}}"
    two = a_rule("two", f"{words}\n{ADULT}", then="action: call\npriority: 60")
    (finding,) = found(one, two)
    assert (finding.code, finding.line) == ("L302", 21)
    assert "two means the same as one" in finding.message


def test_a_rule_inside_another_of_the_same_channel_purpose_and_priority_is_told() -> None:
    wide = a_rule("wide", "{count: appointment.no_show, in_last: 60 days, at_least: 1}")
    narrow = "{count: appointment.no_show, in_last: 30 days, at_least: 2}"
    (finding,) = found(wide, a_rule("narrow", narrow))
    assert finding.code == "L303"
    assert "narrow applies only where wide applies too (call_task, service)" in finding.message
    assert codes(wide, a_rule("narrow", narrow, then="priority: 60")) == []
    assert codes(wide, a_rule("narrow", narrow, then="by: [email]")) == []
    assert codes(wide, a_rule("narrow", narrow, then="purpose: marketing")) == ["L309"]


def test_rules_that_may_meet_on_a_channel_need_different_priorities() -> None:
    one = a_rule("one", ADULT)
    assert codes(one, a_rule("two", MISSED)) == ["L309"]
    assert codes(one, a_rule("two", MISSED, then="priority: 51")) == []
    assert codes(one, a_rule("two", MISSED, then="by: [sms]")) == []
    assert codes(one, a_rule("two", "{field: contact.age, less_than: 18}")) == []
    apart = "unless:\n  - {field: contact.age, at_least: 10, because: grown}"
    assert codes(one, a_rule("two", MISSED, apart)) == []


def test_a_check_of_one_file_leaves_out_that_rules_may_meet() -> None:
    assert conflict_findings(load(a_rule("one", ADULT), a_rule("two", MISSED))) == []


def test_rules_of_several_files_are_compared_and_found_in_their_own_file() -> None:
    first = load(a_rule("one", ADULT), file="one.yaml")
    second = load(a_rule("two", ADULT, then="action: one"), file="two.yaml")
    assert [(f.file, f.code) for f in conflicts([first, second])] == [("two.yaml", "L302")]


def test_a_retired_rule_is_in_nobodys_way() -> None:
    retired = a_rule("two", ADULT).replace("status: live", "status: retired")
    assert codes(a_rule("one", ADULT), retired) == []


@pytest.mark.parametrize("event", ["message.sent", "contact.any"])
def test_a_rule_set_off_by_the_messages_of_rules_is_refused(event) -> None:
    rule = a_rule("echo", ADULT, f"check: [on {event}]")
    (finding,) = found(rule)
    assert (finding.code, finding.severity, finding.line) == ("L308", "error", 5)
    assert codes(a_rule("answer", ADULT, "check: [on message.replied]")) == []


def test_a_loop_is_refused_even_where_a_comment_allows_it() -> None:
    echo = a_rule("echo", ADULT, "check: [on message.sent]")
    assert codes(echo.replace("  - id", "  # allow L308: we like it\n  - id")) == ["L308"]


def test_a_cooldown_shorter_than_the_count_fires_the_same_events_twice() -> None:
    assert codes(a_rule("short", MISSED, "cooldown: 30 days")) == ["L304"]
    assert codes(a_rule("long", MISSED, "cooldown: 60 days")) == []
    absent = "{none: appointment.booked, in_last: 60 days}"
    assert codes(a_rule("absent", absent, "cooldown: 30 days")) == []


@pytest.mark.parametrize(
    ("timing", "code"),
    [
        ("season: {from: 1 Dec, to: 5 Dec}\non_days: [Mon]", ["L310"]),
        ("season: {from: 1 Dec, to: 7 Dec}\non_days: [Mon]", []),
        ("season: {from: 30 Dec, to: 3 Jan}\non_days: [Mon, Tue]", ["L310"]),
        ("season: {from: 30 Dec, to: 3 Jan}\non_days: [Mon, Wed, Fri]", []),
        ("season: {from: 26 Feb, to: 3 Mar}\non_days: [Sun]", ["L310"]),  # six days in most years
        ("season: {from: 29 Feb, to: 29 Feb}", ["L310"]),
    ],
)
def test_a_season_in_which_the_weekdays_may_not_occur_is_told(timing, code) -> None:
    assert codes(a_rule("timed", MISSED, timing)) == code


def test_rules_of_two_seasons_do_not_meet() -> None:
    summer = a_rule("summer", ADULT, "season: {from: 1 Jun, to: 31 Aug}")
    winter = a_rule("winter", ADULT, "season: {from: 1 Sep, to: 31 May}")
    late = a_rule("late", ADULT, "season: {from: 31 Aug, to: 1 Sep}")
    assert codes(summer, winter) == []
    assert codes(summer, late) == ["L309"]


def test_a_warning_is_silenced_beside_either_rule() -> None:
    one, two = a_rule("one", ADULT), a_rule("two", ADULT, then="action: one")
    allow = "  # allow L302: both clinics have it\n"
    assert codes(one, two) == ["L302"]
    assert codes(allow + one, two) == []
    assert codes(one, allow + two) == []
    short = a_rule("short", MISSED, "cooldown: 30 days")
    assert codes("  # allow L304: meant\n" + short) == []


def test_a_rule_about_contracts_does_not_compete_with_one_about_the_contact() -> None:
    contract = a_rule("each", ADULT, "for_each: contract")
    assert codes(a_rule("one", MISSED), contract) == []


def a_choice(rows: str, hit: str = "first", when: str = MISSED) -> tuple[str, str]:
    """A rule that chooses between two offers, and the table at the top of the file."""
    table = (
        f"choose:\n  - id: which\n    hit: {hit}\n"
        "    columns: [contact.plan, count appointment.no_show in 60 days]\n    rows:\n"
    ) + "".join(f"      - [{row}]\n" for row in rows.splitlines())
    rule = a_rule("offer", when)
    rest = re.sub(r"      action: .*\n", "      choose: which\n", rule)
    offers = "      offers: {big: {action: big}, small: {action: small}}\n"
    return rest + offers, table


def test_a_row_that_earlier_rows_leave_nothing_for_is_told_once() -> None:
    rule, table = a_choice(
        "family, 2 or more, big\nany, 3 or more, small\nfamily, 4, big\nany, any, small"
    )
    (finding,) = found(rule, top=table)
    assert (finding.code, finding.line) == ("L311", 10)
    assert "row 3 of which (family, 4)" in finding.message


def test_rows_that_only_together_take_all_of_a_later_one_are_seen() -> None:
    rows = "family, any, big\nsingle, any, big\nany, any, small\nfamily, any, small"
    rule, table = a_choice(rows)
    assert [(f.code, f.line) for f in found(rule, top=table)] == [("L311", 11)]


def test_contacts_without_a_row_are_told_with_an_example() -> None:
    rule, table = a_choice("family, any, big\nsingle, 3 or more, small")
    (finding,) = found(rule, top=table)
    assert finding.code == "L312"
    assert "contact.plan is unknown" in finding.message
    rule, table = a_choice("any, 2, big\nany, 3 or more, small")
    assert codes(rule, top=table) == []  # the rule is about two or more
    rule, table = a_choice("any, 3, big\nany, 4 or more, small")
    (finding,) = found(rule, top=table)
    assert "count appointment.no_show in 60 days is 2" in finding.message


def test_the_offers_of_one_rule_are_no_conflict_of_it(monkeypatch) -> None:
    rule, table = a_choice("family, any, big\nany, any, small", hit="first")
    assert codes(rule, top=table) == []
    # a rule too wide to analyse may meet any other, but still not itself
    monkeypatch.setattr(regions_module, "_MOST_BOXES", 0)
    assert codes(rule, top=table) == []
    assert codes(rule, a_rule("other", ADULT), top=table) == ["L309"]
