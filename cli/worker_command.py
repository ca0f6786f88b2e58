"""`keepwell worker`: deliver and learn until told to stop."""

import asyncio
import logging
import signal
from dataclasses import asdict

from cli.output import complaints, run
from services.deliver_all import deliver_all_due
from services.senders import make_channels
from services.wiring import Runtime
from workers.main import run_worker


def worker_command() -> None:
    """Deliver what is in the outbox and learn from outcomes, until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it reports every look at the schema
    run(_work, lasting=True)


async def drain(runtime: Runtime) -> dict[str, int]:
    """Deliver all that is due now, then return how many sends ended in which way."""
    channels = make_channels(runtime.settings)
    try:
        return asdict(await deliver_all_due(runtime.database, channels))
    finally:
        await channels.close()


async def _work(runtime: Runtime) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    complaints.print("worker runs; Ctrl-C ends it after what is in hand")
    await run_worker(runtime, stop=stop)
