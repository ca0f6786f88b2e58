"""Task: deliver what is due for one tenant."""

from typing import Any
from uuid import UUID

from engine.ids import TenantId
from services.count_campaigns import count_for_tenant
from services.deliver import deliver_due
from workers.context import WorkerContext

KIND = "deliver"


async def deliver_tenant(context: WorkerContext, tenant_id: TenantId) -> int:
    """Deliver up to one round of the tenant's due sends; return how many were dealt with."""

    async def work() -> int:
        summary = await deliver_due(
            context.runtime.database, context.channels, tenant_id, stop=context.stop
        )
        if summary.sent:
            await count_for_tenant(context.runtime, tenant_id)
        return summary.seen

    return await context.once(f"{KIND}:{tenant_id}", work)


async def deliver(ctx: dict[str, Any], tenant: str) -> int:
    """Do it as an arq job."""
    context: WorkerContext = ctx["worker"]
    return await deliver_tenant(context, TenantId(UUID(tenant)))
