"""Ask every running experiment whether it is decided, and stop those that are."""

import logging
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from engine.trial import Judged, judged
from services.show_experiments import GUARDS, design_of, goal_window_days, lift_document
from services.wiring import Runtime
from store.audit import AuditLine, add_audit
from store.experiments import (
    Experiment,
    add_notice,
    list_arm_outcomes,
    list_experiments,
    stop_experiment,
)
from store.notifications import notify_people

BY = "keepwell: stop rule"
log = logging.getLogger(__name__)


async def judge_tenant(runtime: Runtime, tenant_id: TenantId) -> int:
    """Judge a tenant's experiments in a transaction of its own; return how many were stopped."""
    async with runtime.database.transaction(tenant_id) as connection:
        return await judge_experiments(connection, tenant_id, now=runtime.clock.now())


async def judge_experiments(
    connection: AsyncConnection, tenant_id: TenantId, *, now: datetime
) -> int:
    """Stop every running experiment that has a verdict, and leave a notice; return how many.

    May run as often as one likes: its intervals hold at all times at once.
    """
    stopped = 0
    for experiment in await list_experiments(connection, state="running"):
        days = await goal_window_days(connection, tenant_id, experiment, now)
        samples = await list_arm_outcomes(connection, experiment, GUARDS, window_days=days)
        goal = samples.pop("goal")
        found = judged(design_of(experiment), goal, samples, mixture=experiment.mixture)
        if found.verdict != "running":
            stopped += await _stop(connection, tenant_id, experiment, found)
    return stopped


async def _stop(
    connection: AsyncConnection, tenant_id: TenantId, experiment: Experiment, found: Judged
) -> int:
    reason = f"{found.guard} rose" if found.guard else "the stop rule"
    done = await stop_experiment(
        connection, experiment.name, verdict=found.verdict, arm=found.arm, reason=reason
    )
    if not done:
        return 0
    detail = {
        "verdict": found.verdict,
        "arm": found.arm or None,
        "guard": found.guard or None,
        "lifts": {arm: lift_document(each) for arm, each in found.lifts.items()},
    }
    await add_notice(
        connection, tenant_id, kind="experiment_stopped", subject=experiment.name, detail=detail
    )
    harmful = found.verdict == "harmful"
    await notify_people(
        connection,
        f"The experiment {experiment.name} has ended",
        _told(experiment, found),
        kind="warning" if harmful else "info",
        about="experiment",
    )
    line = AuditLine(BY, "stop", "experiment", experiment.name, {"verdict": found.verdict})
    await add_audit(connection, tenant_id, line)
    level = logging.WARNING if harmful else logging.INFO
    log.log(level, "tenant %s: experiment %s: %s", tenant_id, experiment.name, found.verdict)
    return 1


def _told(experiment: Experiment, found: Judged) -> str:
    """The end of an experiment in a sentence or two, for those who answer for the tenant."""
    ends = {
        "winner": f"'{found.arm}' works better than every other wording.",
        "no_difference": "The wordings differ by less than what was planned to matter.",
        "harmful": f"'{found.arm}' did harm: {found.guard} rose.",
    }
    said = ends.get(found.verdict, f"Its verdict is {found.verdict}.")
    return (
        f"{said} The bandits choose the wording of {experiment.action} again; "
        f"'keepwell experiments show {experiment.name}' has the figures."
    )
