"""Whom a change of rules gains and loses in a week, and when a second person has to look at it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.compare_rules import compare_rules, file_in_force, parsed
from services.publish_rules import Publication, publish_rules
from services.release_rules import SecondPersonNeeded, Signature
from services.rule_volume import volume_estimate
from services.rules_in_force import RuleSetNotFound
from tests.factories.practice import MORNING, Practice
from tests.factories.rule_files import rule_text, rules_file
from tests.factories.rule_tools import erase, publish

pytestmark = pytest.mark.integration

RULE = "own.missed"
ONE = rules_file("own", rule_text(RULE))
TWO = rules_file("own", rule_text(RULE, expect="quiet").replace("at_least: 1", "at_least: 2", 1))


async def compare(practice: Practice, old, new, **options: object) -> dict:
    async with practice.transaction() as connection:
        return await compare_rules(
            connection, practice.runtime, practice.tenant_id, parsed(old), parsed(new), **options
        )


async def missed(practice: Practice, times: int = 1, **columns: object) -> str:
    contact = await practice.add_contact(**columns)
    for number in range(times):
        await practice.add_no_show(contact, days=2.0 + number)
    return str(contact)


async def test_contacts_gained_and_lost_are_named_and_counted(practice):
    once, twice = await missed(practice), await missed(practice, 2)
    narrower = await compare(practice, ONE, TWO)
    assert narrower["lines"][1] == (
        "  count appointment.no_show in the last 30 days: at least 1 → at least 2"
    )
    assert narrower["gained"] == {"contacts": 0, "samples": []}
    assert narrower["lost"] == {"contacts": 1, "samples": [once]}
    assert (narrower["contacts_a_week"]["before"], narrower["contacts_a_week"]["after"]) == (2, 1)
    wider = await compare(practice, TWO, ONE)
    assert (wider["gained"]["samples"], wider["lost"]["contacts"]) == ([once], 0)
    assert wider["rules"] == [
        {"rule": RULE, "before": 1, "after": 2, "gained": wider["gained"], "lost": wider["lost"]}
    ]
    assert twice not in str(wider["gained"])


async def test_the_same_rules_in_another_layout_change_nobody(practice):
    await missed(practice)
    told = await compare(practice, ONE, replace(ONE, document=f"# a comment\n{ONE.document}"))
    assert told["lines"] == ["no rule changed its meaning, words or tests"]
    assert told["rules"] == []
    assert told["gained"]["contacts"] == told["lost"]["contacts"] == 0
    assert told["second_person"]["needed"] is False


async def test_a_renamed_rule_gains_and_loses_nobody(practice):
    await missed(practice)
    renamed = rules_file("own", rule_text("own.renamed", action="own-missed"))
    told = await compare(practice, ONE, renamed)
    assert told["gained"]["contacts"] == told["lost"]["contacts"] == 0


async def test_ten_samples_at_most_are_shown_the_same_ones_each_time(practice):
    for _ in range(14):
        await missed(practice)
    first, again = [(await compare(practice, ONE, TWO))["lost"] for _ in range(2)]
    assert (first["contacts"], len(first["samples"])) == (14, 10)
    assert first == again


@pytest.mark.parametrize(("contacts", "needed"), [(2, True), (3, False)])
async def test_growth_beyond_the_tenants_bound_asks_for_a_second_person(practice, contacts, needed):
    await practice.set(second_person_above={"share": 0.25, "contacts": contacts})
    for _ in range(2):
        await missed(practice)
    told = await compare(practice, TWO, ONE)
    assert told["second_person"] == {
        "needed": needed,
        "above_share": 0.25,
        "above_contacts": contacts,
    }
    # what the comparison says is what publishing asks for, on the same data
    await publish(practice, TWO)

    async def widen(approved_by: str | None = None) -> None:
        async with practice.transaction() as connection:
            estimate = volume_estimate(connection, practice.runtime, practice.tenant_id)
            signature = Signature("ada", approved_by)
            await publish_rules(
                connection, practice.tenant_id, Publication((ONE,)), signature, estimate=estimate
            )

    if needed:
        with pytest.raises(SecondPersonNeeded):
            await widen()
    await widen("grace" if needed else None)


async def test_whoever_was_contacted_within_the_cooldown_is_not_counted_again(practice):
    await publish(practice, ONE)
    contact = await practice.add_missed()
    decided = await practice.decide(contact)
    await practice.mark_sent(decided, MORNING + timedelta(hours=1))
    later = practice.at(MORNING + timedelta(days=2))
    told = await compare(later, TWO, ONE)
    await later.database.close()
    assert told["gained"]["contacts"] == 0


async def test_nobody_is_gained_of_another_tenant_or_once_erased(practice, other_practice):
    await missed(other_practice)
    gone = await practice.add_missed()
    await erase(practice, gone)
    told = await compare(practice, TWO, ONE)
    assert (told["gained"]["contacts"], told["contacts_in_all"]) == (0, 0)


async def test_a_file_in_force_is_found_by_its_name_or_the_last_part_of_it(practice):
    await publish(practice, replace(ONE, name="clinic/own"))
    async with practice.transaction() as connection:
        for name in ("clinic/own", "own"):
            assert (await file_in_force(connection, name)).rules[0].id == RULE
        with pytest.raises(RuleSetNotFound) as refused:
            await file_in_force(connection, "other")
    assert "clinic/own" in refused.value.hint
