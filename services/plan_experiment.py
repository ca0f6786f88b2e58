"""Plan an experiment on a message: what it compares, and how many messages that will take."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.actions import Action
from engine.errors import InvalidInput
from engine.ids import TenantId
from engine.trial import Design, planned
from services.actions import variants_of
from services.playbook import Playbook, playbook_at
from services.show_experiments import experiment_document
from store.audit import AuditLine, add_audit
from store.experiments import add_experiment, get_experiment
from store.lifts import count_recent_messages

_WEEKS_LOOKED_BACK = 12


@dataclass(frozen=True, slots=True)
class ExperimentWish:
    """What somebody wants to know.

    Attributes:
        name: lower case, digits, dots, dashes.
        action: whose wording is tried.
        arms: its content variants, the control first; empty: all it has.
        smallest: difference in P(goal) that would matter.
        rate: P(goal) expected of the control; None: what the engine believes.
        by: who plans it.
    """

    name: str
    action: str
    by: str
    arms: tuple[str, ...] = ()
    smallest: float = 0.05
    rate: float | None = None
    alpha: float = 0.05
    power: float = 0.8


async def plan_experiment(
    connection: AsyncConnection, tenant_id: TenantId, wish: ExperimentWish, *, now: datetime
) -> dict[str, Any]:
    """Store a planned experiment; return it with the messages and weeks that it will take.

    Raises:
        InvalidInput: no such action or wording, or a design that can't be planned.
        ExperimentConflict: the name is taken.
    """
    playbook = await playbook_at(connection, tenant_id, now)
    action = _action(playbook, wish.action)
    arms = _arms(action, wish.arms)
    rate = action.if_contacted if wish.rate is None else wish.rate
    design = Design(arms, rate, wish.smallest, wish.alpha, wish.power)
    needs = planned(design)
    await add_experiment(
        connection,
        tenant_id,
        {
            "name": _name(wish.name),
            "action": action.id,
            "arms": list(arms),
            "rate": rate,
            "smallest": wish.smallest,
            "alpha": wish.alpha,
            "power": wish.power,
            "units_per_arm": needs.units_per_arm,
            "mixture": needs.mixture,
            "planned_by": wish.by,
        },
    )
    await add_audit(connection, tenant_id, AuditLine(wish.by, "plan", "experiment", wish.name))
    sent = await count_recent_messages(connection, action.id, weeks=_WEEKS_LOOKED_BACK)
    weekly = sent / _WEEKS_LOOKED_BACK
    return {
        **experiment_document(await get_experiment(connection, wish.name)),
        "once_units_per_arm": needs.once_units_per_arm,
        "messages_a_week": round(weekly, 1),
        "weeks": None if not sent else round(needs.units_per_arm * len(arms) / weekly, 1),
    }


def _action(playbook: Playbook, wanted: str) -> Action:
    found = next((a for a in playbook.actions.actions if a.id == wanted), None)
    if found is None:
        raise InvalidInput(
            f"No rule in force proposes the action '{wanted}'.",
            hint=f"There are {', '.join(a.id for a in playbook.actions.actions)}.",
        )
    return found


def _arms(action: Action, wanted: tuple[str, ...]) -> tuple[str, ...]:
    known = variants_of(action)
    unknown = [arm for arm in wanted if arm not in known]
    if unknown or len(wanted or known) < 2:
        raise InvalidInput(
            f"The action '{action.id}' has no two wordings to compare"
            + (f"; not {', '.join(unknown)}." if unknown else "."),
            hint=f"Its wordings are {', '.join(known) or 'none'}; an experiment needs two or more.",
        )
    return wanted or known


def _name(name: str) -> str:
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789_.-")
    if not name or len(name) > 80 or set(name) - allowed or name[0] in "_.-":
        raise InvalidInput(
            f"'{name}' can't name an experiment.",
            hint="Up to 80 lower-case letters, digits, dots, dashes, e.g. recall-wording-2026.",
        )
    return name
