"""An in-file test made of a real contact: it passes, decides alike, and tells nobody's name."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import ContactNotFound, InvalidInput
from rules.examples import run_examples
from services.record_example import record_example
from services.rule_texts import RuleTexts, parse_texts
from services.rules_in_force import RuleNotFound
from tests.factories.practice import MORNING, Practice
from tests.factories.rule_files import rule_text, rules_file
from tests.factories.rule_tools import publish

pytestmark = pytest.mark.integration

RULE = "own.missed"
PLAIN = rules_file("own", rule_text(RULE))
ASKING = rules_file(
    "own",
    rule_text(RULE)
    .split("    tests:")[0]
    .replace(
        "    then:\n",
        "      - {field: contact.household_role, is: guarantor}\n"
        "      - {field: contact.country, present: yes}\n"
        "    then:\n",
    ),
)


async def record(
    practice: Practice, contact: object, texts: RuleTexts = PLAIN, rule: str = RULE, **options
) -> dict:
    async with practice.transaction() as connection:
        return await record_example(
            connection,
            practice.runtime,
            practice.tenant_id,
            texts,
            rule,
            str(contact),
            **options,
        )


def results(texts: RuleTexts, document: str):
    return run_examples(parse_texts(replace(texts, document=document)))


async def test_a_contact_for_whom_the_rule_proposes_becomes_a_test_that_fires(practice):
    contact = await practice.add_missed()
    told = await record(practice, contact)
    assert (told["expect"], told["because"]) == ("fires", "")
    assert told["test"][0] == "- name: recorded from a contact, fires"
    added = results(PLAIN, told["document"])
    assert [each.passed for each in added] == [True, True, True]
    assert added[-1].name == "recorded from a contact, fires"
    # nothing else of the file has changed
    assert told["document"].startswith(PLAIN.document)


async def test_a_quiet_contact_becomes_a_test_with_the_condition_that_decided(practice):
    contact = await practice.add_contact()
    await practice.add_no_show(contact, days=31)
    told = await record(practice, contact)
    assert (told["expect"], told["because"]) == ("quiet", "count appointment.no_show")
    last = results(PLAIN, told["document"])[-1]
    assert (last.passed, last.because) == (True, "count appointment.no_show")


async def test_neither_who_it_is_nor_when_it_was_is_told(practice):
    contact = await practice.add_missed(
        last_name="Lovelace",
        custom_fields='{"household_role": "guarantor", "country": "Bohemia", "age": 47}',
    )
    await practice.add_event(contact, "complaint.opened", MORNING, known_at=MORNING)
    told = await record(practice, contact, ASKING)
    text = "\n".join(told["test"])
    assert told["expect"] == "fires"
    for secret in (
        "Lovelace", "Ada", "example.com", "+1217", str(contact), "Bohemia", "47", "2026",
        "complaint",
    ):  # fmt: skip
        assert secret not in text
    # what the rule compares with stays, a free text becomes 'other'
    assert "contact: {contact.household_role: guarantor, contact.country: other}" in text
    assert results(ASKING, told["document"])[-1].passed


async def test_dates_move_by_whole_weeks_and_keep_their_distance(practice):
    contact = await practice.add_missed()
    told = await record(practice, contact)
    today = next(line for line in told["test"] if "today" in line)
    assert "09:00" in today  # MORNING on the contact's clock
    assert [line for line in told["test"] if "appointment.no_show" in line]
    again = await record(practice, contact)
    assert again == told


async def test_each_recorded_test_gets_a_name_of_its_own(practice):
    contact = await practice.add_missed()
    first = await record(practice, contact)
    second = await record(practice, contact, replace(PLAIN, document=first["document"]))
    assert second["test"][0] == "- name: recorded from a contact, fires, 2"


async def test_a_subject_is_numbered_and_only_its_own_fields_are_told(practice):
    text = rule_text(RULE).replace("    when:\n", "    for_each: plan\n    when:\n")
    text = text.replace("count: appointment.no_show", "none: plan.scheduled")
    text = text.replace("        at_least: 1\n", "").split("    tests:")[0]
    per_plan = rules_file("own", text)
    contact = await practice.add_contact()
    with pytest.raises(InvalidInput):
        await record(practice, contact, per_plan)
    await practice.add_event(
        contact, "plan.presented", MORNING - timedelta(days=9), subject="plan:secret-4711"
    )
    told = await record(practice, contact, per_plan)
    assert "plan:1" in "\n".join(told["test"])
    assert "4711" not in told["document"]
    assert results(per_plan, told["document"])[-1].passed


async def test_a_public_holiday_is_part_of_the_test(practice):
    contact = await practice.add_missed()
    told = await record(practice, contact)
    assert "  holiday: yes" not in told["test"]


async def test_what_is_not_there_is_refused(practice, other_practice):
    await publish(practice, PLAIN)
    contact = await practice.add_missed()
    with pytest.raises(RuleNotFound):
        await record(practice, contact, rule="own.nothing")
    with pytest.raises(ContactNotFound):
        await record(practice, await other_practice.add_missed())
