"""Every ten minutes: is a running experiment decided, or does it do harm."""

import logging

from engine.errors import Unavailable
from engine.ids import TenantId
from services.judge_experiments import judge_tenant
from store.tenants import list_tenant_ids
from workers.context import WorkerContext

log = logging.getLogger(__name__)

EVERY_SECONDS = 600.0


async def judge_all(context: WorkerContext) -> None:
    """Judge the experiments of every tenant.

    Raises:
        DatabaseUnavailable: what is left is done at the next look.
    """
    async with context.runtime.database.without_tenant() as connection:
        tenants = await list_tenant_ids(connection)
    for tenant_id in tenants:
        if context.stop.is_set():
            return
        await _judge(context, tenant_id)


async def _judge(context: WorkerContext, tenant_id: TenantId) -> None:
    async def work() -> int:
        return await judge_tenant(context.runtime, tenant_id)

    try:
        await context.once(f"judge:{tenant_id}", work)
    except Unavailable:
        raise
    except Exception:  # one tenant's fault must not keep the others' experiments running
        log.exception("tenant %s: its experiments could not be judged", tenant_id)
