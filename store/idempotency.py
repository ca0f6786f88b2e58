"""Answers kept by `Idempotency-Key`, so that a repeated request gets the first answer again.

The answer is stored in the transaction that did the work: either both are there or neither.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import IdempotencyConflict, InvalidInput
from engine.ids import TenantId

# a client that repeats a request after a day means a new one; the same span as Stripe's
KEPT_FOR = timedelta(hours=24)


class IdempotencyKeyReused(InvalidInput):
    """The key was used before with another request; nothing was done."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first request with this key was answered."""

    status: int
    body: bytes


async def lock_key(connection: AsyncConnection, tenant_id: TenantId, key: str) -> None:
    """Hold the key until the transaction ends.

    Raises:
        IdempotencyConflict: another request with this key is under way.
    """
    digest = hashlib.sha256(tenant_id.bytes + key.encode()).digest()
    number = int.from_bytes(digest[:8], signed=True)
    free = await connection.scalar(
        text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number}
    )
    if not free:
        raise _in_flight()


async def find_answer(
    connection: AsyncConnection, tenant_id: TenantId, key: str, request_sha256: bytes
) -> StoredAnswer | None:
    """Return the stored answer, None if the key is new. Call it after `lock_key`.

    Raises:
        IdempotencyKeyReused: the key belongs to a request with another content.
    """
    result = await connection.execute(
        text(
            "SELECT request_sha256, status, response FROM keepwell.idempotency_keys "
            "WHERE tenant_id = :tenant_id AND key = :key "
            "AND created_at > keepwell.clock() - cast(:kept_for AS interval)"
        ),
        {"tenant_id": tenant_id, "key": key, "kept_for": KEPT_FOR},
    )
    row = result.first()
    if row is None:
        return None
    if bytes(row[0]) != request_sha256:
        raise IdempotencyKeyReused(
            "This Idempotency-Key was used with another request.",
            hint="Use a new key for a new request; repeat a request unchanged.",
        )
    return StoredAnswer(status=row[1], body=bytes(row[2]))


async def add_answer(
    connection: AsyncConnection,
    tenant_id: TenantId,
    key: str,
    request_sha256: bytes,
    answer: StoredAnswer,
) -> None:
    """Store the answer; an outdated one of the same key gives way.

    Raises:
        IdempotencyConflict: somebody stored an answer meanwhile; the transaction must roll back.
    """
    result = await connection.execute(
        text(
            "INSERT INTO keepwell.idempotency_keys AS kept "
            "(tenant_id, key, request_sha256, status, response) "
            "VALUES (:tenant_id, :key, :request_sha256, :status, :response) "
            "ON CONFLICT (tenant_id, key) DO UPDATE SET request_sha256 = excluded.request_sha256, "
            "status = excluded.status, response = excluded.response, "
            "created_at = excluded.created_at "
            "WHERE kept.created_at <= keepwell.clock() - cast(:kept_for AS interval)"
        ),
        {
            "tenant_id": tenant_id,
            "key": key,
            "request_sha256": request_sha256,
            "status": answer.status,
            "response": answer.body,
            "kept_for": KEPT_FOR,
        },
    )
    if result.rowcount == 0:
        raise _in_flight()


async def delete_outdated_answers(connection: AsyncConnection, tenant_id: TenantId) -> int:
    """Delete the tenant's answers that are no longer given; return how many."""
    result = await connection.execute(
        text(
            "DELETE FROM keepwell.idempotency_keys WHERE tenant_id = :tenant_id "
            "AND created_at <= keepwell.clock() - cast(:kept_for AS interval)"
        ),
        {"tenant_id": tenant_id, "kept_for": KEPT_FOR},
    )
    return result.rowcount


def _in_flight() -> IdempotencyConflict:
    return IdempotencyConflict(
        "A request with this Idempotency-Key is under way.",
        hint="Wait for its answer, or repeat the request in a second.",
    )
