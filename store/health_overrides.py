"""What people set about a contact's health; no analysis changes these rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId
from store.bulk import read_frame


@dataclass(frozen=True, slots=True)
class NewOverride:
    """What a person says: a level, a score or both, why, and until when (aware)."""

    contact_id: ContactId
    reason: str
    author: str
    expires_at: datetime
    health_score: int | None = None
    risk_level: str | None = None


async def add_override(
    connection: AsyncConnection, tenant_id: TenantId, override: NewOverride
) -> int:
    """Add an override and return its number; the newest one in force counts."""
    return int(
        await connection.scalar(
            text(
                "INSERT INTO keepwell.health_overrides (tenant_id, contact_id, health_score, "
                "risk_level, reason, author, expires_at) VALUES (:tenant, :contact, :score, "
                ":level, :reason, :author, :until) RETURNING id"
            ),
            {
                "tenant": tenant_id,
                "contact": override.contact_id,
                "score": override.health_score,
                "level": override.risk_level,
                "reason": override.reason,
                "author": override.author,
                "until": override.expires_at,
            },
        )
        or 0
    )


async def lift_overrides(connection: AsyncConnection, contact_id: ContactId, by: str) -> list[int]:
    """Lift all that are in force for a contact; return their numbers."""
    rows = await connection.execute(
        text(
            "UPDATE keepwell.health_overrides SET lifted_at = keepwell.clock(), lifted_by = :by "
            "WHERE contact_id = :contact AND lifted_at IS NULL AND expires_at > keepwell.clock() "
            "RETURNING id"
        ),
        {"contact": contact_id, "by": by},
    )
    return sorted(row[0] for row in rows)


async def list_overrides_at(connection: AsyncConnection, at: datetime) -> pl.DataFrame:
    """Return the override in force at a moment of each contact that has one.

    Columns: contact_id, override_id, override_score, override_level, override_reason. What was set
    within a minute after the moment counts as set then: two machines' clocks are that close.
    """
    query = """SELECT DISTINCT ON (contact_id) contact_id::text, id, health_score, risk_level,
                      'set by ' || author || ' until '
                        || to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
                        || ' UTC: ' || reason
                 FROM keepwell.health_overrides
                WHERE made_at <= {at} + interval '1 minute' AND expires_at > {at}
                  AND (lifted_at IS NULL OR lifted_at > {at} + interval '1 minute')
                ORDER BY contact_id, id DESC"""
    schema: dict[str, Any] = {
        "contact_id": pl.String,
        "override_id": pl.Int64,
        "override_score": pl.Int64,
        "override_level": pl.String,
        "override_reason": pl.String,
    }
    return await read_frame(connection, query, schema, at=at)
