"""Put a message into the outbox, with what it gives away reserved from its budget."""

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from store.budgets import Gift, release, reserve
from store.sends import NewSend, add_send_and_wake, has_send

OUT_OF_BUDGET = "budget_exhausted"


async def queue_send(
    connection: AsyncConnection, tenant_id: TenantId, send: NewSend, gift: Gift | None
) -> str:
    """Reserve what the message gives and add it to the outbox.

    Returns 'promised', 'budget_exhausted' or 'duplicate'; nothing is reserved for the last two.
    """
    if gift is not None and not await reserve(connection, tenant_id, gift):
        return OUT_OF_BUDGET
    if await add_send_and_wake(connection, tenant_id, send):
        return "promised"
    # this very message may be in the outbox from before; then its reservation stays
    if gift is not None and not await has_send(connection, tenant_id, send.id):
        await release(connection, tenant_id, send.id)
    return "duplicate"
