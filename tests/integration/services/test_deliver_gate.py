"""What changes between decision and claim holds a message back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from embedded.servers import EmbeddedServers
from engine.ids import ContactId, SendId, TenantId
from gateways.debug_smtp import DebugSmtp
from gateways.email import EmailSender
from services.deliver import DeliverySummary, deliver_due
from store.consents import list_consents
from store.due_checks import list_checks
from store.leases import get_moment
from store.sends import count_sends, list_sends, suppress_queued
from tests.factories.outbox import SUNDAY_NIGHT, WORKING_HOURS, Outbox, database_at, email_only

pytestmark = pytest.mark.integration

SENDER = "Nobody <nobody@keepwell.invalid>"


@pytest.fixture
async def outbox(servers: EmbeddedServers, tenant: TenantId) -> AsyncIterator[Outbox]:
    database = database_at(servers.app_database_url, WORKING_HOURS)
    yield Outbox(database, tenant)
    await database.close()


@pytest.fixture
async def smtp() -> AsyncIterator[DebugSmtp]:
    async with DebugSmtp() as server:
        yield server


async def deliver(outbox: Outbox, smtp: DebugSmtp) -> DeliverySummary:
    sender = EmailSender(smtp.url, sender=SENDER)
    summary = await deliver_due(outbox.database, email_only(sender), outbox.tenant_id)
    await sender.close()
    return summary


async def revoke(outbox: Outbox, contact_id: ContactId) -> None:
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        await outbox.consent(connection, contact_id, "email", "service", "revoked")


async def delete_contact(outbox: Outbox, contact_id: ContactId) -> None:
    # the application's role can't delete contacts: in row-level security, out of the tenant is gone
    await outbox.execute(
        "UPDATE keepwell.sends SET contact_id = gen_random_uuid() WHERE contact_id = :id",
        id=contact_id,
    )


async def forbid_email(outbox: Outbox, contact_id: ContactId) -> None:
    await outbox.execute(
        "UPDATE crm_contacts SET do_not_email = true WHERE id = :id", id=contact_id
    )


async def change_address(outbox: Outbox, contact_id: ContactId) -> None:
    await outbox.execute(
        "UPDATE crm_contacts SET email = 'new@example.com' WHERE id = :id", id=contact_id
    )


async def book(outbox: Outbox, contact_id: ContactId) -> None:
    await outbox.execute(
        "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, "
        "occurred_at) VALUES (:tenant, 'crm', 'b1', :id, 'appointment.booked', "
        "keepwell.clock() - interval '3 days')",
        tenant=outbox.tenant_id,
        id=contact_id,
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (revoke, "consent_revoked"),
        (delete_contact, "contact_gone"),
        (forbid_email, "do_not_contact_flag"),
        (change_address, "recipient_changed"),
        (book, "facts_changed"),
    ],
)
async def test_what_changed_since_the_decision_suppresses_the_message(
    outbox: Outbox,
    smtp: DebugSmtp,
    change: Callable[[Outbox, ContactId], Awaitable[None]],
    reason: str,
) -> None:
    contact_id = await outbox.add_contact()
    send_id = await outbox.add_send(contact_id=contact_id, still=({"no": "appointment.booked"},))
    await change(outbox, contact_id)
    assert await deliver(outbox, smtp) == DeliverySummary(suppressed=1)
    send = await outbox.get(send_id)
    assert (send.state, send.reason, send.attempts) == ("suppressed", reason, 0)
    assert smtp.messages == []


async def test_what_the_decision_knew_already_does_not_suppress(
    outbox: Outbox, smtp: DebugSmtp
) -> None:
    contact_id = await outbox.add_contact()
    await book(outbox, contact_id)
    await outbox.add_send(
        contact_id=contact_id,
        still=({"no": "appointment.booked"},),
        decided_at=WORKING_HOURS + timedelta(hours=1),
    )
    assert await deliver(outbox, smtp) == DeliverySummary(sent=1)


async def test_an_unsubscribed_member_of_a_campaign_gets_no_more_offers(
    outbox: Outbox, smtp: DebugSmtp, servers: EmbeddedServers
) -> None:
    contact_id = await outbox.add_contact()
    await outbox.add_send(contact_id=contact_id, purpose="marketing")
    owner = database_at(servers.owner_database_url, WORKING_HOURS)
    async with owner.without_tenant() as connection:
        await connection.exec_driver_sql(
            "WITH c AS (INSERT INTO crm_campaigns (tenant_id, name, campaign_type) "
            f"VALUES ('{outbox.tenant_id}', 'Spring', 'email') RETURNING id) "
            "INSERT INTO crm_campaign_memberships (tenant_id, campaign_id, contact_id, status) "
            f"SELECT '{outbox.tenant_id}', id, '{contact_id}', 'unsubscribed' FROM c"
        )
    await owner.close()
    assert await deliver(outbox, smtp) == DeliverySummary(suppressed=1)


async def test_no_record_of_consent_means_no_message(outbox: Outbox, smtp: DebugSmtp) -> None:
    contact_id = await outbox.add_contact(consent=None)
    send_id = await outbox.add_send(contact_id=contact_id)
    assert await deliver(outbox, smtp) == DeliverySummary(suppressed=1)
    assert (await outbox.get(send_id)).reason == "no_consent"


async def test_a_tenant_may_rely_on_an_existing_relationship(
    outbox: Outbox, smtp: DebugSmtp
) -> None:
    await outbox.set_settings(implied_consent={"email:service": "existing_customer"})
    contact_id = await outbox.add_contact(consent=None)
    await outbox.add_send(contact_id=contact_id)
    assert await deliver(outbox, smtp) == DeliverySummary(sent=1)


async def test_the_newest_row_of_the_ledger_holds(outbox: Outbox, smtp: DebugSmtp) -> None:
    contact_id = await outbox.add_contact()
    await revoke(outbox, contact_id)
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        await outbox.consent(connection, contact_id, "email", "service", "granted")
        ledger = await list_consents(connection, outbox.tenant_id, contact_id)
    assert [row.status for row in ledger if (row.channel, row.purpose) == ("email", "service")] == [
        "granted",
        "revoked",
        "granted",
    ]
    await outbox.add_send(contact_id=contact_id)
    assert await deliver(outbox, smtp) == DeliverySummary(sent=1)


async def test_at_night_a_message_waits_for_the_contacts_morning(
    servers: EmbeddedServers, tenant: TenantId, smtp: DebugSmtp
) -> None:
    database = database_at(servers.app_database_url, SUNDAY_NIGHT)
    outbox = Outbox(database, tenant)
    send_id = await outbox.add_send()
    hopeless = await outbox.add_send(not_after=SUNDAY_NIGHT + timedelta(hours=3))
    summary = await deliver(outbox, smtp)
    waiting, late = await outbox.get(send_id), await outbox.get(hopeless)
    await database.close()
    assert summary == DeliverySummary(postponed=1, suppressed=1)
    assert (waiting.state, waiting.reason, waiting.attempts) == ("pending", "quiet_hours", 0)
    local = waiting.next_at.astimezone(ZoneInfo("America/New_York"))
    assert (local.strftime("%a"), local.hour, local.minute) == ("Mon", 10, 0)
    assert (late.state, late.reason) == ("suppressed", "expired")


async def test_what_is_past_its_time_expires(outbox: Outbox, smtp: DebugSmtp) -> None:
    send_id = await outbox.add_send(not_after=WORKING_HOURS - timedelta(minutes=1))
    assert await deliver(outbox, smtp) == DeliverySummary(suppressed=1)
    assert (await outbox.get(send_id)).reason == "expired"


async def test_a_paused_tenant_sends_nothing_and_goes_on_later(
    outbox: Outbox, smtp: DebugSmtp
) -> None:
    send_id = await outbox.add_send()
    await outbox.set_settings(paused=True)
    assert await deliver(outbox, smtp) == DeliverySummary(postponed=1)
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        now = await get_moment(connection)
    waiting = await outbox.get(send_id)
    assert waiting.reason == "tenant_paused"
    assert timedelta(minutes=4) < waiting.next_at - now <= timedelta(minutes=5)
    await outbox.set_settings(paused=False)
    await outbox.make_due(send_id)
    assert await deliver(outbox, smtp) == DeliverySummary(sent=1)


async def test_of_two_messages_to_one_contact_only_one_leaves_in_a_claim(
    outbox: Outbox, smtp: DebugSmtp
) -> None:
    contact_id = await outbox.add_contact()
    for _ in range(2):
        await outbox.add_send(contact_id=contact_id)
    assert await deliver(outbox, smtp) == DeliverySummary(sent=1, suppressed=1)
    (blocked,) = [send for send in await outbox.all() if send.state == "suppressed"]
    assert blocked.reason == "frequency_cap"
    # it comes back to arbitration when the cap has room again
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        (check,) = await list_checks(connection, limit=10)
    assert (check.contact_id, check.trigger) == (contact_id, "redecide")
    assert check.check_at > WORKING_HOURS + timedelta(hours=23)


async def test_of_two_messages_to_one_contact_only_one_leaves_whoever_claims_them(
    outbox: Outbox, servers: EmbeddedServers, smtp: DebugSmtp
) -> None:
    contacts = [await outbox.add_contact() for _ in range(15)]
    for contact_id in contacts * 2:
        await outbox.add_send(contact_id=contact_id)
    pools = [database_at(servers.app_database_url, WORKING_HOURS) for _ in range(3)]
    for _ in range(2):  # what one worker left because another held the contact
        await asyncio.gather(*(deliver(Outbox(pool, outbox.tenant_id), smtp) for pool in pools))
    for pool in pools:
        await pool.close()
    receivers = [message.recipients for message in smtp.messages]
    assert len(receivers) == len(set(receivers)) == 15
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        assert await count_sends(connection, outbox.tenant_id) == {"suppressed": 15, "sent": 15}


async def test_a_revocation_suppresses_what_is_queued_on_its_channel_at_once(
    outbox: Outbox,
) -> None:
    contact_id = await outbox.add_contact()
    email = await outbox.add_send(contact_id=contact_id)
    sms = await outbox.add_send(contact_id=contact_id, channel="sms", recipient="+15550123456")
    other = await outbox.add_send()
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        suppressed = await suppress_queued(
            connection,
            outbox.tenant_id,
            contact_id,
            reason="consent_revoked",
            channel="email",
        )
        states = {s.id: s.state for s in await list_sends(connection, outbox.tenant_id)}
    assert suppressed == 1
    assert states == {email: "suppressed", sms: "pending", other: "pending"}


async def test_what_may_have_gone_out_is_not_called_suppressed(
    outbox: Outbox, smtp: DebugSmtp
) -> None:
    contact_id = await outbox.add_contact()
    send_id: SendId = await outbox.add_send(contact_id=contact_id)
    await outbox.execute(
        "UPDATE keepwell.sends SET state = 'sending', attempts = 1, lease_token = 1, "
        "lease_until = keepwell.clock() - interval '1 s' WHERE id = :id",
        id=send_id,
    )
    await outbox.execute(
        "INSERT INTO keepwell.attempts (tenant_id, send_id, n) VALUES (:tenant, :id, 1)",
        tenant=outbox.tenant_id,
        id=send_id,
    )
    await revoke(outbox, contact_id)
    assert await deliver(outbox, smtp) == DeliverySummary(unknown=1)
    send = await outbox.get(send_id)
    assert (send.state, send.reason) == ("unknown", "consent_revoked")


async def test_a_tenant_sees_and_sends_only_its_own(
    outbox: Outbox, other_tenant: TenantId, smtp: DebugSmtp
) -> None:
    await outbox.add_send()
    stranger = Outbox(outbox.database, other_tenant)
    assert await deliver(stranger, smtp) == DeliverySummary()
    assert await stranger.all() == []
    assert smtp.messages == []
