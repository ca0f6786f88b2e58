"""The audit trail: who did what to which thing; inserted only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class AuditLine:
    """Who did what to which thing; `detail` must hold no personal data."""

    actor: str
    action: str
    entity: str
    entity_id: str
    detail: Mapping[str, Any] = field(default_factory=dict)


async def add_audit(connection: AsyncConnection, tenant_id: TenantId, line: AuditLine) -> None:
    """Write one line of the trail."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.audit_trail (tenant_id, actor, action, entity, entity_id, detail)"
            " VALUES (:tenant, :actor, :action, :entity, :entity_id, cast(:detail AS jsonb))"
        ),
        {
            "tenant": tenant_id,
            "actor": line.actor,
            "action": line.action,
            "entity": line.entity,
            "entity_id": line.entity_id,
            "detail": orjson.dumps(line.detail).decode(),
        },
    )
