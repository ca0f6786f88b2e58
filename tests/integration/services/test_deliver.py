"""Delivery over a real database and a real SMTP receiver: nothing lost, nothing twice."""

import asyncio
from collections.abc import AsyncIterator
from itertools import repeat
from typing import Any

import pytest

from embedded.servers import EmbeddedServers
from engine.ids import TenantId
from gateways.debug_smtp import DebugSmtp
from gateways.email import EmailSender
from gateways.sender import Message, Receipt
from services.deliver import Channels, DeliverySummary, deliver_due
from services.deliver_all import deliver_all_due
from services.deliver_outcome import Terms
from store.database import Database
from store.leases import Lease, Result, get_moment, lock_due, record
from store.leases import lease as take_lease
from store.sends import list_attempts
from tests.factories.outbox import QUICK, WORKING_HOURS, Outbox, database_at, email_only
from tests.factories.smtp_server import (
    ACCEPT_THEN_DROP,
    DROP,
    HANG,
    PERMANENT,
    TEMPORARY,
    moody_server,
)

pytestmark = pytest.mark.integration

SENDER = "Nobody <nobody@keepwell.invalid>"


class WorkerDies(BaseException):
    """What SIGKILL looks like from inside."""


class DiesAfterAcceptance:
    """A sender whose process dies between the provider's answer and the record."""

    key_lifetime = None

    def __init__(self, sender: EmailSender) -> None:
        self._sender = sender

    async def send(self, message: Message) -> Receipt:
        await self._sender.send(message)
        raise WorkerDies

    async def close(self) -> None:
        await self._sender.close()


@pytest.fixture
async def outbox(servers: EmbeddedServers, tenant: TenantId) -> AsyncIterator[Outbox]:
    database = database_at(servers.app_database_url, WORKING_HOURS)
    yield Outbox(database, tenant)
    await database.close()


@pytest.fixture
async def smtp() -> AsyncIterator[DebugSmtp]:
    async with DebugSmtp() as server:
        yield server


@pytest.fixture
async def sender(smtp: DebugSmtp) -> AsyncIterator[EmailSender]:
    email = EmailSender(smtp.url, sender=SENDER)
    yield email
    await email.close()


async def deliver(outbox: Outbox, way: Any, terms: Terms = QUICK) -> DeliverySummary:
    return await deliver_due(outbox.database, email_only(way, terms), outbox.tenant_id)


async def outcomes(outbox: Outbox, send_id: Any) -> list[str | None]:
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        attempts = await list_attempts(connection, outbox.tenant_id, send_id)
    return [attempt.outcome for attempt in attempts]


async def test_a_due_send_goes_out_once_and_leaves_its_traces(
    outbox: Outbox, smtp: DebugSmtp, sender: EmailSender
) -> None:
    send_id = await outbox.add_send()
    assert await deliver(outbox, sender) == DeliverySummary(sent=1)
    assert await deliver(outbox, sender) == DeliverySummary()

    (received,) = smtp.messages
    assert received.message_id == f"<{send_id}@practice.example>"
    assert received.letter["List-Unsubscribe"] == "<https://example.com/u/1>"
    sent = await outbox.get(send_id)
    assert sent.state == "sent"
    assert sent.sent_at is not None
    assert sent.provider_id == received.message_id
    assert sent.checks[0] == "contact_exists"
    assert sent.checks[-1] == "frequency_caps"
    assert await outcomes(outbox, send_id) == ["accepted"]

    (event,) = await outbox.rows("SELECT * FROM keepwell.events")
    assert (event["source"], event["external_id"]) == ("keepwell", f"{send_id}:sent")
    assert (event["type"], event["decision_id"]) == ("message.sent", sent.decision_id)
    (activity,) = await outbox.rows("SELECT * FROM crm_activities")
    assert (activity["activity_type"], activity["direction"]) == ("email", "outbound")
    assert activity["external_id"] == str(send_id)
    assert activity["integration_source"] == "keepwell"
    (contact,) = await outbox.rows("SELECT * FROM crm_contacts")
    assert contact["total_interactions"] == 1
    assert contact["last_contact_method"] == "email"


