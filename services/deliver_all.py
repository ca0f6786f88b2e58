"""Delivers what is due for every tenant, once, and returns: for the demo and for cron jobs."""

from services.deliver import Channels, DeliverySummary, deliver_due
from store.database import Database
from store.due import list_tenants_with_due_sends


async def deliver_all_due(database: Database, channels: Channels) -> DeliverySummary:
    """Deliver until nothing is due that can be claimed; return what became of it.

    Raises:
        DatabaseUnavailable: PostgreSQL went away; what is left stays in the outbox.
    """
    total = DeliverySummary()
    while True:
        async with database.without_tenant() as connection:
            tenants = await list_tenants_with_due_sends(connection)
        before = total.seen
        for tenant_id in tenants:
            total += await deliver_due(database, channels, tenant_id)
        if total.seen == before:
            return total
