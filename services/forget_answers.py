"""Delete the answers to idempotency keys that are no longer given."""

from engine.ids import TenantId
from services.wiring import Runtime
from store.idempotency import delete_outdated_answers


async def forget_answers(runtime: Runtime, tenant_id: TenantId) -> int:
    """Delete the tenant's outdated answers and return how many there were."""
    async with runtime.database.transaction(tenant_id) as connection:
        return await delete_outdated_answers(connection, tenant_id)
