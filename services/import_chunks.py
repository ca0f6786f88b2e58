"""Writes the chunks of an import, each in a transaction, two of them under way.

While a chunk's events are inserted, the contacts of the next are: PostgreSQL then works for us
on two cores. The chunks are committed in their order, and a chunk that fails takes the one after
it back with it.

No two of them can wait for each other in a circle. The earlier one has inserted its people when
the later one begins, and the later one inserts no event before the earlier one is committed; so
only the later one ever waits. Where triggers of the CRM could break that, chunk follows chunk.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from engine.ids import TenantId
from services.import_kinds import Mapping
from services.import_rejects import RejectsFile
from services.import_rows import Prepared
from services.import_writing import ChunkWriter, Counts, Ids, builds_on
from store import imports
from store.database import Database
from store.imports import ImportProgress


@dataclass(frozen=True, slots=True)
class ChunkTarget:
    """Where the chunks go; `file_name` is kept as evidence of consents."""

    tenant_id: TenantId
    mapping: Mapping
    file_name: str
    rejects: RejectsFile


@dataclass(frozen=True, slots=True)
class Written:
    """A committed chunk."""

    rows: int
    counts: Counts
    progress: ImportProgress


async def write_chunks(
    database: Database,
    target: ChunkTarget,
    chunks: AsyncIterator[Prepared],
    progress: ImportProgress,
    committed: Callable[[Written], None],
) -> None:
    """Write all chunks after `progress`; `committed` is called for each, in their order.

    What is committed stays when an exception leaves this function; nothing else does.
    """
    async with database.transaction(target.tenant_id) as connection:
        overlap = await imports.may_overlap(connection)
    line = _Line(database, target, progress, committed)
    try:
        async for prepared in chunks:
            await line.push(prepared, overlap=overlap)
        await line.finish()
    except Exception:
        await line.finish()  # a fault further down the file takes nothing back
        raise
    finally:
        await line.drop()


class _Line:
    """The chunk that inserts its events, if there is one, and the ids that it has inserted."""

    def __init__(
        self,
        database: Database,
        target: ChunkTarget,
        progress: ImportProgress,
        committed: Callable[[Written], None],
    ) -> None:
        self._database = database
        self._target = target
        self._progress = progress
        self._committed = committed
        self._all_new: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._uncommitted: Ids = {}

    async def push(self, prepared: Prepared, *, overlap: bool) -> None:
        """Insert a chunk's people and return while the rest of it is on its way."""
        if not overlap or builds_on(prepared, self._uncommitted):
            await self.finish()
        before, people = self._task, asyncio.Event()
        task = asyncio.create_task(self._write(prepared, people, before))
        arrived = asyncio.create_task(people.wait())
        try:
            await asyncio.wait({task, arrived}, return_when=asyncio.FIRST_COMPLETED)
            if before is not None:
                await before  # its failure is this one's too, and comes first
            if task.done():
                await task
        except BaseException:
            await _end(task)
            raise
        finally:
            await _end(arrived)
        self._task = task

    async def finish(self) -> None:
        """Return when everything is committed."""
        task, self._task = self._task, None
        if task is not None:
            await task
        self._uncommitted = {}

    async def drop(self) -> None:
        """Take back what is not committed."""
        if self._task is not None:
            await _end(self._task)

    async def _write(
        self, prepared: Prepared, people: asyncio.Event, before: asyncio.Task[None] | None
    ) -> None:
        target = self._target
        async with self._database.transaction(target.tenant_id) as connection:
            writer = ChunkWriter(
                connection,
                target.tenant_id,
                prepared,
                target.mapping,
                target.file_name,
                self._all_new,
            )
            await writer.people(self._uncommitted)
            self._uncommitted = writer.created
            people.set()
            if before is not None:
                await asyncio.shield(before)
            await writer.happenings()
            progress = await imports.save_progress(
                connection,
                target.tenant_id,
                self._progress,
                rows=prepared.rows,
                rejected=len(prepared.rejects),
            )
            target.rejects.write(sorted(prepared.rejects, key=lambda reject: reject.line))
        self._progress = progress
        self._committed(Written(prepared.rows, writer.counts, progress))


async def _end(task: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    """Cancel a task and see it end; what it raised is known to whoever awaited it."""
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
