"""Explain a stored decision, or what would be decided for a contact at any moment."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import KeepwellError, Unavailable
from engine.ids import TenantId
from engine.profile import profile_from
from services.counterfactual import World
from services.decide import checked_as_of, rule_trigger
from services.decision_document import decision_document
from services.explanation import explanation
from services.playbook import playbook_for_replay
from services.profiles import decision_inputs
from services.promise_send import Promise
from services.show_decision import show_decision
from services.wiring import Runtime
from store.decisions import get_decision
from store.profiles import get_contact_id


async def explain_decision(
    connection: AsyncConnection, tenant_id: TenantId, decision_id: UUID
) -> dict[str, Any]:
    """Return a stored decision with its explanation, under the rules and numbers of its time.

    `explanation` is null, and `explanation_note` says why, if what the decision was made with is
    not stored any more; the trace itself is always there. Nothing is changed.

    Raises:
        DecisionNotFound: unknown, or another tenant's.
    """
    document = await show_decision(connection, tenant_id, decision_id)
    row, candidates = await get_decision(connection, decision_id)
    document |= {"stored": True, "explanation": None, "explanation_note": None}
    try:
        playbook = await playbook_for_replay(connection, tenant_id, row)
    except Unavailable:
        raise
    except KeepwellError as error:
        return document | {"explanation_note": error.message}
    world = World(
        playbook,
        profile_from(row["profile"]),
        datetime.fromisoformat(row["as_of"]).astimezone(UTC),
        rule_trigger(row["trigger"]),
    )
    decided = world.decided()
    if (decided.row["rule"], decided.row["reason"]) != (row["rule"], row["reason"]):
        note = "recomputed, the decision comes out differently: 'decisions replay' tells the fields"
        document["explanation_note"] = note
    return document | {"explanation": explanation(world, decided, candidates)}


async def explain_contact(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    contact: str,
    *,
    as_of: datetime | None = None,
) -> dict[str, Any]:
    """Return what would be decided for a contact at `as_of` (default: now), with its explanation.

    Stores and promises nothing. `contact` is our id or 'external:<id>'.

    Raises:
        ContactNotFound: unknown, or another tenant's.
        InvalidInput: `as_of` lies in the future, or before 1970.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    contact_id = await get_contact_id(connection, contact)
    playbook, profile, _ = await decision_inputs(connection, tenant_id, contact_id, moment)
    world = World(playbook, profile, moment)
    decided = world.decided()
    document = decision_document(
        decided.row, decided.candidates, Promise("dry_run"), with_profile=True
    )
    return document | {
        "id": None,
        "stored": False,
        "explanation": explanation(world, decided, decided.candidates),
        "explanation_note": None,
    }
