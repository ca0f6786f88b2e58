"""What audits have found, each once: a violation stays one, however often it is looked at."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


async def add_new_findings(
    connection: AsyncConnection, tenant_id: TenantId, found: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Note findings by kind and id; return those that no audit had found before."""
    new = set()
    for kind, entity_id in dict.fromkeys(found):
        added = await connection.execute(
            text(
                "INSERT INTO keepwell.audit_findings (tenant_id, kind, id) "
                "VALUES (:tenant, :kind, :id) ON CONFLICT DO NOTHING"
            ),
            {"tenant": tenant_id, "kind": kind, "id": entity_id},
        )
        if added.rowcount:
            new.add((kind, entity_id))
    return new
