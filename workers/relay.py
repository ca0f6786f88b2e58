"""Passes on what PostgreSQL says at commit: as a job if Redis is there, else to the sweeper."""

from store.wakes import listening
from workers.context import WorkerContext
from workers.queue import Queue
from workers.settings import KINDS

RETRY_SECONDS = 2.0


async def relay(context: WorkerContext, queue: Queue | None) -> None:
    """Pass on until cancelled.

    Raises:
        DatabaseUnavailable: the connection broke; what was said meanwhile the sweeper finds.
    """
    async with listening(context.runtime.database_url) as wakes:
        async for wake in wakes:
            if wake.kind not in KINDS:
                continue
            if queue is None or not await queue.enqueue(wake.kind, str(wake.tenant_id)):
                context.woken.set()