async def test_what_is_not_due_waits(outbox: Outbox, smtp: DebugSmtp, sender: EmailSender) -> None:
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        now = await get_moment(connection)
    send_id = await outbox.add_send(next_at=now.replace(year=now.year + 1))
    assert await deliver(outbox, sender) == DeliverySummary()
    assert (await outbox.get(send_id)).state == "pending"
    assert smtp.messages == []


async def test_while_smtp_is_down_nothing_is_lost_and_then_each_goes_once(
    outbox: Outbox, smtp: DebugSmtp, sender: EmailSender
) -> None:
    ids = {await outbox.add_send() for _ in range(5)}
    await smtp.stop()
    patient = Terms()
    assert await deliver(outbox, sender, patient) == DeliverySummary(postponed=5)
    waiting = await outbox.all()
    assert {send.state for send in waiting} == {"pending"}
    assert {send.reason for send in waiting} == {"provider_unavailable"}
    assert await deliver(outbox, sender, patient) == DeliverySummary()

    await smtp.start()
    for send_id in ids:
        await outbox.make_due(send_id)
    assert await deliver(outbox, sender, patient) == DeliverySummary(sent=5)
    assert sorted(m.message_id for m in smtp.messages) == sorted(
        f"<{send_id}@practice.example>" for send_id in ids
    )


@pytest.mark.parametrize(
    ("mood", "purpose", "state", "arrived"),
    [
        (TEMPORARY, "service", "sent", 1),
        (TEMPORARY, "marketing", "sent", 1),
        (PERMANENT, "service", "failed", 0),
        (DROP, "service", "sent", 1),
        (ACCEPT_THEN_DROP, "service", "sent", 2),
        (DROP, "marketing", "unknown", 0),
        (ACCEPT_THEN_DROP, "marketing", "unknown", 1),
    ],
)
async def test_what_one_bad_answer_leads_to(
    outbox: Outbox, mood: str, purpose: str, state: str, arrived: int
) -> None:
    send_id = await outbox.add_send(purpose=purpose)
    server, _ = moody_server(iter([mood]))
    async with server:
        sender = EmailSender(server.url, sender=SENDER)
        await deliver(outbox, sender)
        await outbox.make_due(send_id)
        await deliver(outbox, sender)
        await sender.close()
    send = await outbox.get(send_id)
    assert send.state == state
    assert len(server.messages) == arrived
    # a receiver that saw it twice can tell, and saw the very same bytes
    assert len({message.message_id for message in server.messages}) <= 1
    assert len({message.raw for message in server.messages}) <= 1
    assert (send.reason is None) == (state == "sent")


async def test_a_provider_that_hangs_does_not_hold_the_others_up_for_good(outbox: Outbox) -> None:
    hanging, fine = await outbox.add_send(), await outbox.add_send()
    server, mood = moody_server(iter([HANG]))
    async with server:
        sender = EmailSender(server.url, sender=SENDER, timeout_seconds=0.3)
        summary = await deliver(outbox, sender, Terms(parallel_calls=1))
        mood.released.set()
        await sender.close()
    assert summary == DeliverySummary(sent=1, postponed=1)
    states = sorted([(await outbox.get(hanging)).state, (await outbox.get(fine)).state])
    assert states == ["pending", "sent"]


async def test_two_workers_at_once_send_each_message_once(
    outbox: Outbox, servers: EmbeddedServers, smtp: DebugSmtp
) -> None:
    ids = {await outbox.add_send() for _ in range(100)}
    pools = [database_at(servers.app_database_url, WORKING_HOURS) for _ in range(2)]
    senders = [EmailSender(smtp.url, sender=SENDER) for _ in range(2)]
    summaries = await asyncio.gather(
        *(
            deliver_due(pool, email_only(sender), outbox.tenant_id)
            for pool, sender in zip(pools, senders, strict=True)
        )
    )
    for pool, sender in zip(pools, senders, strict=True):
        await pool.close()
        await sender.close()
    assert sum(summary.sent for summary in summaries) == 100
    assert min(summary.sent for summary in summaries) > 0
    assert sorted(m.message_id for m in smtp.messages) == sorted(
        f"<{send_id}@practice.example>" for send_id in ids
    )


