"""The outbox: what is to be sent, what is being sent under a lease, what became of it.

What takes a row and writes what became of it is in `store/leases.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.ids import ContactId, DecisionId, SendId, TenantId
from store.direct import find_row

WAKE_CHANNEL = "keepwell_wake"


class SendNotFound(NotFound):
    code = "send_not_found"


@dataclass(frozen=True, slots=True)
class NewSend:
    """What a decision puts into the outbox.

    Attributes:
        id: also the provider's idempotency key.
        dedupe_key: at most one send of a tenant has it, those aside that never left.
        content: rendered once: subject, text, html, headers, sender (name, email).
        still: facts that must hold when it is claimed, e.g. {"no": "appointment.booked"}.
        next_at: not before this moment.
        not_after: worthless after this moment.
        household: the contact's account when it was promised.
    """

    id: SendId
    decision_id: DecisionId
    contact_id: ContactId
    dedupe_key: str
    action: str
    purpose: str
    channel: str
    recipient: str
    content: Mapping[str, Any]
    content_source: str
    next_at: datetime
    not_after: datetime
    decided_at: datetime
    still: Sequence[Mapping[str, str]] = ()
    household: UUID | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """A row of the outbox; the names of `NewSend` and what has happened since.

    Attributes:
        attempts: provider calls begun.
        reason: of the last delay or of the end; None while there is none.
        checks: what it passed when it was last claimed, in order.
        rule: the rule that proposed it; None if no rule did.
        unclear_since: when the first attempt began of which nobody knows whether the provider
            accepted it; None if there is none.
    """

    id: SendId
    decision_id: DecisionId
    contact_id: ContactId
    dedupe_key: str
    action: str
    purpose: str
    channel: str
    recipient: str
    content: Mapping[str, Any]
    content_source: str
    still: tuple[Mapping[str, str], ...]
    state: str
    attempts: int
    next_at: datetime
    not_after: datetime
    provider_id: str | None
    reason: str | None
    checks: tuple[str, ...]
    decided_at: datetime
    created_at: datetime
    sent_at: datetime | None
    rule: str | None
    unclear_since: datetime | None
    household: UUID | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One provider call; `outcome` is None while it runs, 'lost' if its worker never reported."""

    n: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    detail: str | None


# the columns of `s` that make a Send
SEND_COLUMNS = (
    "s.id, s.decision_id, s.contact_id, s.dedupe_key, s.action, s.purpose, s.channel, "
    "s.recipient, s.content::text AS content, s.content_source, s.still::text AS still, s.state, "
    "s.attempts, s.next_at, s.not_after, s.provider_id, s.reason, s.checks::text AS checks, "
    "s.decided_at, s.created_at, s.sent_at, s.household, "
    "(SELECT d.rule FROM keepwell.decisions d WHERE d.tenant_id = s.tenant_id "
    "AND d.id = s.decision_id) AS rule, "
    "(SELECT min(a.started_at) FROM keepwell.attempts a WHERE a.tenant_id = s.tenant_id "
    "AND a.send_id = s.id AND coalesce(a.outcome, 'lost') IN ('lost', 'unclear')) AS unclear_since"
)

# ------------------------------------------------------------------------------ what goes in

_INSERT = (
    "INSERT INTO keepwell.sends (tenant_id, id, decision_id, contact_id, dedupe_key, action, "
    "purpose, channel, recipient, content, content_source, still, next_at, not_after, decided_at, "
    "household) "
    "VALUES (:tenant_id, :id, :decision_id, :contact_id, :dedupe_key, :action, :purpose, :channel, "
    ":recipient, cast(:content AS jsonb), :content_source, cast(:still AS jsonb), :next_at, "
    ":not_after, :decided_at, :household) ON CONFLICT (tenant_id, dedupe_key) "
    "WHERE state NOT IN ('suppressed', 'failed') DO NOTHING"
)
_ADD = text(_INSERT)
_ADD_AND_WAKE = (
    f"WITH added AS ({_INSERT} RETURNING id) "
    "SELECT pg_notify(:wake_channel, :wake_payload) FROM added"
)


async def add_sends(
    connection: AsyncConnection, tenant_id: TenantId, sends: Iterable[NewSend]
) -> int:
    """Add to the outbox; return how many were new, by their dedupe_key."""
    added = 0
    for send in sends:
        added += (await connection.execute(_ADD, _row(tenant_id, send))).rowcount
    return added


async def add_send_and_wake(
    connection: AsyncConnection, tenant_id: TenantId, send: NewSend
) -> bool:
    """Add one send and wake the workers once the transaction commits, in one round trip.

    Returns False, and wakes nobody, if a send with its dedupe_key is there already.
    """
    wake = {"wake_channel": WAKE_CHANNEL, "wake_payload": _wake(tenant_id, "deliver")}
    return await find_row(connection, _ADD_AND_WAKE, _row(tenant_id, send) | wake) is not None


def _row(tenant_id: TenantId, send: NewSend) -> dict[str, Any]:
    # field by field: dataclasses.asdict would copy the content through and through
    row = {each.name: getattr(send, each.name) for each in fields(send)}
    return row | {
        "tenant_id": tenant_id,
        "content": _json(send.content),
        "still": _json(list(send.still)),
    }


