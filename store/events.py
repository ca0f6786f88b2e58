"""The event store, and what events mean for decisions: outcomes and rewards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId

# 'appointment.cancelled' takes 'appointment.booked' about the same appointment back
REVOKING_VERBS = ("cancelled", "refunded", "voided", "reversed")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of the event store; (source, external_id) is unique within a tenant."""

    source: str
    external_id: str
    contact_id: ContactId
    type: str
    occurred_at: datetime
    subject: str | None = None
    amount_cents: int | None = None
    starts_at: datetime | None = None
    decision_id: UUID | None = None
    properties: Mapping[str, Any] | None = None
    value: float | None = None


async def add_event(connection: AsyncConnection, tenant_id: TenantId, event: StoredEvent) -> bool:
    """Add an event; return False if the same source and id is stored already."""
    result = await connection.execute(
        text(
            "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, "
            "occurred_at, subject, amount_cents, starts_at, decision_id, properties, value) VALUES "
            "(:tenant, :source, :external_id, :contact, :type, :occurred_at, :subject, "
            ":amount_cents, :starts_at, :decision_id, cast(:properties AS jsonb), :value) "
            "ON CONFLICT DO NOTHING"
        ),
        {
            "tenant": tenant_id,
            "source": event.source,
            "external_id": event.external_id,
            "contact": event.contact_id,
            "type": event.type,
            "occurred_at": event.occurred_at,
            "subject": event.subject,
            "amount_cents": event.amount_cents,
            "starts_at": event.starts_at,
            "decision_id": event.decision_id,
            "properties": orjson.dumps(event.properties or {}).decode(),
            "value": event.value,
        },
    )
    return result.rowcount == 1


@dataclass(frozen=True, slots=True)
class SentDecision:
    """A decision whose message went out, or a call that was due.

    Attributes:
        rule_set_digest: its rule tells goal and window.
        subject: what it was about; 'contact' for the contact itself.
        sent_at: when the message left.
    """

    id: UUID
    rule: str
    subject: str
    rule_set_digest: str
    sent_at: datetime


async def list_sent_decisions(
    connection: AsyncConnection, contact_id: ContactId, *, until: datetime, limit: int = 20
) -> list[SentDecision]:
    """Return the decisions of a contact whose message left at or before `until`, newest first."""
    rows = await connection.execute(
        text(
            "SELECT d.id, d.rule, d.subject, d.rule_set_digest, s.sent_at FROM keepwell.sends s "
            "JOIN keepwell.decisions d ON d.tenant_id = s.tenant_id AND d.id = s.decision_id "
            "WHERE s.contact_id = :contact AND s.state = 'sent' AND s.sent_at <= :until "
            "ORDER BY s.sent_at DESC, d.id LIMIT :limit"
        ),
        {"contact": contact_id, "until": until, "limit": limit},
    )
    return [SentDecision(*row) for row in rows]


async def add_outcome(
    connection: AsyncConnection,
    tenant_id: TenantId,
    event: StoredEvent,
    *,
    decision_id: UUID,
    kind: str,
    reward: float,
) -> float:
    """Attribute an event to a decision; return the decision's reward, the best of its outcomes."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.outcomes (tenant_id, source, external_id, decision_id, kind, "
            "reward, occurred_at) VALUES (:tenant, :source, :external_id, :decision, :kind, "
            ":reward, :occurred_at) ON CONFLICT DO NOTHING"
        ),
        {
            "tenant": tenant_id,
            "source": event.source,
            "external_id": event.external_id,
            "decision": decision_id,
            "kind": kind,
            "reward": reward,
            "occurred_at": event.occurred_at,
        },
    )
    return await settle_reward(connection, tenant_id, decision_id)


# the best outcome that still stands: a goal about a subject that was taken back later does not
_SETTLE = """
  WITH best AS (
    SELECT o.reward, greatest(0, floor(extract(epoch FROM o.occurred_at - s.sent_at) / 86400)) AS d
      FROM keepwell.outcomes o
      LEFT JOIN keepwell.sends s ON s.tenant_id = o.tenant_id AND s.decision_id = o.decision_id
      LEFT JOIN keepwell.events g ON g.tenant_id = o.tenant_id AND g.source = o.source
                                 AND g.external_id = o.external_id
     WHERE o.decision_id = :decision AND NOT (o.kind = 'goal' AND EXISTS (
       SELECT FROM keepwell.events r
        WHERE r.contact_id = g.contact_id AND r.subject = g.subject
          AND r.occurred_at >= g.occurred_at
          AND split_part(r.type, '.', 1) = split_part(g.type, '.', 1)
          AND split_part(r.type, '.', 2) = ANY(:revoking)))
     ORDER BY o.reward DESC, o.occurred_at, o.external_id LIMIT 1
  )
  INSERT INTO keepwell.rewards (tenant_id, decision_id, reward, delay_days)
  SELECT :tenant, :decision, coalesce((SELECT reward FROM best), 0),
         coalesce((SELECT d FROM best), 0)
  ON CONFLICT (tenant_id, decision_id) DO UPDATE
    SET reward = excluded.reward, delay_days = excluded.delay_days, updated_at = keepwell.clock()
  RETURNING reward
"""


async def settle_reward(
    connection: AsyncConnection, tenant_id: TenantId, decision_id: UUID
) -> float:
    """Set a decision's reward to the best of its outcomes that still stand; return it."""
    total = await connection.scalar(
        text(_SETTLE),
        {"tenant": tenant_id, "decision": decision_id, "revoking": list(REVOKING_VERBS)},
    )
    return float(total or 0.0)


async def list_revoked_goals(connection: AsyncConnection, event: StoredEvent) -> list[UUID]:
    """Return the decisions whose goal was about what this event takes back; none for others."""
    noun, _, verb = event.type.partition(".")
    if verb not in REVOKING_VERBS or event.subject is None:
        return []
    rows = await connection.execute(
        text(
            "SELECT DISTINCT o.decision_id FROM keepwell.events g JOIN keepwell.outcomes o "
            "ON o.tenant_id = g.tenant_id AND o.source = g.source "
            "AND o.external_id = g.external_id AND o.kind = 'goal' "
            "WHERE g.contact_id = :contact AND g.subject = :subject "
            "AND split_part(g.type, '.', 1) = :noun AND g.occurred_at <= :at"
        ),
        {"contact": event.contact_id, "subject": event.subject, "noun": noun,
         "at": event.occurred_at},
    )  # fmt: skip
    return [row[0] for row in rows]
