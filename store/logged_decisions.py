"""Decisions that were sent, with the probabilities they were made with and what came of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One decision; `treatment` holds context, allowed arms and probabilities by factor."""

    contact_id: UUID
    channel: str
    slot: str
    treatment: Mapping[str, Any]
    reward: float


async def list_logged_decisions(
    connection: AsyncConnection, *, settled_days: int
) -> list[LoggedDecision]:
    """Return sent decisions at least this old, whose allowed arms were logged, oldest first.

    Younger ones are left out, answered or not: who answers quickly would count too much.
    """
    rows = await connection.execute(
        text(
            "SELECT d.contact_id, d.channel, d.slot, d.treatment::text, coalesce(r.reward, 0) "
            "FROM keepwell.sends s "
            "JOIN keepwell.decisions d ON d.tenant_id = s.tenant_id AND d.id = s.decision_id "
            "LEFT JOIN keepwell.rewards r "
            "ON r.tenant_id = s.tenant_id AND r.decision_id = s.decision_id "
            "WHERE s.state = 'sent' AND d.treatment->'allowed' IS NOT NULL "
            "AND s.sent_at <= keepwell.clock() - make_interval(days => :days) "
            "ORDER BY d.as_of, d.id"
        ),
        {"days": settled_days},
    )
    return [LoggedDecision(r[0], r[1], r[2], orjson.loads(r[3]), float(r[4])) for r in rows]