async def test_a_worker_that_died_after_acceptance_is_followed_under_the_same_message_id(
    outbox: Outbox, smtp: DebugSmtp, sender: EmailSender
) -> None:
    send_id = await outbox.add_send()
    with pytest.raises(WorkerDies):
        await deliver(outbox, DiesAfterAcceptance(sender))
    assert (await outbox.get(send_id)).state == "sending"
    assert await deliver(outbox, sender) == DeliverySummary()  # its lease still runs
    await outbox.make_due(send_id)
    assert await deliver(outbox, sender) == DeliverySummary(sent=1)
    first, second = smtp.messages
    assert first.raw == second.raw
    assert first.message_id == f"<{send_id}@practice.example>"
    assert await outcomes(outbox, send_id) == ["lost", "accepted"]
    assert len(await outbox.rows("SELECT * FROM crm_activities")) == 1


async def test_an_offer_that_may_have_gone_out_is_never_sent_again(
    outbox: Outbox, smtp: DebugSmtp, sender: EmailSender
) -> None:
    send_id = await outbox.add_send(purpose="marketing")
    with pytest.raises(WorkerDies):
        await deliver(outbox, DiesAfterAcceptance(sender))
    await outbox.make_due(send_id)
    assert await deliver(outbox, sender) == DeliverySummary(unknown=1)
    send = await outbox.get(send_id)
    assert (send.state, send.reason) == ("unknown", "acceptance_unknown")
    assert len(smtp.messages) == 1


async def test_the_result_of_a_worker_that_slept_through_its_lease_is_dropped(
    outbox: Outbox, sender: EmailSender
) -> None:
    send_id = await outbox.add_send()
    stale = await claim_and_sleep(outbox, send_id)
    assert await deliver(outbox, sender) == DeliverySummary(sent=1)
    assert not await record_refusal(outbox, stale)
    assert (await outbox.get(send_id)).state == "sent"
    assert await outcomes(outbox, send_id) == ["lost", "accepted"]


async def test_the_result_is_dropped_while_another_worker_is_calling(outbox: Outbox) -> None:
    send_id = await outbox.add_send()
    stale = await claim_and_sleep(outbox, send_id)
    fresh = await claim_and_sleep(outbox, send_id)
    assert not await record_refusal(outbox, stale)
    assert (await outbox.get(send_id)).state == "sending"
    assert await record_refusal(outbox, fresh)


async def test_the_result_is_dropped_when_the_gate_has_set_the_send_aside(
    outbox: Outbox, sender: EmailSender
) -> None:
    send_id = await outbox.add_send()
    stale = await claim_and_sleep(outbox, send_id)
    await outbox.set_settings(paused=True)
    assert await deliver(outbox, sender) == DeliverySummary(postponed=1)
    assert not await record_refusal(outbox, stale)
    assert (await outbox.get(send_id)).state == "pending"


async def record_refusal(outbox: Outbox, held: Lease) -> bool:
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        result = Result("refused", "failed", reason="provider_refused")
        return await record(connection, outbox.tenant_id, held, result)


async def claim_and_sleep(outbox: Outbox, send_id: Any) -> Lease:
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        now = await get_moment(connection)
        (send,) = await lock_due(connection, outbox.tenant_id, now=now, limit=20)
        leases = await take_lease(connection, outbox.tenant_id, {send.id: ()}, seconds=60)
    await outbox.make_due(send_id)
    return leases[send_id]


async def test_without_enough_lease_left_the_provider_is_not_called(
    outbox: Outbox, smtp: DebugSmtp, sender: EmailSender
) -> None:
    send_id = await outbox.add_send(purpose="marketing")
    held_up = Terms(lease_seconds=10.0, call_seconds=10.0)
    summary = await deliver_due(
        outbox.database, email_only(sender, held_up), outbox.tenant_id, limit=1
    )
    assert summary == DeliverySummary(postponed=1)
    assert smtp.messages == []
    # and since it was not called, even an offer may still go out
    assert await deliver(outbox, sender) == DeliverySummary(sent=1)
    assert await outcomes(outbox, send_id) == ["not_called", "accepted"]


