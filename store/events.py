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
    values = {
        "tenant": tenant_id,
        "source": event.source,
        "external_id": event.external_id,
        "decision": decision_id,
        "kind": kind,
        "reward": reward,
        "occurred_at": event.occurred_at,
    }
    await connection.execute(
        text(
            "INSERT INTO keepwell.outcomes (tenant_id, source, external_id, decision_id, kind, "
            "reward, occurred_at) VALUES (:tenant, :source, :external_id, :decision, :kind, "
            ":reward, :occurred_at) ON CONFLICT DO NOTHING"
        ),
        values,
    )
    total = await connection.scalar(
        text(
            "INSERT INTO keepwell.rewards (tenant_id, decision_id, reward) "
            "VALUES (:tenant, :decision, :reward) ON CONFLICT (tenant_id, decision_id) "
            "DO UPDATE SET reward = greatest(keepwell.rewards.reward, excluded.reward), "
            "updated_at = keepwell.clock() RETURNING reward"
        ),
        values,
    )
    return float(total or 0.0)
