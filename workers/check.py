"""Task: look at one tenant's contacts whose time has come."""

from typing import Any
from uuid import UUID

from engine.ids import TenantId
from services.check_due import check_due
from store.due_checks import WAKE_KIND
from workers.context import WorkerContext

KIND = WAKE_KIND


async def check_tenant(context: WorkerContext, tenant_id: TenantId) -> int:
    """Look at up to one round of contacts; return how many were looked at."""

    async def work() -> int:
        summary = await check_due(context.runtime, tenant_id, stop=context.stop)
        return summary.seen

    return await context.once(f"{KIND}:{tenant_id}", work)


async def check(ctx: dict[str, Any], tenant: str) -> int:
    """Do it as an arq job."""
    context: WorkerContext = ctx["worker"]
    return await check_tenant(context, TenantId(UUID(tenant)))
