"""Work out when and how every contact is reached best, and keep it in communication_insights."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from engine.insights import insights
from services.playbook import playbook_at
from services.profiles import zoned
from services.wiring import Runtime
from store.insights import find_last_insights, list_messages, save_insights
from store.profiles import list_contacts

_HISTORY_DAYS = 730
_LEAST_HOURS = 20  # between two nights' work


async def keep_insights(
    connection: AsyncConnection, tenant_id: TenantId, *, as_of: datetime
) -> dict[str, Any]:
    """Write a row for every contact known at `as_of`; return a summary."""
    playbook = await playbook_at(connection, tenant_id, as_of)
    contacts = zoned(await list_contacts(connection, as_of), playbook.settings.time_zone)
    since = as_of - timedelta(days=_HISTORY_DAYS)
    messages = await list_messages(connection, as_of, since=since)
    open_days = [window for window in playbook.policy.windows if window is not None]
    hours = (
        min((start for start, _ in open_days), default=9 * 60) // 60,
        max((end for _, end in open_days), default=18 * 60) // 60,
    )
    rows = insights(contacts, messages, as_of=as_of, hours=hours)
    written = await save_insights(connection, tenant_id, rows, as_of)
    return {
        "as_of": as_of.isoformat(),
        "contacts": written,
        "messages": messages.height,
        "with_messages": sum(row["detail"]["messages"] > 0 for row in rows),
    }


async def keep_insights_tonight(runtime: Runtime, tenant_id: TenantId) -> dict[str, Any] | None:
    """Do it in a transaction of its own, unless it has been done tonight."""
    async with runtime.database.transaction(tenant_id) as connection:
        now = runtime.clock.now()
        last = await find_last_insights(connection)
        if last is not None and now - last < timedelta(hours=_LEAST_HOURS):
            return None
        return await keep_insights(connection, tenant_id, as_of=now)
