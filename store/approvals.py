"""Messages that wait for a person, and what became of the question."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.ids import ContactId, DecisionId, SendId, TenantId
from store.budgets import Gift
from store.sends import NewSend

_MOMENTS = ("next_at", "not_after", "decided_at")


class ApprovalNotFound(NotFound):
    """Nothing of this id has been put before a person."""

    code = "approval_not_found"


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a person.

    Attributes:
        id: of the decision, and of the message to be.
        state: waiting, approved, refused, expired, or overtaken (approved, but the gate said no).
        expires_at: nothing happens without an answer by then.
        reason: what the person said, or the gate's code; None without.
    """

    id: UUID
    contact_id: ContactId
    action: str
    rule: str
    subject: str
    channel: str
    score_cents: float
    message: Mapping[str, Any]
    state: str
    asked_at: datetime
    expires_at: datetime
    settled_by: str | None
    settled_at: datetime | None
    reason: str | None

    def as_send(self) -> NewSend:
        """Return the outbox row to be."""
        told = {name: value for name, value in self.message.items() if name != "gift"}
        household = told.get("household")
        told |= {name: datetime.fromisoformat(told[name]) for name in _MOMENTS}
        return NewSend(
            **told
            | {
                "id": SendId(UUID(told["id"])),
                "decision_id": DecisionId(UUID(told["decision_id"])),
                "contact_id": ContactId(UUID(told["contact_id"])),
                "household": None if household is None else UUID(household),
            }
        )

    def as_gift(self) -> Gift | None:
        """Return what it gives away; None for nothing."""
        told = self.message.get("gift")
        if told is None:
            return None
        return Gift(
            **told
            | {
                "decision_id": UUID(told["decision_id"]),
                "period_start": date.fromisoformat(told["period_start"]),
            }
        )


_COLUMNS = (
    "id, contact_id, action, rule, subject, channel, score_cents, message::text AS message, "
    "state, asked_at, expires_at, settled_by, settled_at, reason"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is put before a person until `send.not_after`.

    Attributes:
        gift: what the message gives away; None for nothing.
    """

    send: NewSend
    gift: Gift | None
    rule: str
    subject: str
    score_cents: float


async def add_approval(
    connection: AsyncConnection, tenant_id: TenantId, question: Question
) -> bool:
    """Put a message before a person; False if the same thing waits for the contact already."""
    send = question.send
    added = await connection.execute(
        text(
            "INSERT INTO keepwell.approvals (tenant_id, id, contact_id, action, rule, subject, "
            "channel, score_cents, message, expires_at) VALUES (:tenant, :id, :contact, :action, "
            ":rule, :subject, :channel, :score, cast(:message AS jsonb), :expires_at) "
            "ON CONFLICT DO NOTHING"
        ),
        {
            "tenant": tenant_id,
            "id": send.id,
            "contact": send.contact_id,
            "action": send.action,
            "rule": question.rule,
            "subject": question.subject,
            "channel": send.channel,
            "score": question.score_cents,
            "message": orjson.dumps(
                {each.name: getattr(send, each.name) for each in fields(send)}
                | {"gift": question.gift}
            ).decode(),
            "expires_at": send.not_after,
        },
    )
    return bool(added.rowcount)


async def lock_approval(connection: AsyncConnection, approval_id: UUID) -> Approval:
    """Return a question, held until the transaction ends.

    Raises:
        ApprovalNotFound: there is none, or it is another tenant's.
    """
    row = (
        await connection.execute(
            text(f"SELECT {_COLUMNS} FROM keepwell.approvals WHERE id = :id FOR UPDATE"),
            {"id": approval_id},
        )
    ).one_or_none()
    if row is None:
        raise ApprovalNotFound(
            f"Nothing called '{approval_id}' was put before a person.",
            hint="'keepwell approvals list' shows what waits.",
        )
    return _approval(row)


async def list_approvals(
    connection: AsyncConnection, *, state: str, limit: int, after: UUID | None = None
) -> list[Approval]:
    """Return questions in a state, what expires first, first; `after` an id of the last page."""
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM keepwell.approvals WHERE state = :state "
            "AND (cast(:after AS uuid) IS NULL OR (expires_at, id) > "
            "(SELECT expires_at, id FROM keepwell.approvals WHERE id = :after)) "
            "ORDER BY expires_at, id LIMIT :limit"
        ),
        {"state": state, "limit": limit, "after": after},
    )
    return [_approval(row) for row in rows]


async def count_approvals(connection: AsyncConnection) -> dict[str, int]:
    """Count questions by state; states without any are absent."""
    rows = await connection.execute(
        text("SELECT state, count(*) FROM keepwell.approvals GROUP BY state ORDER BY state")
    )
    return {row[0]: row[1] for row in rows}


async def settle(
    connection: AsyncConnection,
    approval_id: UUID,
    *,
    state: str,
    by: str,
    reason: str | None = None,
) -> None:
    """Write what became of a question that waits."""
    await connection.execute(
        text(
            "UPDATE keepwell.approvals SET state = :state, settled_by = :by, reason = :reason, "
            "settled_at = keepwell.clock() WHERE id = :id AND state = 'waiting'"
        ),
        {"id": approval_id, "state": state, "by": by, "reason": reason},
    )


async def expire(connection: AsyncConnection, contact_id: ContactId, *, now: datetime) -> int:
    """Close the questions about a contact that nobody answered in time; return how many."""
    closed = await connection.execute(
        text(
            "UPDATE keepwell.approvals SET state = 'expired', settled_by = 'nobody', "
            "settled_at = :now WHERE contact_id = :contact AND state = 'waiting' "
            "AND expires_at <= :now"
        ),
        {"contact": contact_id, "now": now},
    )
    return closed.rowcount


def _approval(row: Row[Any]) -> Approval:
    values = dict(row._mapping)  # noqa: SLF001 - the documented name
    values["message"] = orjson.loads(values["message"])
    return Approval(**values)
