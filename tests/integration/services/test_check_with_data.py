"""What a tenant's data say against a rules file: D401 to D405, each with its place."""

from dataclasses import replace

import pytest

from services.check_with_data import check_with_data
from services.rule_texts import RuleTexts
from tests.factories.practice import Practice
from tests.factories.rule_files import rule_text, rules_file
from tests.factories.rule_tools import erase

pytestmark = pytest.mark.integration


def asking(when: str, **changes: object) -> RuleTexts:
    text = rule_text("own.rule", **changes).split("    tests:")[0]
    return rules_file("own", text.replace("    then:\n", f"      - {when}\n    then:\n"))


PLAIN = rules_file("own", rule_text("own.rule"))


async def codes(practice: Practice, texts: RuleTexts) -> list[tuple[str, str]]:
    """Code and message, each finding shown to stand in a line that the file has."""
    async with practice.transaction() as connection:
        found = await check_with_data(connection, practice.runtime, practice.tenant_id, texts)
    lines = texts.document.split("\n")
    for each in found:
        assert (each.severity, each.file) == ("warning", "own.yaml")
        assert each.text == lines[each.line - 1]
        assert each.hint
    return [(each.code, each.message) for each in found]


async def test_data_that_have_everything_are_not_complained_about(practice):
    await practice.add_missed()
    assert await codes(practice, PLAIN) == []


async def test_a_field_that_is_empty_for_everybody_is_named(practice):
    await practice.add_missed()
    texts = asking("{field: contact.age, at_least: 60}")
    expected = ("D401", 'the field "contact.age" is empty for everybody')
    assert await codes(practice, texts) == [expected]
    # asking for what is missing is no mistake
    assert await codes(practice, asking("{field: contact.age, missing: yes}")) == []
    await practice.add_contact(custom_fields='{"age": 61}')
    assert await codes(practice, texts) == []


async def test_a_field_that_only_an_erased_person_had_is_empty(practice):
    await practice.add_missed()
    gone = await practice.add_contact(custom_fields='{"age": 61}')
    await erase(practice, gone)
    texts = asking("{field: contact.age, at_least: 60}")
    assert [code for code, _ in await codes(practice, texts)] == ["D401"]


async def test_a_number_that_is_none_fills_no_field(practice):
    await practice.add_missed(custom_fields='{"age": "NaN"}')
    texts = asking("{field: contact.age, at_least: 60}")
    assert [code for code, _ in await codes(practice, texts)] == ["D401"]


async def test_an_event_that_was_never_seen_is_named_wherever_it_stands(practice):
    await practice.add_contact()
    texts = asking("{none: visit, since_last: appointment.cancelled}")
    assert await codes(practice, texts) == [
        ("D402", 'the event "appointment.no_show" has never been seen in the data'),
        ("D402", 'the event "visit" has never been seen in the data'),
        ("D402", 'the event "appointment.cancelled" has never been seen in the data'),
    ]


async def test_what_the_data_lack_is_pointed_at_by_its_own_word(practice):
    await practice.add_missed(custom_fields='{"household_role": "member"}')
    texts = asking("{none: visit, since_last: appointment.cancelled}")
    texts = replace(
        texts,
        document=texts.document.replace(
            "{none: visit, since_last: appointment.cancelled}",
            "none: visit\n        since_last: appointment.cancelled\n"
            "      - {field: contact.household_role, is_one_of: [member, guarantor]}",
        ),
    )
    async with practice.transaction() as connection:
        found = await check_with_data(connection, practice.runtime, practice.tenant_id, texts)
    under = [f.text[f.column - 1 : f.column - 1 + f.width] for f in found]
    assert sorted(under) == ["appointment.cancelled", "guarantor", "visit"]


async def test_events_of_another_tenant_are_not_seen(practice, other_practice):
    await practice.add_contact()
    await other_practice.add_missed()
    assert [code for code, _ in await codes(practice, PLAIN)] == ["D402"]


async def test_a_value_that_nobody_has_is_named_with_those_there_are(practice):
    await practice.add_missed(custom_fields='{"household_role": "member"}')
    texts = asking("{field: contact.household_role, is: guarantor}")
    async with practice.transaction() as connection:
        (found,) = await check_with_data(connection, practice.runtime, practice.tenant_id, texts)
    assert (found.code, found.message, found.hint) == (
        "D403", '"guarantor" never occurs in contact.household_role', "in the data: member (1)",
    )  # fmt: skip


async def test_a_value_that_the_vocabulary_does_not_list_is_named(practice):
    for role in ("member", "Member"):
        await practice.add_missed(custom_fields=f'{{"household_role": "{role}"}}')
    texts = asking("{field: contact.household_role, is: member}")
    async with practice.transaction() as connection:
        (found,) = await check_with_data(connection, practice.runtime, practice.tenant_id, texts)
    assert (found.code, found.hint) == ("D404", "one_of lacks: Member (1)")


async def test_a_rule_that_would_write_to_a_crowd_at_once_says_to_how_many(practice):
    for _ in range(101):
        await practice.add_missed(consented=False)
    assert await codes(practice, PLAIN) == [
        (
            "D405",
            "own.rule would propose own-rule for 101 of 101 contacts in the first week",
        )
    ]
    # a hundred people are no crowd
    row = (await practice.rows("SELECT id FROM crm_contacts LIMIT 1"))[0]
    await erase(practice, row["id"])
    assert await codes(practice, PLAIN) == []


async def test_a_rule_that_rests_is_not_looked_at(practice):
    await practice.add_contact()
    assert await codes(practice, rules_file("own", rule_text("own.rule", status="draft"))) == []
