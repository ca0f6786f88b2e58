"""Writes what became of an attempt: send, event and CRM activity in one transaction."""

import logging
from datetime import timedelta

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import KeepwellError
from engine.ids import TenantId
from gateways.sender import Receipt
from services.deliver_claim import LOCAL_CHANNELS, Claimed
from services.deliver_outcome import Terms, after_acceptance, after_error, after_no_call
from services.redecide import comes_back, redecide
from store.leases import Result, get_moment, record
from store.sends import Send
from store.touches import add_message_activity, add_sent_event, add_task_activity

log = logging.getLogger(__name__)

LOST_LEASE = "lost_lease"


async def record_end(
    connection: AsyncConnection,
    tenant_id: TenantId,
    claimed: Claimed,
    end: Receipt | KeepwellError | None,
    *,
    key_lifetime: timedelta | None,
    terms: Terms,
) -> str:
    """Write how the attempt ended, in the caller's transaction; return the send's state.

    `end` is the receipt, the error, or None if the call was not begun. If another worker has
    taken the send over meanwhile, nothing is written and LOST_LEASE is returned.
    """
    send = claimed.send
    now = await get_moment(connection)
    result: Result
    if end is None:
        result = after_no_call(now)
    elif isinstance(end, Receipt):
        result = after_acceptance(end)
    else:
        result = after_error(
            send, claimed.lease.attempt, end, key_lifetime=key_lifetime, now=now, terms=terms
        )
    if not await record(connection, tenant_id, claimed.lease, result):
        log.warning("send %s: another worker took over, its result stands", send.id)
        return LOST_LEASE
    if result.state == "failed" and comes_back(result.reason):
        await redecide(connection, tenant_id, send.contact_id, at=now)
    if result.state == "sent":
        await _leave_traces(connection, tenant_id, send)
    return result.state


async def _leave_traces(connection: AsyncConnection, tenant_id: TenantId, send: Send) -> None:
    await add_sent_event(connection, tenant_id, send)
    if send.channel in LOCAL_CHANNELS:
        await add_task_activity(connection, tenant_id, send, due_at=send.not_after)
        return
    # The message is out whatever the CRM's own triggers think of one more activity: an error
    # there must not undo the record, or the message would go out again.
    try:
        async with connection.begin_nested():
            await add_message_activity(connection, tenant_id, send)
    except DBAPIError:
        if connection.invalidated:
            raise
        log.exception("send %s: the CRM refused the activity", send.id)
