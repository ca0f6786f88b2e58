"""Messages that are decided and have not left: in the outbox, or before a person."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId
from store.crm_access import THIS_TENANT


@dataclass(frozen=True, slots=True)
class Queued:
    """One such message; `timezone` is the contact's, None if it has none."""

    contact_id: UUID
    timezone: str | None
    action: str
    rule: str | None
    subject: str | None
    purpose: str | None
    channel: str
    score_cents: float
    decided_at: datetime
    send_at: datetime


_OF_CONTACT = f"""
  LEFT JOIN crm_contacts c ON c.tenant_id = {THIS_TENANT} AND c.id = s.contact_id
"""


async def list_queued(connection: AsyncConnection, *, until: datetime) -> list[Queued]:
    """Return what is in the outbox to leave before `until`, the earliest first."""
    rows = await connection.execute(
        text(
            "SELECT s.contact_id, c.timezone, s.action, d.rule, d.subject, s.purpose, s.channel, "
            "d.score_cents, s.decided_at, s.next_at FROM keepwell.sends s "
            "JOIN keepwell.decisions d ON d.tenant_id = s.tenant_id AND d.id = s.decision_id "
            f"{_OF_CONTACT} WHERE s.state IN ('pending', 'sending') AND s.next_at < :until "
            "ORDER BY s.next_at, s.id"
        ),
        {"until": until},
    )
    return [Queued(*row) for row in rows]


async def list_waiting(connection: AsyncConnection) -> list[Queued]:
    """Return what waits for a person, the earliest first."""
    rows = await connection.execute(
        text(
            "SELECT s.contact_id, c.timezone, s.action, s.rule, s.subject, "
            "s.message->>'purpose', s.channel, s.score_cents, s.asked_at, "
            "cast(s.message->>'next_at' AS timestamptz) AS send_at FROM keepwell.approvals s "
            f"{_OF_CONTACT} WHERE s.state = 'waiting' ORDER BY send_at, s.id"
        )
    )
    return [Queued(*row) for row in rows]


async def suppress_promised(
    connection: AsyncConnection, contact_id: ContactId, rule: str, subject: str, *, reason: str
) -> int:
    """Suppress what is queued for a contact by this rule about this subject; return how many.

    What may already have gone out is left to the gate.
    """
    changed = await connection.execute(
        text(
            "UPDATE keepwell.sends s SET state = 'suppressed', reason = :reason "
            "FROM keepwell.decisions d WHERE d.tenant_id = s.tenant_id AND d.id = s.decision_id "
            "AND d.rule = :rule AND d.subject = :subject AND s.contact_id = :contact "
            "AND s.state = 'pending' AND NOT EXISTS (SELECT FROM keepwell.attempts a "
            "WHERE a.tenant_id = s.tenant_id AND a.send_id = s.id "
            "AND coalesce(a.outcome, 'lost') IN ('lost', 'unclear'))"
        ),
        {"contact": contact_id, "rule": rule, "subject": subject, "reason": reason},
    )
    return changed.rowcount
