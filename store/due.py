"""Which tenants have something to do: ids alone, seen without a tenant."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


async def list_tenants_with_due_sends(connection: AsyncConnection) -> list[TenantId]:
    """List tenants with a send that is due or whose lease has run out."""
    rows = await connection.execute(text("SELECT keepwell.tenants_with_due_sends() ORDER BY 1"))
    return [TenantId(row[0]) for row in rows]


async def list_tenants_to_learn(connection: AsyncConnection) -> list[TenantId]:
    """List tenants with rewards that no bandit has learnt yet."""
    rows = await connection.execute(text("SELECT keepwell.tenants_to_learn() ORDER BY 1"))
    return [TenantId(row[0]) for row in rows]


async def list_tenants_with_due_checks(connection: AsyncConnection) -> list[TenantId]:
    """List tenants with a contact whose time to be looked at has come."""
    rows = await connection.execute(text("SELECT keepwell.tenants_with_due_checks() ORDER BY 1"))
    return [TenantId(row[0]) for row in rows]