def _wake(tenant_id: TenantId, kind: str) -> str:
    return _json({"tenant": str(tenant_id), "kind": kind})


async def notify_wake(connection: AsyncConnection, tenant_id: TenantId, kind: str) -> None:
    """Wake the workers for this tenant once the transaction commits; kind: deliver or learn."""
    await connection.execute(
        text("SELECT pg_notify(:channel, :payload)"),
        {"channel": WAKE_CHANNEL, "payload": _wake(tenant_id, kind)},
    )


async def suppress_queued(
    connection: AsyncConnection,
    tenant_id: TenantId,
    contact_id: ContactId,
    *,
    reason: str,
    channel: str | None = None,
    purpose: str | None = None,
) -> int:
    """Suppress what is queued for a contact (on a channel, for a purpose); return how many.

    What may already have gone out is left to the gate, which tells 'suppressed' from 'unknown'.
    """
    changed = await connection.execute(
        text(
            "UPDATE keepwell.sends SET state = 'suppressed', reason = :reason WHERE id IN ("
            "SELECT id FROM keepwell.sends s WHERE tenant_id = :tenant_id "
            "AND contact_id = :contact_id AND state = 'pending' "
            "AND (cast(:channel AS text) IS NULL OR channel = :channel) "
            "AND (cast(:purpose AS text) IS NULL OR purpose = :purpose) "
            "AND NOT EXISTS (SELECT FROM keepwell.attempts a WHERE a.tenant_id = s.tenant_id "
            "AND a.send_id = s.id AND coalesce(a.outcome, 'lost') IN ('lost', 'unclear')) "
            "ORDER BY id FOR UPDATE) AND tenant_id = :tenant_id AND state = 'pending'"
        ),
        {
            "tenant_id": tenant_id,
            "contact_id": contact_id,
            "channel": channel,
            "purpose": purpose,
            "reason": reason,
        },
    )
    return changed.rowcount


# ------------------------------------------------------------------------------ what is read


async def get_send(connection: AsyncConnection, tenant_id: TenantId, send_id: SendId) -> Send:
    """Return one send.

    Raises:
        SendNotFound: there is none of this id.
    """
    row = (
        await connection.execute(
            text(
                f"SELECT {SEND_COLUMNS} FROM keepwell.sends s "
                "WHERE s.tenant_id = :tenant_id AND s.id = :id"
            ),
            {"tenant_id": tenant_id, "id": send_id},
        )
    ).one_or_none()
    if row is None:
        raise SendNotFound(f"There is no send {send_id}.")
    return send_from(row)


async def list_sends(
    connection: AsyncConnection,
    tenant_id: TenantId,
    *,
    state: str | None = None,
    contact_id: ContactId | None = None,
    decision_id: DecisionId | None = None,
    limit: int = 100,
) -> list[Send]:
    """List sends, newest decision first."""
    rows = await connection.execute(
        text(
            f"SELECT {SEND_COLUMNS} FROM keepwell.sends s WHERE s.tenant_id = :tenant_id "
            "AND (cast(:state AS text) IS NULL OR s.state = :state) "
            "AND (cast(:contact_id AS uuid) IS NULL OR s.contact_id = :contact_id) "
            "AND (cast(:decision_id AS uuid) IS NULL OR s.decision_id = :decision_id) "
            "ORDER BY s.decided_at DESC, s.id DESC LIMIT :limit"
        ),
        {
            "tenant_id": tenant_id,
            "state": state,
            "contact_id": contact_id,
            "decision_id": decision_id,
            "limit": limit,
        },
    )
    return [send_from(row) for row in rows]


async def has_send(connection: AsyncConnection, tenant_id: TenantId, send_id: SendId) -> bool:
    """Tell whether the outbox has a send of this id."""
    found = await connection.scalar(
        text("SELECT true FROM keepwell.sends WHERE tenant_id = :tenant_id AND id = :id"),
        {"tenant_id": tenant_id, "id": send_id},
    )
    return bool(found)


async def count_sends(connection: AsyncConnection, tenant_id: TenantId) -> dict[str, int]:
    """Count the tenant's sends by state; states without any are absent."""
    rows = await connection.execute(
        text(
            "SELECT state, count(*) FROM keepwell.sends WHERE tenant_id = :tenant_id "
            "GROUP BY state ORDER BY state"
        ),
        {"tenant_id": tenant_id},
    )
    return {state: count for state, count in rows}  # noqa: C416 - a Row is no pair to mypy


async def list_attempts(
    connection: AsyncConnection, tenant_id: TenantId, send_id: SendId
) -> list[Attempt]:
    """List the provider calls of a send, first one first."""
    rows = await connection.execute(
        text(
            "SELECT n, started_at, finished_at, outcome, detail FROM keepwell.attempts "
            "WHERE tenant_id = :tenant_id AND send_id = :id ORDER BY n"
        ),
        {"tenant_id": tenant_id, "id": send_id},
    )
    return [Attempt(*row) for row in rows]


def send_from(row: Row[Any]) -> Send:
    """Return the send of a row with SEND_COLUMNS."""
    values = dict(row._mapping)  # noqa: SLF001 - the documented name
    values["content"] = orjson.loads(values["content"])
    values["still"] = tuple(orjson.loads(values["still"]))
    values["checks"] = tuple(orjson.loads(values["checks"] or "[]"))
    return Send(**values)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