async def test_past_its_time_a_send_that_never_got_through_has_failed(outbox: Outbox) -> None:
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        now = await get_moment(connection)
    send_id = await outbox.add_send(not_after=now.replace(minute=now.minute + 1))
    server, _ = moody_server(repeat(TEMPORARY))
    async with server:
        sender = EmailSender(server.url, sender=SENDER)
        assert await deliver(outbox, sender, Terms(first_retry_seconds=600.0)) == DeliverySummary(
            failed=1
        )
        await sender.close()
    send = await outbox.get(send_id)
    assert (send.state, send.reason) == ("failed", "provider_unavailable")


async def test_a_call_task_becomes_an_open_task_in_the_crm(
    outbox: Outbox, sender: EmailSender
) -> None:
    send_id = await outbox.add_send(
        channel="call_task",
        recipient="+15550123456",
        content={"subject": "Call Ada", "text": "Ask about the crown."},
    )
    assert await deliver(outbox, sender) == DeliverySummary(sent=1)
    send = await outbox.get(send_id)
    (task,) = await outbox.rows("SELECT * FROM crm_activities")
    assert (task["activity_type"], task["is_completed"]) == ("task", False)
    assert (task["subject"], task["description"]) == ("Call Ada", "Ask about the crown.")
    assert task["due_date"] == send.not_after.replace(tzinfo=None)


async def test_a_channel_nobody_serves_waits(outbox: Outbox, sender: EmailSender) -> None:
    send_id = await outbox.add_send(channel="sms", recipient="+15550123456")
    assert await deliver(outbox, sender, Terms()) == DeliverySummary(postponed=1)
    assert (await outbox.get(send_id)).reason == "channel_not_configured"


async def test_a_crm_that_refuses_the_activity_does_not_make_the_message_go_twice(
    outbox: Outbox, servers: EmbeddedServers, smtp: DebugSmtp, sender: EmailSender
) -> None:
    send_id = await outbox.add_send(action="refused by the CRM")
    owner = Database(servers.owner_database_url)
    async with owner.without_tenant() as connection:
        await connection.exec_driver_sql(
            "ALTER TABLE crm_activities ADD CONSTRAINT picky "
            "CHECK (activity_subtype <> 'refused by the CRM')"
        )
    try:
        assert await deliver(outbox, sender) == DeliverySummary(sent=1)
    finally:
        async with owner.without_tenant() as connection:
            await connection.exec_driver_sql("ALTER TABLE crm_activities DROP CONSTRAINT picky")
        await owner.close()
    assert (await outbox.get(send_id)).state == "sent"
    assert len(smtp.messages) == 1
    assert await outbox.rows("SELECT * FROM crm_activities") == []
    assert len(await outbox.rows("SELECT * FROM keepwell.events")) == 1


async def test_draining_serves_every_tenant(
    outbox: Outbox, other_tenant: TenantId, smtp: DebugSmtp, sender: EmailSender
) -> None:
    other = Outbox(outbox.database, other_tenant)
    await outbox.add_send()
    await other.add_send()
    summary = await deliver_all_due(outbox.database, Channels({"email": sender}))
    assert summary.sent >= 2
    assert [send.state for send in (*await outbox.all(), *await other.all())] == ["sent"] * 2


async def test_the_tenants_own_address_stands_in_for_a_message_without_sender(
    outbox: Outbox, smtp: DebugSmtp, sender: EmailSender
) -> None:
    await outbox.set_settings(
        sender={
            "name": "Smile Dental",
            "email": "hi@smile.example",
            "postal_address": "1 Main St",
            "phone": "+15550000000",
        }
    )
    await outbox.add_send(content={"subject": "Hello", "text": "It is time."})
    await deliver(outbox, sender)
    assert smtp.messages[0].letter["From"] == "Smile Dental <hi@smile.example>"
