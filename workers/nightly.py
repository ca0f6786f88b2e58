"""Once a night: are the rules evaluated alike in every way, for every tenant?"""

import logging
from collections.abc import Sequence
from datetime import datetime

from engine.errors import Unavailable
from engine.ids import TenantId
from services.verify_rules import verify_tonight
from store.leases import get_moment
from store.tenants import list_tenant_ids
from workers.context import WorkerContext

log = logging.getLogger(__name__)

EVERY_SECONDS = 600.0
# by the product's clock, UTC: late evening to midnight in the United States
_HOURS = range(3, 6)


def is_night(moment: datetime) -> bool:
    """Tell whether rules are verified at this moment (UTC)."""
    return moment.hour in _HOURS


async def verify_all(context: WorkerContext) -> None:
    """Verify the rules of every tenant that has not been verified today, if it is night.

    Raises:
        DatabaseUnavailable: what is left is done at the next look.
    """
    async with context.runtime.database.without_tenant() as connection:
        if not is_night(await get_moment(connection)):
            return
        tenants = await list_tenant_ids(connection)
    await verify_tenants(context, tenants)


async def verify_tenants(context: WorkerContext, tenants: Sequence[TenantId]) -> None:
    """Verify one tenant after the other until the worker is told to stop."""
    for tenant_id in tenants:
        if context.stop.is_set():
            return
        await _verify(context, tenant_id)


async def _verify(context: WorkerContext, tenant_id: TenantId) -> None:
    async def work() -> int:
        return int(await verify_tonight(context.runtime, tenant_id) is not None)

    try:
        await context.once(f"verify:{tenant_id}", work)
    except Unavailable:
        raise
    except Exception:  # one tenant's fault must not keep the others from being verified
        log.exception("tenant %s: its rules could not be verified", tenant_id)
