"""A delivery process that is there to be killed."""

import asyncio
from datetime import timedelta

from engine.ids import TenantId
from gateways.email import EmailSender
from services.deliver import deliver_due
from services.deliver_outcome import Terms
from store.database import Database
from tests.factories.outbox import email_only

# short enough that a lease left behind by a killed worker runs out within the test
HURRIED = Terms(
    batch=6,
    lease_seconds=2.0,
    call_seconds=0.9,
    parallel_calls=3,
    first_retry_seconds=0.02,
    longest_retry_seconds=0.2,
)


def work(database_url: str, offset: timedelta, smtp_url: str, tenant_id: TenantId) -> None:
    """Deliver again and again until killed."""
    asyncio.run(_work(database_url, offset, smtp_url, tenant_id))


async def _work(database_url: str, offset: timedelta, smtp_url: str, tenant_id: TenantId) -> None:
    database = Database(database_url, clock_offset=offset, pool_size=4)
    sender = EmailSender(smtp_url, sender="nobody@keepwell.invalid", timeout_seconds=0.7)
    while True:
        await deliver_due(database, email_only(sender, HURRIED), tenant_id)
        await asyncio.sleep(0.02)
