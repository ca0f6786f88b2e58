"""A stored decision, explained."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from services.decision_document import decision_document
from store.decisions import find_send_of, get_decision, list_outcomes


async def show_decision(
    connection: AsyncConnection, tenant_id: TenantId, decision_id: UUID
) -> dict[str, Any]:
    """Return a decision with its trace, its profile, what became of its message, and outcomes.

    Raises:
        DecisionNotFound: unknown, or another tenant's.
    """
    row, candidates = await get_decision(connection, decision_id)
    document = decision_document(row, candidates, with_profile=True)
    document["tenant_id"] = str(tenant_id)
    document["decided_at"] = row["decided_at"]
    document["send"] = await find_send_of(connection, decision_id)
    document["outcomes"] = await list_outcomes(connection, decision_id)
    return document
