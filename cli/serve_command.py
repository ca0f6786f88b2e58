"""`keepwell serve`: API and worker in one process, on one clock, until told to stop."""

import asyncio
import gc
import logging
import signal
from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from cli.options import moment_of
from cli.output import complaints, errors_told, run
from services.settings import Settings
from services.wiring import Runtime, make_database
from workers.main import run_worker


def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    clock: Annotated[
        str | None,
        typer.Option(
            help="Start the clock at this moment, to rehearse on past data; "
            "messages due then are delivered then. [default: the present]"
        ),
    ] = None,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Deliver and learn as well.")
    ] = True,
) -> None:
    """Answer the API and work the outbox until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it reports every look at the schema
    with errors_told():
        start = moment_of(clock)
    settings = Settings() if start is None else Settings(clock=start)
    if "public_url" not in settings.model_fields_set:
        settings = settings.model_copy(update={"public_url": f"http://{host}:{port}"})

    async def use(runtime: Runtime) -> None:
        await _serve(runtime, host=host, port=port, worker=worker)

    run(use, settings, lasting=True)


async def _serve(runtime: Runtime, *, host: str, port: int, worker: bool) -> None:
    stop = asyncio.Event()
    # the application closes its database when it stops; the worker has a pool of its own
    api_database = make_database(runtime.settings, runtime.database_url, runtime.clock)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(runtime.using(api_database)),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
        )
    )
    # 300,000 objects of imports live as long as the process: left to the collector, it would go
    # through all of them every few seconds, 0.3 s in which nobody is answered
    gc.freeze()
    # uvicorn raises the signal that ended it once more when it has shut down; with the default
    # handlers that would kill the worker in the middle of a message, and our servers with it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    working = asyncio.create_task(run_worker(runtime, stop=stop)) if worker else None
    complaints.print(f"API on http://{host}:{port}, documents at /openapi.json; Ctrl-C ends it")
    try:
        await server.serve()
    finally:
        stop.set()
        if working is not None:
            await working
