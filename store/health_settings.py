"""Weights of the parts of health and bounds of the risk levels: every version kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """One version: what was set, by whom, why and when (UTC)."""

    version: int
    settings: Mapping[str, Any]
    made_by: str
    reason: str
    made_at: datetime


async def list_health_settings(
    connection: AsyncConnection, *, limit: int = 20
) -> list[HealthSettings]:
    """Return the versions, newest first; the first is in force."""
    rows = await connection.execute(
        text(
            "SELECT version, settings, made_by, reason, made_at FROM keepwell.health_settings "
            "ORDER BY version DESC LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [HealthSettings(*row) for row in rows]


async def find_health_settings_json(connection: AsyncConnection, at: datetime) -> str | None:
    """Return what was in force at a moment of the product's clock, as JSON text."""
    found: str | None = await connection.scalar(
        text(
            "SELECT settings::text FROM keepwell.health_settings WHERE made_at <= :at "
            "ORDER BY version DESC LIMIT 1"
        ),
        {"at": at},
    )
    return found


async def add_health_settings(
    connection: AsyncConnection,
    tenant_id: TenantId,
    settings: Mapping[str, Any],
    *,
    by: str,
    reason: str,
) -> int:
    """Add a version and put it in force; return its number. One writer at a time."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('health_settings'), hashtext(:tenant))"),
        {"tenant": str(tenant_id)},
    )
    return int(
        await connection.scalar(
            text(
                "INSERT INTO keepwell.health_settings (tenant_id, version, settings, made_by, "
                "reason) SELECT :tenant, coalesce(max(version), 0) + 1, cast(:settings AS jsonb), "
                ":by, :reason FROM keepwell.health_settings RETURNING version"
            ),
            {
                "tenant": tenant_id,
                "settings": orjson.dumps(settings).decode(),
                "by": by,
                "reason": reason,
            },
        )
        or 0
    )
