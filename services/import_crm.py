"""Imports a file of a customer: chunk by chunk, each row once, going on where it broke off.

The one use case with a transaction per chunk: a chunk's rows and the progress that counts them
are committed together, so that an import killed at any point repeats nothing and loses nothing.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput, TenantNotFound
from engine.ids import TenantId
from services.import_chunks import ChunkTarget, Written, write_chunks
from services.import_ids import tenant_id_for
from services.import_kinds import Mapping, TenantSection
from services.import_mapping import check_columns
from services.import_reading import Source, file_digest, open_source
from services.import_rejects import RejectsFile
from services.import_rows import Prepared, prepare
from services.import_writing import Counts
from services.rate_texts import rate_texts
from store import imports, tenants
from store.database import Database
from store.imports import ImportProgress

CHUNK_ROWS = 25_000
FIRST_CHUNK_ROWS = 5_000
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What to import.

    Attributes:
        tenant: slug; the tenant is created from the mapping's `tenant` if there is none.
        rejects: where rows that stay out are told; the file is made only if there are any.
        again: True: read the file anew although it was imported to its end.
    """

    file: Path
    mapping: Mapping
    tenant: str
    rejects: Path
    again: bool = False
    chunk_rows: int = CHUNK_ROWS


@dataclass
class ImportSummary:
    """What an import did.

    Attributes:
        rows_read: data rows read by this run.
        rows_rejected: of the whole file, earlier runs included.
        resumed_after_row: rows that an earlier run had done; 0 for a fresh import.
        done_before: True: this content was imported to its end before; nothing was read.
    """

    tenant_id: TenantId
    tenant_created: bool
    rows_read: int = 0
    rows_rejected: int = 0
    resumed_after_row: int = 0
    done_before: bool = False
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)

    def as_dict(self) -> dict[str, Any]:
        """The summary with plain values, for JSON."""
        return {
            "tenant_id": str(self.tenant_id),
            "tenant_created": self.tenant_created,
            "done_before": self.done_before,
            "resumed_after_row": self.resumed_after_row,
            "rows_read": self.rows_read,
            "rows_rejected": self.rows_rejected,
            "counts": self.counts.as_dict(),
            "seconds": round(self.seconds, 2),
            "rows_per_second": round(self.rows_read / self.seconds) if self.seconds else 0,
        }


async def import_file(
    database: Database, order: ImportOrder, on_progress: Progress | None = None
) -> ImportSummary:
    """Import a file and say what came of each row.

    `on_progress` is called after each committed chunk with the rows done and None.

    Raises:
        InvalidMapping: the mapping names columns that the file has not.
        InvalidInput: the file can't be read; what was committed before stays.
        TenantNotFound: there is no such tenant and the mapping does not describe it.
        Conflict: another process imports the same file.
    """
    started = time.perf_counter()
    source = open_source(order.file, order.mapping.delimiter)
    check_columns(order.mapping, source.columns)
    if order.rejects.resolve() == order.file.resolve():
        raise InvalidInput("The rejects file is the file to import.", hint="Name another one.")
    content = file_digest(order.file)
    tenant_id, created = await _tenant(database, order)
    summary = ImportSummary(tenant_id, created)
    async with database.without_tenant() as holding:
        # how far another process has come, and whose the rejects file is, is known in here alone
        await imports.lock_imports(holding, order.tenant)
        progress = await _begin(database, tenant_id, order, content)
        summary.rows_rejected = progress.rows_rejected
        summary.done_before = progress.state == "done"
        if not summary.done_before:
            summary.resumed_after_row = progress.rows_done
            await _import_rows(database, order, source, progress, summary, on_progress or _silent)
    if summary.counts.inserted["activity"]:
        await rate_texts(database, tenant_id, now=None)
    summary.seconds = time.perf_counter() - started
    return summary


