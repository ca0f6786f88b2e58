"""What PostgreSQL says about itself: version, time, roles, row-level security."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.crm_contract import CRM_TABLES
from store.upgrade import pending

# the five tables of the specification; they live beside the CRM's
SPECIFIED_TABLES = (
    "customer_health_scores",
    "customer_journey_stages",
    "customer_journey_progress",
    "retention_campaigns",
    "communication_insights",
)


@dataclass(frozen=True, slots=True)
class Server:
    """The server as one transaction sees it.

    Attributes:
        version: e.g. 18.1.
        major: e.g. 18.
        told_at: the server's time, UTC.
        role: the role that this process uses.
        excess: rights it should not have: superuser, BYPASSRLS, owner of our tables.
    """

    version: str
    major: int
    told_at: datetime
    role: str
    excess: tuple[str, ...]


_SERVER = text(
    "SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000, "
    "clock_timestamp(), current_user::text, r.rolsuper, r.rolbypassrls, "
    "EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'keepwell' AND c.relkind IN ('r', 'p') "
    "AND pg_has_role(current_user, c.relowner, 'USAGE')) "
    "FROM pg_roles r WHERE r.rolname = current_user"
)

# RLS must be on, and for our own tables forced, so that even their owner is bound by it
_UNPROTECTED = text(
    "SELECT n.nspname || '.' || c.relname FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') "
    "AND ((n.nspname = 'keepwell' AND EXISTS (SELECT FROM pg_attribute a "
    "WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)) "
    "OR (n.nspname = 'public' AND c.relname = ANY(:specified))) "
    "AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1"
)

_CRM_UNPROTECTED = text(
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p') AND n.nspname = 'public' AND c.relname = ANY(:tables) "
    "AND NOT c.relrowsecurity ORDER BY 1"
)


async def get_server(connection: AsyncConnection) -> Server:
    """Return what the server says about itself and about our role."""
    row = (await connection.execute(_SERVER)).one()
    rights = (("superuser", row[4]), ("BYPASSRLS", row[5]), ("owner of the tables", row[6]))
    return Server(
        version=row[0],
        major=row[1],
        told_at=row[2],
        role=row[3],
        excess=tuple(name for name, held in rights if held),
    )


async def list_pending_migrations(connection: AsyncConnection) -> list[str]:
    """List the revisions that the database lacks, oldest first."""
    return await connection.run_sync(pending)


async def list_unprotected_tables(connection: AsyncConnection) -> list[str]:
    """List our tables with a tenant column whose row-level security is not on and forced."""
    rows = await connection.execute(_UNPROTECTED, {"specified": list(SPECIFIED_TABLES)})
    return [row[0] for row in rows]


async def list_unprotected_crm_tables(connection: AsyncConnection) -> list[str]:
    """List the CRM's tables without row-level security; an adopted CRM may have left it off."""
    rows = await connection.execute(_CRM_UNPROTECTED, {"tables": list(CRM_TABLES)})
    return [row[0] for row in rows]
