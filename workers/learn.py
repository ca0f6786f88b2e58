"""Task: let one tenant's bandits learn from the rewards that came in, and count its campaigns."""

from typing import Any
from uuid import UUID

from engine.ids import TenantId
from services.count_campaigns import count_for_tenant
from services.learn import learn_tenant as learn_from_rewards
from workers.context import WorkerContext

KIND = "learn"


async def learn_tenant(context: WorkerContext, tenant_id: TenantId) -> int:
    """Learn what the tenant's rewards say; return how many there were."""

    async def work() -> int:
        learned = await learn_from_rewards(context.runtime, tenant_id)
        await count_for_tenant(context.runtime, tenant_id)
        return learned

    return await context.once(f"{KIND}:{tenant_id}", work)


async def learn(ctx: dict[str, Any], tenant: str) -> int:
    """Do it as an arq job."""
    context: WorkerContext = ctx["worker"]
    return await learn_tenant(context, TenantId(UUID(tenant)))
