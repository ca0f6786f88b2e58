"""How far each import of a file has come: one row per tenant, mapping and file content."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict
from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """An import as its last committed chunk left it.

    Attributes:
        rows_done: data rows consumed, the rejected ones included.
        finished_at: UTC; None until the file's end was reached.
    """

    id: UUID
    rows_done: int
    rows_rejected: int
    state: str
    finished_at: datetime | None


async def lock_imports(connection: AsyncConnection, name: str) -> None:
    """Let one import at a time write, until the transaction ends; `name` is the tenant's slug.

    The transaction may idle: it has no snapshot and keeps nothing from being cleaned up.
    """
    await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('keepwell import ' || :name, 0))"),
        {"name": name},
    )


async def may_overlap(connection: AsyncConnection) -> bool:
    """Whether two transactions that insert contacts and activities never wait for each other.

    Triggers of the CRM itself may lock whatever they like: a row of statistics, say.
    """
    found = await connection.execute(
        text(
            "SELECT NOT EXISTS (SELECT FROM pg_trigger t WHERE NOT t.tgisinternal "
            "AND t.tgtype & 4 > 0 AND t.tgname <> 'trigger_update_contact_interactions' "  # INSERT
            "AND t.tgrelid IN ('crm_accounts'::regclass, 'crm_contacts'::regclass, "
            "'crm_deals'::regclass, 'crm_activities'::regclass))"
        )
    )
    return bool(found.scalar_one())


async def add_import(
    connection: AsyncConnection,
    tenant_id: TenantId,
    *,
    mapping: str,
    mapping_digest: str,
    file_name: str,
    file_digest: str,
) -> ImportProgress:
    """Return the import of this content with this mapping; begin it if there is none."""
    digests = {"tenant": tenant_id, "mapping_digest": mapping_digest, "file_digest": file_digest}
    await connection.execute(
        text(
            "INSERT INTO keepwell.imports "
            "(tenant_id, mapping, mapping_digest, file_name, file_digest) "
            "VALUES (:tenant, :mapping, :mapping_digest, :file_name, :file_digest) "
            "ON CONFLICT (tenant_id, mapping_digest, file_digest) DO NOTHING"
        ),
        {**digests, "mapping": mapping, "file_name": file_name},
    )
    row = (
        await connection.execute(
            text(
                "SELECT id, rows_done, rows_rejected, state, finished_at FROM keepwell.imports "
                "WHERE tenant_id = :tenant AND mapping_digest = :mapping_digest "
                "AND file_digest = :file_digest"
            ),
            digests,
        )
    ).one()
    return ImportProgress(row.id, row.rows_done, row.rows_rejected, row.state, row.finished_at)


async def restart_import(
    connection: AsyncConnection, tenant_id: TenantId, import_id: UUID
) -> ImportProgress:
    """Set an import back to the file's first row; what it wrote stays."""
    await connection.execute(
        text(
            "UPDATE keepwell.imports SET rows_done = 0, rows_rejected = 0, state = 'running', "
            "finished_at = NULL WHERE tenant_id = :tenant AND id = :id"
        ),
        {"tenant": tenant_id, "id": import_id},
    )
    return ImportProgress(import_id, 0, 0, "running", None)


async def save_progress(
    connection: AsyncConnection,
    tenant_id: TenantId,
    before: ImportProgress,
    *,
    rows: int,
    rejected: int,
) -> ImportProgress:
    """Note a chunk in the transaction that inserts it.

    Raises:
        Conflict: another process has moved this import on since `before`.
    """
    moved = await connection.execute(
        text(
            "UPDATE keepwell.imports SET rows_done = rows_done + :rows, "
            "rows_rejected = rows_rejected + :rejected "
            "WHERE tenant_id = :tenant AND id = :id AND rows_done = :before AND state = 'running'"
        ),
        {
            "tenant": tenant_id,
            "id": before.id,
            "before": before.rows_done,
            "rows": rows,
            "rejected": rejected,
        },
    )
    if moved.rowcount != 1:
        raise Conflict(
            "Another process is importing the same file for the same tenant.",
            hint="Let it finish, or stop it and repeat this command.",
        )
    return ImportProgress(
        before.id, before.rows_done + rows, before.rows_rejected + rejected, "running", None
    )


async def finish_import(connection: AsyncConnection, tenant_id: TenantId, import_id: UUID) -> None:
    """Note that the file's end was reached."""
    await connection.execute(
        text(
            "UPDATE keepwell.imports SET state = 'done', finished_at = keepwell.clock() "
            "WHERE tenant_id = :tenant AND id = :id"
        ),
        {"tenant": tenant_id, "id": import_id},
    )
