"""Leases on the outbox: who may call the provider for a send, and what became of it.

A row is taken by a lease with a token. Every later change names the token, so a worker that
slept through its lease changes nothing. All times are the database's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import SendId, TenantId
from store.sends import SEND_COLUMNS, Send, send_from


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to call the provider for one send, until it ends or another worker takes over."""

    send_id: SendId
    token: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Result:
    """What is written when an attempt is over.

    Attributes:
        outcome: of the attempt: accepted, temporary, unclear, refused, not_called.
        state: of the send from now on.
        reason: code, None for what was sent.
        detail: for people, None for what was sent.
        next_at: when state is pending.
    """

    outcome: str
    state: str
    reason: str | None = None
    detail: str | None = None
    provider_id: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """Why a locked send is not called now.

    Attributes:
        state: pending until `next_at`, suppressed, or unknown.
        reason: code.
        checks: passed before.
    """

    state: str
    reason: str
    checks: tuple[str, ...]
    next_at: datetime | None = None


# the moment is a parameter: the clock is volatile, and the index on next_at would go unused
_LOCK_DUE = text(
    f"SELECT {SEND_COLUMNS} FROM keepwell.sends s WHERE s.tenant_id = :tenant_id "
    "AND ((s.state = 'pending' AND s.next_at <= :now) "
    "OR (s.state = 'sending' AND s.lease_until < :now)) "
    "ORDER BY s.next_at, s.id LIMIT :limit FOR UPDATE OF s SKIP LOCKED"
)
# tried, never waited for: a claim that holds rows and waits for a contact could close a circle
_LOCK_CONTACTS = text(
    "SELECT c.id, pg_try_advisory_xact_lock(hashtextextended(c.id::text, 0)) "
    "FROM unnest(cast(:contacts AS uuid[])) AS c(id)"
)


async def get_moment(connection: AsyncConnection) -> datetime:
    """Return the product's time, by the database's clock."""
    moment: datetime = (await connection.execute(text("SELECT keepwell.clock()"))).scalar_one()
    return moment


async def lock_due(
    connection: AsyncConnection, tenant_id: TenantId, *, now: datetime, limit: int
) -> list[Send]:
    """Lock sends that are due or whose lease has run out, and their contacts, oldest first.

    Rows that another transaction holds, and rows of contacts that another one holds, are left
    out: whoever gets a row here is alone in counting what that contact has had.
    """
    rows = await connection.execute(_LOCK_DUE, {"tenant_id": tenant_id, "now": now, "limit": limit})
    sends = [send_from(row) for row in rows]
    contacts = sorted({send.contact_id for send in sends})
    locked = await connection.execute(_LOCK_CONTACTS, {"contacts": contacts})
    ours = {contact_id for contact_id, held in locked if held}
    return [send for send in sends if send.contact_id in ours]


_LEASE = text(
    "UPDATE keepwell.sends s SET state = 'sending', attempts = s.attempts + 1, "
    "lease_token = s.lease_token + 1, reason = NULL, checks = t.checks, "
    "lease_until = keepwell.clock() + make_interval(secs => :seconds) "
    "FROM (SELECT unnest(cast(:ids AS uuid[])) AS id, "
    "cast(unnest(cast(:checks AS text[])) AS jsonb) AS checks) t "
    "WHERE s.tenant_id = :tenant_id AND s.id = t.id "
    "RETURNING s.id, s.lease_token, s.attempts"
)
_CLOSE_LOST = text(
    "UPDATE keepwell.attempts SET outcome = 'lost', finished_at = keepwell.clock() "
    "WHERE tenant_id = :tenant_id AND send_id = ANY(cast(:ids AS uuid[])) AND outcome IS NULL"
)
_BEGIN_ATTEMPTS = text(
    "INSERT INTO keepwell.attempts (tenant_id, send_id, n) "
    "SELECT :tenant_id, unnest(cast(:ids AS uuid[])), unnest(cast(:numbers AS integer[]))"
)


async def lease(
    connection: AsyncConnection,
    tenant_id: TenantId,
    checks: Mapping[SendId, Sequence[str]],
    *,
    seconds: float,
) -> dict[SendId, Lease]:
    """Lease the locked sends with the checks they passed, and write their attempts.

    The attempt is on record before the provider is called: a worker that dies on the way leaves
    a trace of what it may have done.
    """
    ids = list(checks)
    rows = await connection.execute(
        _LEASE,
        {
            "tenant_id": tenant_id,
            "ids": ids,
            "checks": [_json(checks[i]) for i in ids],
            "seconds": seconds,
        },
    )
    leases = {row.id: Lease(SendId(row.id), row.lease_token, row.attempts) for row in rows}
    await connection.execute(_CLOSE_LOST, {"tenant_id": tenant_id, "ids": ids})
    await connection.execute(
        _BEGIN_ATTEMPTS,
        {
            "tenant_id": tenant_id,
            "ids": list(leases),
            "numbers": [taken.attempt for taken in leases.values()],
        },
    )
    return leases


async def set_aside(
    connection: AsyncConnection,
    tenant_id: TenantId,
    send_id: SendId,
    aside: Aside,
) -> None:
    """Change a locked send without a call."""
    await connection.execute(_CLOSE_LOST, {"tenant_id": tenant_id, "ids": [send_id]})
    await connection.execute(
        text(
            "UPDATE keepwell.sends SET state = :state, reason = :reason, lease_until = NULL, "
            "checks = cast(:checks AS jsonb), next_at = coalesce(:next_at, next_at) "
            "WHERE tenant_id = :tenant_id AND id = :id"
        ),
        {
            "tenant_id": tenant_id,
            "id": send_id,
            "state": aside.state,
            "reason": aside.reason,
            "checks": _json(aside.checks),
            "next_at": aside.next_at,
        },
    )


async def record(
    connection: AsyncConnection, tenant_id: TenantId, held: Lease, result: Result
) -> bool:
    """Write the result of an attempt; False, and nothing changed, if the lease is another's."""
    changed = await connection.execute(
        text(
            "UPDATE keepwell.sends SET state = :state, reason = :reason, lease_until = NULL, "
            "provider_id = coalesce(:provider_id, provider_id), "
            "next_at = coalesce(:next_at, next_at), "
            "sent_at = CASE WHEN :state = 'sent' THEN keepwell.clock() END "
            "WHERE tenant_id = :tenant_id AND id = :id AND lease_token = :token "
            "AND state = 'sending'"
        ),
        {
            "tenant_id": tenant_id,
            "id": held.send_id,
            "token": held.token,
            "state": result.state,
            "reason": result.reason,
            "provider_id": result.provider_id,
            "next_at": result.next_at,
        },
    )
    if changed.rowcount == 0:
        return False
    await connection.execute(
        text(
            "UPDATE keepwell.attempts SET outcome = :outcome, detail = :detail, "
            "finished_at = keepwell.clock() "
            "WHERE tenant_id = :tenant_id AND send_id = :id AND n = :n"
        ),
        {
            "tenant_id": tenant_id,
            "id": held.send_id,
            "n": held.attempt,
            "outcome": result.outcome,
            "detail": result.detail,
        },
    )
    return True


def _json(values: Sequence[str]) -> str:
    return orjson.dumps(list(values)).decode()
