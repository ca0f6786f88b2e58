"""The worker: relay, sweeper and job queue side by side in one event loop."""

import asyncio
import logging
from functools import partial

from services.deliver import Channels
from services.senders import make_channels
from services.wiring import Runtime
from workers import judge, nightly, sweeper
from workers import queue as job_queue
from workers import relay as listener
from workers.context import WorkerContext
from workers.loop import repeat

log = logging.getLogger(__name__)


async def run_worker(
    runtime: Runtime, *, stop: asyncio.Event, channels: Channels | None = None
) -> None:
    """Work until `stop` is set, then finish what is in hand and return.

    Neither PostgreSQL nor Redis nor a provider that goes away ends it. `channels` are those of
    the settings if not given; they are closed at the end.
    """
    context = WorkerContext(runtime, channels or make_channels(runtime.settings), stop)
    queue = None if runtime.redis_url is None else job_queue.Queue(context, runtime.redis_url)
    listening = asyncio.create_task(
        repeat(
            "listening",
            partial(listener.relay, context, queue),
            stop=stop,
            every_seconds=listener.RETRY_SECONDS,
        )
    )
    loops = [
        repeat(
            "sweeper",
            partial(sweeper.sweep, context),
            stop=stop,
            every_seconds=sweeper.EVERY_SECONDS,
            woken=context.woken,
        ),
        repeat(
            "nightly",
            partial(nightly.work_nightly, context),
            stop=stop,
            every_seconds=nightly.EVERY_SECONDS,
        ),
        repeat(
            "experiments",
            partial(judge.judge_all, context),
            stop=stop,
            every_seconds=judge.EVERY_SECONDS,
        ),
    ]
    if queue is not None:
        loops.append(repeat("queue", queue.serve, stop=stop, every_seconds=job_queue.RETRY_SECONDS))
    log.info("worker started%s", "" if queue is not None else " without Redis")
    try:
        await asyncio.gather(*loops)
        await context.finish()
    finally:
        listening.cancel()
        await asyncio.wait({listening})
        await context.channels.close()
