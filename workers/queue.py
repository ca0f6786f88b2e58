"""Redis while it is there: jobs in by `enqueue`, out by arq's worker."""

import asyncio
import logging
from contextlib import suppress

from arq.connections import ArqRedis
from arq.worker import Worker
from redis.exceptions import RedisError

from workers.context import WorkerContext
from workers.settings import make_worker, open_pool

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


class Queue:
    """One worker's side of the job queue.

    Args:
        url: of Redis.
    """

    def __init__(self, context: WorkerContext, url: str) -> None:
        self._context = context
        self._url = url
        self._pool: ArqRedis | None = None
        self._in_use = asyncio.Lock()  # a pool closed under a command would connect once more

    @property
    def attached(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self._pool is not None

    async def enqueue(self, kind: str, tenant: str) -> bool:
        """Queue one job, unless the same one waits already; False if Redis is away."""
        async with self._in_use:
            if self._pool is None:
                return False
            try:
                await self._pool.enqueue_job(kind, tenant, _job_id=f"{kind}:{tenant}")
            except (RedisError, OSError):
                self._pool = None
                return False
            return True

    async def serve(self) -> None:
        """Work on jobs until `stop`.

        Raises:
            RedisError, OSError: Redis is not there, or went away.
        """
        pool = await open_pool(self._url)
        self._pool = pool
        log.info("queue: Redis is there")
        worker = make_worker(self._context, pool)
        serving = asyncio.create_task(worker.async_run())
        stopping = asyncio.create_task(self._context.stop.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
        finally:
            self._pool = None
            stopping.cancel()
            await _end(worker, serving)
            async with self._in_use:
                await pool.aclose(close_connection_pool=True)


async def _end(worker: Worker, serving: asyncio.Task[None]) -> None:
    # arq's own close() calls what redis-py deprecates. The jobs' work is shielded and goes on; what
    # is cancelled here only waits for it, and a job cut short here is run again and finds nothing.
    worker.allow_pick_jobs = False
    waiting = [serving, *worker.tasks.values()]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    with suppress(RedisError, OSError):
        await worker.pool.delete(worker.health_check_key)
