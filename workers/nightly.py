"""Once a night: the jobs that look at every tenant. Each knows by itself what it did today."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from engine.errors import Unavailable
from engine.ids import TenantId
from services.audit_policy import audit_tonight
from services.decide_tonight import decide_tonight
from services.draw_groups import draw_tonight
from services.forget_answers import forget_answers
from services.health_tonight import (
    drift_tonight,
    retrain_tonight,
    score_tonight,
    texts_tonight,
)
from services.keep_insights import keep_insights_tonight
from services.learn_tonight import learn_tonight
from services.take_in_campaigns import campaigns_tonight
from services.verify_rules import verify_tonight
from services.wiring import Runtime
from store.leases import get_moment
from store.tenants import list_tenant_ids
from workers.context import WorkerContext

log = logging.getLogger(__name__)

Job = Callable[[Runtime, TenantId], Awaitable[object]]

EVERY_SECONDS = 600.0
# by the product's clock, UTC: late evening to midnight in the United States
_HOURS = range(3, 6)

# In this order for each tenant: rules are verified, health is scored, campaigns are taken in and
# new contacts drawn into groups before it is decided; the audit comes after, so that it sees what
# was decided this night and what has left since the last. A job may be asked several times a night
# and by several workers.
JOBS: Sequence[tuple[str, Job]] = (
    ("verify", verify_tonight),
    ("forget answers", forget_answers),
    ("learn", learn_tonight),
    ("insights", keep_insights_tonight),
    ("texts", texts_tonight),
    ("retrain", retrain_tonight),
    ("health", score_tonight),
    ("campaigns", campaigns_tonight),
    ("groups", draw_tonight),
    ("decide", decide_tonight),
    ("audit", audit_tonight),
    ("drift", drift_tonight),
)


def is_night(moment: datetime) -> bool:
    """Tell whether nightly jobs are done at this moment (UTC)."""
    return moment.hour in _HOURS


async def work_nightly(context: WorkerContext) -> None:
    """Do every tenant's nightly jobs, if it is night.

    Raises:
        DatabaseUnavailable: what is left is done at the next look.
    """
    async with context.runtime.database.without_tenant() as connection:
        if not is_night(await get_moment(connection)):
            return
        tenants = await list_tenant_ids(connection)
    await work_for(context, tenants)


async def work_for(context: WorkerContext, tenants: Sequence[TenantId]) -> None:
    """Do the jobs of one tenant after the other until the worker is told to stop."""
    for tenant_id in tenants:
        for name, job in JOBS:
            if context.stop.is_set():
                return
            await _do(context, tenant_id, name, job)


async def _do(context: WorkerContext, tenant_id: TenantId, name: str, job: Job) -> None:
    async def work() -> int:
        await job(context.runtime, tenant_id)
        return 1

    try:
        await context.once(f"{name}:{tenant_id}", work)
    except Unavailable:
        raise
    except Exception:  # one fault must not keep other jobs and other tenants from their night
        log.exception("tenant %s: the nightly job '%s' failed", tenant_id, name)
