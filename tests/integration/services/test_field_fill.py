"""How much of what a vocabulary names a tenant's data have."""

from datetime import timedelta

import pytest

from rules.vocabulary import load_vocabulary
from services.field_fill import Fill, field_fill, fill_document
from services.rule_texts import flat_texts, pack_texts
from tests.factories.practice import MORNING, Practice
from tests.factories.rule_tools import erase

pytestmark = pytest.mark.integration

WORDS = load_vocabulary(
    flat_texts(pack_texts("healthcare/retention")).vocabulary, "healthcare.vocab.yaml"
)


async def filled(practice: Practice, at=MORNING) -> Fill:
    async with practice.transaction() as connection:
        return await field_fill(connection, practice.tenant_id, WORDS, at)


async def test_shares_values_and_newest_dates_are_those_of_the_data(practice):
    for role in ("member", "member", "guarantor"):
        contact = await practice.add_contact(custom_fields=f'{{"household_role": "{role}"}}')
    await practice.add_contact()
    await practice.add_event(contact, "appointment.kept", MORNING - timedelta(days=3))
    await practice.add_event(contact, "appointment.kept", MORNING - timedelta(days=9))
    found = await filled(practice)
    role = found.fields["contact.household_role"]
    assert role.filled == 0.75
    assert dict(role.values) == {"member": 2, "guarantor": 1}
    assert found.fields["days_since_first_visit"].filled == 0.25
    assert found.fields["days_since_first_visit"].newest_at == MORNING - timedelta(days=3)
    # a count is known of everybody: nothing happened is an answer
    assert found.fields["visits_365d"].filled == 1.0
    visits = found.events["visit"]
    assert (visits.events, visits.contacts, visits.newest_at) == (
        2, 1, MORNING - timedelta(days=3),
    )  # fmt: skip
    assert found.events["plan.presented"].newest_at is None


async def test_a_field_about_a_subject_is_counted_over_open_subjects(practice):
    contact = await practice.add_contact()
    assert (await filled(practice)).fields["appointment.in_days"].filled is None
    for number, ahead in ((1, 5), (2, None)):
        await practice.add_event(
            contact,
            "appointment.booked",
            MORNING - timedelta(days=2),
            subject=f"appointment:{number}",
            starts_at=None if ahead is None else MORNING + timedelta(days=ahead),
        )
    assert (await filled(practice)).fields["appointment.in_days"].filled == 0.5


@pytest.mark.parametrize("junk", ['"NaN"', '""', "[1]", "{}", "true", '"old"'])
async def test_what_is_no_value_of_the_type_does_not_count_as_filled(practice, junk):
    await practice.add_contact(custom_fields=f'{{"age": {junk}}}')
    assert (await filled(practice)).fields["contact.age"].filled == 0.0


async def test_only_what_was_known_and_who_is_there_counts(practice, other_practice):
    await other_practice.add_contact(custom_fields='{"age": 40}')
    gone = await practice.add_contact(custom_fields='{"age": 40}')
    await practice.add_contact()
    await practice.add_event(gone, "appointment.kept", MORNING - timedelta(days=3))
    before = await filled(practice, MORNING - timedelta(days=4))
    assert before.events["visit"].events == 0
    assert (await filled(practice)).fields["contact.age"].filled == 0.5
    await erase(practice, gone)
    after = await filled(practice)
    assert (after.total, after.fields["contact.age"].filled) == (1, 0.0)


async def test_a_tenant_without_contacts_has_nothing_to_fill(practice):
    found = await filled(practice)
    assert (found.total, found.fields["contact.age"].filled) == (0, None)
    assert fill_document(found)["events"]["visit"] == {
        "events": 0, "contacts": 0, "newest_at": None,
    }  # fmt: skip
