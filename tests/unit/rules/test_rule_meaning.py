"""A rule's meaning: what changes it, and what does not."""

from dataclasses import replace

import pytest

from rules.meaning import rule_meaning
from services.rule_texts import RuleTexts, parse_texts
from tests.factories.rule_files import rule_text, rules_file

FILE = rules_file("own", rule_text("own.missed"))


def meaning(texts: RuleTexts) -> str:
    rules = parse_texts(texts)
    return rule_meaning(rules.rules[0], rules.vocabulary)


def rewritten(old: str, new: str) -> RuleTexts:
    assert old in FILE.document
    return replace(FILE, document=FILE.document.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rules:", "# a comment\nrules:"),
        ("status: live", "status: draft"),
        ("owner: front-desk", "owner: nobody"),
        ("why: Whoever", "why: Because whoever"),
        ("pack: own", "pack: other"),
        ("missed the day before", "missed yesterday"),
        ("by: [email]", "by:\n        - email"),
    ],
)
def test_layout_status_owner_reasons_and_tests_are_no_part_of_what_a_rule_means(
    old: str, new: str
) -> None:
    assert meaning(rewritten(old, new)) == meaning(FILE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: own.missed", "id: own.other"),
        ("at_least: 1", "at_least: 2"),
        ("in_last: 30 days", "in_last: 29 days"),
        ("value: 500.00", "value: 500.01"),
        ("by: [email]", "by: [sms]\n      priority: 60"),
        ("if_contacted: 0.5", "if_contacted: 0.6"),
        ("within 14 days", "within 15 days"),
        ("cooldown: 30 days", "cooldown: 31 days"),
        ("purpose: treatment", "purpose: service"),
        ("template: healthcare/no-show-rescue", "template: healthcare/recall"),
        ("title: Missed an appointment", "title: Missed the appointment"),
    ],
)
def test_everything_else_is(old: str, new: str) -> None:
    changed = rewritten(old, new)
    if "sms" in new:
        changed = replace(changed, document=changed.document.replace("email: 0.01", "sms: 0.02"))
    assert meaning(changed) != meaning(FILE)


def test_what_a_name_of_the_vocabulary_stands_for_is_part_of_what_a_rule_means() -> None:
    grouped = replace(
        FILE,
        vocabulary="format: 1\nfields: {}\nevents:\n"
        "  appointment.cancelled: {label: cancelled}\n"
        "  appointment.missed: {label: missed}\n"
        "  appointment.booked: {label: booked}\n"
        "  appointment.no_show: {label: no-show, of: [appointment.missed]}\n",
        document=FILE.document.split("    tests:")[0],
    )
    wider = replace(
        grouped,
        vocabulary=grouped.vocabulary.replace(
            "[appointment.missed]", "[appointment.missed, appointment.cancelled]"
        ),
    )
    assert meaning(grouped) != meaning(wider)
    unused = replace(grouped, vocabulary=grouped.vocabulary + "  message.sent: {label: sent}\n")
    assert meaning(grouped) == meaning(unused)
