"""One nightly look per kind, tenant and day, however many workers there are."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


async def begin_nightly(
    connection: AsyncConnection, tenant_id: TenantId, run_id: UUID, as_of: datetime, *, kind: str
) -> bool:
    """Note that a run began; False if it was there already or somebody is at it.

    Until the transaction ends nobody else begins one for the tenant; if it is rolled back, the run
    has not begun.
    """
    held = await connection.scalar(
        text("SELECT pg_try_advisory_xact_lock(hashtextextended(:kind || ' ' || :tenant, 0))"),
        {"tenant": str(tenant_id), "kind": kind},
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
