"""The versions of a tenant's policy numbers: written once, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """One version to be.

    Attributes:
        digest: of the numbers.
        shipped_digest: of the product's own numbers that they stand on.
        numbers: all of them, JSON text.
        changed: what the tenant has set, by section.
        set_by, reason: for the list of versions.
    """

    digest: str
    shipped_digest: str
    numbers: str
    changed: Mapping[str, Any]
    set_by: str
    reason: str


async def add_policy(
    connection: AsyncConnection, tenant_id: TenantId, policy: NewPolicy, version: int
) -> bool:
    """Add the version of this number; False if another transaction has added it meanwhile."""
    added = await connection.execute(
        text(
            "INSERT INTO keepwell.policy_versions (tenant_id, version, digest, shipped_digest, "
            "numbers, changed, set_by, reason) VALUES (:tenant_id, :version, :digest, "
            ":shipped_digest, :numbers, cast(:changed AS jsonb), :set_by, :reason) "
            "ON CONFLICT DO NOTHING"
        ),
        {
            "tenant_id": tenant_id,
            "version": version,
            "digest": policy.digest,
            "shipped_digest": policy.shipped_digest,
            "numbers": policy.numbers,
            "changed": orjson.dumps(policy.changed).decode(),
            "set_by": policy.set_by,
            "reason": policy.reason,
        },
    )
    return added.rowcount == 1


async def find_newest_policy(connection: AsyncConnection) -> dict[str, Any] | None:
    """Return the version in force with all its columns, None before the first."""
    found = await connection.scalar(
        text(
            "SELECT row_to_json(p)::text FROM keepwell.policy_versions p "
            "ORDER BY version DESC LIMIT 1"
        )
    )
    return None if found is None else dict(orjson.loads(found))


async def find_policy_sections(connection: AsyncConnection, digest: str) -> dict[str, Any]:
    """Return what the tenant had set in the version with these numbers; {} if it is not stored."""
    found = await connection.scalar(
        text(
            "SELECT changed::text FROM keepwell.policy_versions WHERE digest = :digest "
            "ORDER BY version DESC LIMIT 1"
        ),
        {"digest": digest},
    )
    return {} if found is None else dict(orjson.loads(found))


async def find_policy_numbers(connection: AsyncConnection, digest: str) -> str | None:
    """Return the numbers of a digest as JSON text, None if they are not stored."""
    found: str | None = await connection.scalar(
        text("SELECT numbers FROM keepwell.policy_versions WHERE digest = :digest LIMIT 1"),
        {"digest": digest},
    )
    return found


async def list_policies(
    connection: AsyncConnection, *, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """List versions without their numbers, newest first."""
    rows = await connection.execute(
        text(
            "SELECT json_build_object('version', version, 'digest', digest, 'changed', changed, "
            "'set_by', set_by, 'reason', reason, 'effective_at', effective_at)::text "
            "FROM keepwell.policy_versions "
            "WHERE cast(:before AS integer) IS NULL OR version < :before "
            "ORDER BY version DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [orjson.loads(row[0]) for row in rows]


async def lock_policy(connection: AsyncConnection, tenant_id: TenantId) -> None:
    """Let one change of the tenant's policy follow another until the transaction ends."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"policy:{tenant_id}"},
    )


async def get_lever_costs(connection: AsyncConnection, since: datetime) -> tuple[int, float]:
    """Return how many decisions since a moment a lever changed, and what that gave up in cents."""
    row = (
        await connection.execute(
            text(
                "SELECT count(*) FILTER (WHERE lever_cost_cents <> 0), "
                "coalesce(sum(lever_cost_cents), 0) FROM keepwell.decisions "
                "WHERE as_of >= :since"
            ),
            {"since": since},
        )
    ).one()
    return int(row[0]), float(row[1])
