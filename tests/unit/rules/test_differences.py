"""A difference is said in words of the business, and layout is none."""

import pytest

from rules.differences import Differences, differences
from rules.document import RuleSet
from rules.loader import load_rules
from rules.vocabulary import load_vocabulary

VOCABULARY = """
format: 1
events:
  appointment.no_show: {label: missed appointment}
  appointment.booked: {label: new booking}
  appointment.kept: {label: kept appointment}
  walk_in.kept: {label: walk-in}
  complaint.opened: {label: complaint}
  visit: {label: visit, of: [appointment.kept]}
fields:
  contact.age: {type: number, from: 0, to: 130, label: age}
  contact.plan: {type: text, one_of: [single, family], label: plan}
  visits_365d:
    type: number
    label: visits
    source: {kind: count, types: [visit], in_last: 365 days}
"""
FILE = """
format: 1
pack: test
rules:
  - id: a.rescue
    title: Missed
    why: They mostly do not come back.
    owner: front-desk
    status: shadow
    check: [on appointment.no_show, nightly]
    when:
      - count: appointment.no_show
        in_last: 60 days
        at_least: 2
      - field: contact.age
        at_least: 18
    unless:
      - count: complaint.opened
        in_last: 30 days
        at_least: 1
        because: a person is dealing with it
    then:
      action: rescue
      template: healthcare/no-show-rescue
      purpose: service
      by: [sms]
      value: 120.00 USD
      cost: {sms: 0.02}
      expect: {if_contacted: 0.25, if_left: 0.1, weight: 40}
      goal: appointment.booked within 14 days
      still: [none appointment.booked]
    cooldown: 60 days
    tests:
      - {name: two, today: 2026-03-11 10:00, contact: {contact.age: 30}, expect: quiet}
"""
BY_SMS = "by: [sms]\n      value: 120.00 USD\n      cost: {sms: 0.02}"


def load(text: str, vocabulary: str = VOCABULARY, file: str = "new.yaml") -> RuleSet:
    return load_rules(text, file, load_vocabulary(vocabulary, "v.yaml"))


def compared(*changes: tuple[str, str], vocabulary: str = VOCABULARY) -> Differences:
    """The file against itself with some texts replaced."""
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return differences(load(FILE, file="old.yaml"), load(text, vocabulary))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "at_least: 2",
            "at_least: 3",
            "count appointment.no_show in the last 60 days: at least 2 → at least 3",
        ),
        (
            "in_last: 60 days",
            "in_last: 90 days",
            "count appointment.no_show: in the last 60 days at least 2 → in the last 90 days "
            "at least 2",
        ),
        (
            "        in_last: 30 days\n        at_least: 1",
            "        in_last: 30 days\n        at_least: 2",
            "unless count complaint.opened in the last 30 days: at least 1 → at least 2",
        ),
        (
            "      - field: contact.age\n        at_least: 18\n",
            "",
            "condition removed: field contact.age at least 18",
        ),
        (
            "    unless:\n",
            "      - {field: contact.plan, is_none_of: [family]}\n    unless:\n",
            "condition added: field contact.plan is none of family",
        ),
        (
            "because: a person is dealing with it",
            "because: asked to wait",
            'unless count complaint.opened: because "a person is dealing with it" → '
            '"asked to wait"',
        ),
        ("status: shadow", "status: live", "status: shadow → live"),
        (
            "    when:",
            "    season: {from: 1 Nov, to: 31 Jan}\n    when:",
            "season: all year → 1 Nov to 31 Jan",
        ),
        ("    when:", "    on_days: [Mon, Fri]\n    when:", "on days: all days → Mon, Fri"),
        ("    when:", "    holidays: quiet\n    when:", "holidays: as other days → quiet"),
        (
            "    when:",
            "    send_between: 10:00-18:30\n    when:",
            "send between: the usual hours → 10:00-18:30",
        ),
        ("cooldown: 60 days", "cooldown: 12 weeks", "cooldown: 60 days → 84 days"),
        (
            "check: [on appointment.no_show, nightly]",
            "check: [nightly]",
            "check removed: on appointment.no_show",
        ),
        ("value: 120.00 USD", "value: 90.50 USD", "value 120.00 → 90.50 USD"),
        ("120.00 USD", "120.00 EUR", "value 120.00 USD → 120.00 EUR"),
        ("{sms: 0.02}", "{sms: 0.0075}", "cost of sms 0.02 → 0.0075 USD"),
        (
            BY_SMS,
            BY_SMS.replace("sms]", "sms, email]").replace("2}", "2, email: 0.01}"),
            "channel added: email",
        ),
        ("if_contacted: 0.25", "if_contacted: 0.3", "expected if contacted: 0.25 → 0.3"),
        ("weight: 40", "weight: 20", "weight of the expectation: 40 → 20"),
        (
            "within 14 days",
            "within 3 weeks",
            "goal: appointment.booked within 14 days → appointment.booked within 21 days",
        ),
        ("      still: [none appointment.booked]\n", "", "still removed: none appointment.booked"),
        ("      still:", "      priority: 70\n      still:", "priority: 50 → 70"),
        ("      still:", "      approval: yes\n      still:", "approval: not needed → needed"),
        ("purpose: service", "purpose: marketing", "purpose: service → marketing"),
        ("title: Missed", "title: Missed twice", "title: Missed → Missed twice"),
        ("name: two", "name: three", 'test added: "three"'),
        ("name: two", "name: three", 'test removed: "two"'),
        ("contact.age: 30", "contact.age: 31", 'test changed: "two"'),
        ("expect: quiet", "expect: fires", 'test changed: "two" (expect: quiet → fires)'),
    ],
)
def test_each_change_is_said_in_words(old, new, says) -> None:
    (rule,) = compared((old, new)).rules
    assert (rule.kind, rule.rule_id, rule.place.line) == ("changed", "a.rescue", 5)
    assert says in rule.changes
    assert f"  {says}" in rule.lines


