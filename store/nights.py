"""Jobs of the night: one of a kind per tenant and day, however many workers there are."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


async def begin_night_job(
    connection: AsyncConnection, tenant_id: TenantId, run_id: UUID, kind: str, as_of: datetime
) -> bool:
    """Note that a job began; False if it was done already or somebody is at it.

    Until the transaction ends nobody else begins one of the kind for the tenant; if it is rolled
    back, the job has not begun.
    """
    held = await connection.scalar(
        text("SELECT pg_try_advisory_xact_lock(hashtextextended(:job || ' ' || :tenant, 0))"),
        {"job": kind, "tenant": str(tenant_id)},
    )
    if not held:
        return False
    begun = await connection.execute(
        text(
            "INSERT INTO keepwell.runs (tenant_id, id, kind, as_of) "
            "VALUES (:tenant, :id, :kind, :as_of) ON CONFLICT DO NOTHING"
        ),
        {"tenant": tenant_id, "id": run_id, "kind": kind, "as_of": as_of},
    )
    return begun.rowcount == 1