async def _import_rows(
    database: Database,
    order: ImportOrder,
    source: Source,
    progress: ImportProgress,
    summary: ImportSummary,
    on_progress: Progress,
) -> None:
    rejects = RejectsFile(order.rejects, keep=progress.rows_rejected)

    def committed(chunk: Written) -> None:
        summary.counts.add(chunk.counts)
        summary.rows_read += chunk.rows
        summary.rows_rejected = chunk.progress.rows_rejected
        on_progress(chunk.progress.rows_done, None)

    try:
        await write_chunks(
            database,
            ChunkTarget(summary.tenant_id, order.mapping, order.file.name, rejects),
            _ahead(_prepared(source, order, summary.tenant_id, progress.rows_done)),
            progress,
            committed,
        )
        async with database.transaction(summary.tenant_id) as connection:
            await imports.finish_import(connection, summary.tenant_id, progress.id)
    finally:
        rejects.close()


def _prepared(
    source: Source, order: ImportOrder, tenant_id: TenantId, after_row: int
) -> Iterator[Prepared]:
    stem = order.file.name.split(".")[0]
    # a small one first, so that the database has work soon
    sizes = chain([min(FIRST_CHUNK_ROWS, order.chunk_rows)], repeat(order.chunk_rows))
    for chunk in source.chunks(after_row, sizes):
        yield prepare(chunk, order.mapping, stem, tenant_id)


async def _ahead(items: Iterator[Prepared]) -> AsyncIterator[Prepared]:
    """Read the next chunk in a thread while the database takes the present one."""
    reading = asyncio.create_task(asyncio.to_thread(next, items, None))
    try:
        while (item := await reading) is not None:
            reading = asyncio.create_task(asyncio.to_thread(next, items, None))
            yield item
    finally:
        await asyncio.wait([reading])


def _silent(done: int, total: int | None) -> None:
    """Show nothing."""


# ------------------------------------------------------------------- before the first row


async def _tenant(database: Database, order: ImportOrder) -> tuple[TenantId, bool]:
    """The tenant's id and whether it was created now; its settings are filled up, not replaced."""
    async with database.without_tenant() as connection:
        found = await tenants.find_tenant_id(connection, order.tenant)
    section = order.mapping.tenant
    if found is None and section is None:
        raise TenantNotFound(
            f"There is no tenant '{order.tenant}', and the mapping {order.mapping.file} has no "
            "section 'tenant' to create it from.",
            hint="Add 'tenant:' with a name, or check --tenant.",
        )
    if found is None and not _SLUG.fullmatch(order.tenant):
        raise InvalidInput(
            f"'{order.tenant}' can't be a tenant's slug.",
            hint="Use small letters, digits and dashes: spring-street-dental.",
        )
    if section is None:
        assert found is not None  # noqa: S101 - told apart above
        return found, False
    tenant_id = found or tenant_id_for(order.tenant)
    created = False
    async with database.transaction(tenant_id) as connection:
        await imports.lock_imports(connection, order.tenant)
        if await tenants.find_tenant_id(connection, order.tenant) is None:
            created = True
            await tenants.add_tenant(
                connection,
                tenant_id,
                slug=order.tenant,
                name=section.name,
                industry=section.industry,
            )
        await _fill_settings(connection, tenant_id, section)
    return tenant_id, created


async def _fill_settings(
    connection: AsyncConnection, tenant_id: TenantId, section: TenantSection
) -> None:
    before = await tenants.get_settings(connection, tenant_id)
    after = filled_up(before, dict(section.settings))
    if after != before:
        await tenants.save_settings(connection, tenant_id, after)


def filled_up(present: dict[str, Any], offered: dict[str, Any]) -> dict[str, Any]:
    """Settings with what they lack, also inside of groups; nothing that is set changes.

    >>> filled_up({"sender": {"name": "A"}}, {"sender": {"name": "B", "phone": "1"}})
    {'sender': {'name': 'A', 'phone': '1'}}
    """
    merged = dict(present)
    for key, value in offered.items():
        own = merged.setdefault(key, value)
        if isinstance(own, dict) and isinstance(value, dict):
            merged[key] = filled_up(own, value)
    return merged


async def _begin(
    database: Database, tenant_id: TenantId, order: ImportOrder, content: str
) -> ImportProgress:
    async with database.transaction(tenant_id) as connection:
        progress = await imports.add_import(
            connection,
            tenant_id,
            mapping=order.mapping.name,
            mapping_digest=hashlib.sha256(order.mapping.text.encode()).hexdigest(),
            file_name=order.file.name,
            file_digest=content,
        )
        if order.again and progress.state == "done":
            return await imports.restart_import(connection, tenant_id, progress.id)
        return progress