@pytest.mark.parametrize(
    ("old", "new", "reach"),
    [
        ("at_least: 2", "at_least: 3", "narrower"),
        ("in_last: 60 days", "in_last: 90 days", "wider"),
        ("in_last: 30 days", "in_last: 90 days", "narrower"),
        ("in_last: 60 days\n        at_least: 2", "in_last: 90 days\n        at_least: 3", "other"),
        ("at_least: 18", "more_than: 18", "narrower"),
        ("at_least: 18", "at_least: 18\n        present: yes", "same"),
        ("count: appointment.no_show", "count: complaint.opened", "other"),
        ("    when:", "    holidays: quiet\n    when:", "narrower"),
        ("value: 120.00 USD", "value: 90.00 USD", None),
    ],
)
def test_it_says_for_whom_the_rule_now_applies(old, new, reach) -> None:
    (rule,) = compared((old, new)).rules
    assert rule.reach == reach


def test_layout_comments_and_the_order_of_rules_are_no_difference() -> None:
    second = FILE.partition("rules:\n")[2].replace("a.rescue", "b.rescue")
    third = second.replace("b.rescue", "c.rescue").replace("action: rescue", "action: other")
    head = FILE.partition("rules:\n")[0] + "rules:\n"
    old = load(head + second + third)
    new = load(head + "# a comment\n" + third + second.replace("[none ", "[ none "))
    assert differences(old, new).lines == ["no rule changed its meaning, words or tests"]


def test_conditions_in_another_order_are_no_difference() -> None:
    count = "      - count: appointment.no_show\n        in_last: 60 days\n        at_least: 2\n"
    age = "      - field: contact.age\n        at_least: 18\n"
    assert compared((count + age, age + count)).rules == ()


def test_texts_and_tests_alone_treat_nobody_differently() -> None:
    assert not compared(("owner: front-desk", "owner: manager")).rules[0].acts_differently
    assert not compared(("name: two", "name: 2")).rules[0].acts_differently
    same = ("at_least: 18", "at_least: 18\n        present: yes")
    assert not compared(same).rules[0].acts_differently
    for old, new in (("at_least: 2", "at_least: 3"), ("120.00", "90.00"), ("shadow", "live")):
        assert compared((old, new)).rules[0].acts_differently


def test_added_and_removed_rules_are_named() -> None:
    head, _, rule = FILE.partition("rules:\n")
    other = rule.replace("a.rescue", "b.other").replace("at_least: 2", "at_least: 5")
    both = load(f"{head}rules:\n{rule}{other}")
    only = load(FILE)
    assert differences(only, both).lines == ["added b.other"]
    assert differences(both, only).lines == ["removed b.other"]


def test_a_rule_of_another_name_and_the_same_meaning_was_renamed() -> None:
    found = compared(
        ("a.rescue", "a.no-shows"), ("at_least: 18", "at_least: 18\n        present: yes")
    )
    assert found.lines == ["renamed a.rescue → a.no-shows"]
    assert not found.rules[0].acts_differently
    found = compared(("a.rescue", "a.no-shows"), ("at_least: 2", "at_least: 3"))
    assert [rule.kind for rule in found.rules] == ["added", "removed"]
    found = compared(("a.rescue", "a.no-shows"), ("120.00", "110.00"))
    assert [rule.kind for rule in found.rules] == ["added", "removed"]


VISITS = ("field: contact.age\n        at_least: 18", "field: visits_365d\n        at_least: 1")


def test_a_name_that_the_vocabulary_defines_otherwise_changes_the_rules_that_use_it() -> None:
    text = FILE.replace(*VISITS)
    wider = VOCABULARY.replace("of: [appointment.kept]", "of: [appointment.kept, walk_in.kept]")
    (rule,) = differences(load(text), load(text, wider)).rules
    assert rule.changes == (
        "visits_365d in the vocabulary: types appointment.kept → appointment.kept, walk_in.kept",
    )
    assert rule.acts_differently
    longer = VOCABULARY.replace("in_last: 365 days", "in_last: 730 days")
    (rule,) = differences(load(text), load(text, longer)).rules
    assert rule.changes == ("visits_365d in the vocabulary: window 365 → 730",)
    assert differences(load(FILE), load(FILE, wider)).rules == ()
    labels = VOCABULARY.replace("label: visits", "label: visits in a year")
    assert differences(load(text), load(text, labels)).rules == ()
