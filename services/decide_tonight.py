"""The nightly run: every contact of a tenant is decided for once a day."""

from datetime import datetime, timedelta

from engine.ids import TenantId
from services.dask_executor import Dask
from services.decide_everybody import RunSummary
from services.decide_partitions import decide_partitions
from services.executors import Executor, Here, Processes
from services.settings import Settings
from services.tenant_settings import parse_settings
from services.wiring import Runtime
from store.decision_summaries import claim_run, end_claim
from store.leases import get_moment
from store.playbooks import get_versions

NIGHT_BEGINS_HOUR = 3  # UTC, as the other nightly jobs
# a run that has not ended by then has died with its worker, and is taken up
_GIVEN_UP = timedelta(hours=2)


async def decide_tonight(runtime: Runtime, tenant_id: TenantId) -> RunSummary | None:
    """Decide for all contacts unless it was done today or is under way; None if there was nothing.

    The run is of the moment at which the night begins, so whoever does it, and however often,
    makes the same decisions. A paused tenant has none.
    """
    async with runtime.database.transaction(tenant_id) as connection:
        now = await get_moment(connection)
        versions = await get_versions(connection, now)
        settings = parse_settings(
            versions.settings_json, name=versions.tenant_name, industry=versions.industry
        )
        if settings.paused or now < night_of(now):
            return None
        if not await claim_run(connection, tenant_id, night_of(now), given_up=_GIVEN_UP):
            return None
    done = await decide_partitions(
        runtime, tenant_id, executor_of(runtime.settings), as_of=night_of(now)
    )
    async with runtime.database.transaction(tenant_id) as connection:
        await end_claim(connection, tenant_id, night_of(now))
    return done


def night_of(now: datetime) -> datetime:
    """Return when the night of this day began, UTC."""
    return now.replace(hour=NIGHT_BEGINS_HOUR, minute=0, second=0, microsecond=0)


def executor_of(settings: Settings) -> Executor:
    """Return the executor that the environment asks for."""
    if settings.dask_scheduler:
        return Dask(settings.dask_scheduler)
    return Here() if settings.processes == 1 else Processes(settings.processes)
