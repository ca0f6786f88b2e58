"""Experiments as documents: what was planned, how it stands, how it ended."""

import math
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from engine.lift import Lift
from engine.trial import Design, Judged, judged
from services.playbook import playbook_at
from store.experiments import (
    Experiment,
    get_experiment,
    list_arm_outcomes,
    list_experiments,
    list_notices,
)

# what must not rise, by event; opt-outs and complaints about messages are recorded as such
GUARDS = (
    "opt_out",
    "message.complained",
    "complaint.opened",
    "appointment.no_show",
)
_LONGEST_WEEKS = 520


async def show_experiments(
    connection: AsyncConnection, *, state: str | None = None
) -> dict[str, Any]:
    """Return all experiments, newest first, and the newest notices about them."""
    found = await list_experiments(connection, state=state)
    return {
        "experiments": [experiment_document(each) for each in found],
        "notices": await list_notices(connection),
    }


async def show_experiment(
    connection: AsyncConnection, tenant_id: TenantId, name: str, *, now: datetime
) -> dict[str, Any]:
    """Return an experiment with its arms so far, and how much longer it will take.

    Raises:
        ExperimentNotFound: there is none of that name.
    """
    experiment = await get_experiment(connection, name)
    if experiment.started_at is None:
        return {**experiment_document(experiment), "arms_so_far": [], "standing": None}
    window_days = await goal_window_days(connection, tenant_id, experiment, now)
    samples = await list_arm_outcomes(connection, experiment, GUARDS, window_days=window_days)
    goal = samples.pop("goal")
    found = judged(design_of(experiment), goal, samples, mixture=experiment.mixture)
    elapsed = (experiment.stopped_at or now) - experiment.started_at
    return {
        **experiment_document(experiment),
        "window_days": window_days,
        "arms_so_far": [
            {
                "arm": arm,
                "messages": goal[arm].n if arm in goal else 0,
                "reached": int(goal[arm].total) if arm in goal else 0,
                "share": goal[arm].mean if arm in goal else None,
                **({"lift": lift_document(found.lifts[arm])} if arm in found.lifts else {}),
                "guards": {
                    guard: int(by_arm[arm].total) if arm in by_arm else 0
                    for guard, by_arm in samples.items()
                },
            }
            for arm in experiment.arms
        ],
        "standing": _standing(found, min((s.n for s in goal.values()), default=0), elapsed.days),
    }


async def goal_window_days(
    connection: AsyncConnection, tenant_id: TenantId, experiment: Experiment, now: datetime
) -> int:
    """Return the attribution window of the action; two weeks where no rule proposes it any more."""
    playbook = await playbook_at(connection, tenant_id, now)
    action = next((a for a in playbook.actions.actions if a.id == experiment.action), None)
    return 14 if action is None else action.goal_window_days


def design_of(experiment: Experiment) -> Design:
    """Return the design that was planned."""
    return Design(
        experiment.arms, experiment.rate, experiment.smallest, experiment.alpha, experiment.power
    )


def lift_document(found: Lift) -> dict[str, Any]:
    """Return a lift as plain values."""
    return {**asdict(found), "decided": found.decided}


def _standing(found: Judged, have: int, days: int) -> dict[str, Any]:
    weeks = None
    if found.units_more is not None and have and days:
        weeks = math.ceil(found.units_more / (have / days * 7.0))
    return {
        "verdict": found.verdict,
        "arm": found.arm or None,
        "guard": found.guard or None,
        "messages_per_arm_more": found.units_more,
        "weeks_more": weeks if weeks is None or weeks <= _LONGEST_WEEKS else None,
    }


def experiment_document(experiment: Experiment) -> dict[str, Any]:
    """Return what is stored of it as plain values."""
    told = asdict(experiment)
    told["arms"] = list(experiment.arms)
    for name in ("planned_at", "started_at", "stopped_at"):
        told[name] = None if told[name] is None else told[name].isoformat()
    return told
