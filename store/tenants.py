"""Tenants and what each has set."""

from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import TenantNotFound
from engine.ids import TenantId
from store.crm_access import THIS_TENANT


async def get_tenant_id(connection: AsyncConnection, slug: str) -> TenantId:
    """Return the id behind a slug; needs no tenant.

    Raises:
        TenantNotFound: no tenant has this slug.
    """
    found = await find_tenant_id(connection, slug)
    if found is None:
        raise TenantNotFound(
            f"There is no tenant '{slug}'.",
            hint="Import data for it first: 'keepwell import --tenant ...' creates it.",
        )
    return found


async def find_tenant_id(connection: AsyncConnection, slug: str) -> TenantId | None:
    """Return the id behind a slug, or None."""
    found: UUID | None = await connection.scalar(
        text("SELECT keepwell.tenant_id_for(:slug)"), {"slug": slug}
    )
    return None if found is None else TenantId(found)


async def list_tenant_ids(connection: AsyncConnection) -> list[TenantId]:
    """List all tenants' ids, oldest first; needs no tenant."""
    rows = await connection.execute(text("SELECT keepwell.tenant_ids()"))
    return [TenantId(row[0]) for row in rows]


async def add_tenant(
    connection: AsyncConnection, tenant_id: TenantId, *, slug: str, name: str, industry: str | None
) -> None:
    """Add a tenant; the transaction must carry its id already."""
    await connection.execute(
        text(
            "INSERT INTO tenants (id, slug, name, industry) VALUES (:id, :slug, :name, :industry)"
        ),
        {"id": tenant_id, "slug": slug, "name": name, "industry": industry},
    )


async def get_industry(connection: AsyncConnection) -> str | None:
    """Return the industry of the transaction's tenant, e.g. healthcare; None if unset.

    Raises:
        TenantNotFound: the CRM has deleted the tenant meanwhile.
    """
    row = (
        await connection.execute(text(f"SELECT industry FROM tenants WHERE id = {THIS_TENANT}"))
    ).one_or_none()
    if row is None:
        raise TenantNotFound("The tenant of this transaction does not exist any more.")
    return None if row[0] is None else str(row[0])


async def get_settings(connection: AsyncConnection, tenant_id: TenantId) -> dict[str, Any]:
    """Return what the tenant has set, {} if nothing."""
    found = await connection.scalar(
        text("SELECT settings::text FROM keepwell.tenant_settings WHERE tenant_id = :id"),
        {"id": tenant_id},
    )
    return {} if found is None else dict(orjson.loads(found))


async def save_settings(
    connection: AsyncConnection, tenant_id: TenantId, settings: dict[str, Any]
) -> None:
    """Replace what the tenant has set."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.tenant_settings (tenant_id, settings) "
            "VALUES (:id, cast(:settings AS jsonb)) "
            "ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings, "
            "updated_at = keepwell.clock()"
        ),
        {"id": tenant_id, "settings": orjson.dumps(settings).decode()},
    )
