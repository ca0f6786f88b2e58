"""A job that is done once a night for each tenant, however many workers there are."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from services.decide import run_id_of
from store.nights import begin_night_job


async def begin_tonight(
    connection: AsyncConnection, tenant_id: TenantId, kind: str, now: datetime
) -> UUID | None:
    """Begin the job of a kind in the caller's transaction; return the id of its run.

    None if it was done since midnight (in the time zone of `now`), or somebody is at it.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    run_id = run_id_of(tenant_id, midnight, kind)
    begun = await begin_night_job(connection, tenant_id, run_id, kind, now)
    return run_id if begun else None
