"""Every contact has a row of insights, renewed at night and shown to people."""

from datetime import timedelta

import pytest

from engine.errors import ContactNotFound
from services.keep_insights import keep_insights, keep_insights_tonight
from services.show_insights import show_insights
from tests.integration.services.test_record_event import DAY, SENT, delivered

pytestmark = pytest.mark.integration


async def kept(practice):
    async with practice.transaction() as connection:
        return await keep_insights(connection, practice.tenant_id, as_of=practice.now())


async def shown(practice, contact):
    async with practice.transaction() as connection:
        return await show_insights(connection, str(contact))


async def test_an_answer_is_seen_in_the_contacts_row_and_in_everybodys(practice):
    decided = await delivered(practice)
    other = await practice.add_contact()
    await practice.report(decided["contact_id"], "appointment.booked", SENT + DAY)
    assert (await kept(practice))["contacts"] == 2
    mine = (await shown(practice, decided["contact_id"]))["latest"]
    assert mine["detail"]["messages"] == 1
    theirs = (await shown(practice, other))["latest"]
    assert theirs["detail"]["messages"] == 0
    channel = decided["channel"]
    assert (
        mine["response_probability_by_channel"][channel]
        > theirs["response_probability_by_channel"][channel]
        > 0.0
    )
    assert await practice.count("communication_insights") == 2
    await kept(practice)
    assert await practice.count("communication_insights") == 2


async def test_it_is_worked_out_once_a_night(practice):
    await practice.add_contact()
    assert await keep_insights_tonight(practice.runtime, practice.tenant_id) is not None
    assert await keep_insights_tonight(practice.runtime, practice.tenant_id) is None
    tomorrow = practice.at(practice.now() + timedelta(days=1))
    assert await keep_insights_tonight(tomorrow.runtime, practice.tenant_id) is not None
    await tomorrow.database.close()


async def test_another_tenants_contact_is_not_there(practice, other_practice):
    contact = await practice.add_contact()
    await kept(practice)
    with pytest.raises(ContactNotFound):
        await shown(other_practice, contact)
    assert (await shown(practice, contact))["latest"] is not None
