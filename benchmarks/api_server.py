"""`keepwell serve` in a process of its own, and the load that is put on it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.wiring import Runtime

_START_SECONDS = 60.0
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Load:
    """One load run.

    Attributes:
        rate: requests per second at fixed times; None: as fast as they are answered.
        first: position of the first path; later runs go on where earlier ones ended.
        bodies: JSON, one per path; none: a small one for each.
    """

    method: str
    paths: Sequence[str]
    seconds: float
    connections: int
    rate: float | None = None
    first: int = 0
    bodies: Sequence[str] = ()


@contextmanager
def serving(runtime: Runtime) -> Iterator[int]:
    """Start the API without its worker on the runtime's servers and clock; yield its port.

    It has one route more, `benchmarks/row_server.py`.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    serve = ["benchmarks.row_server", "serve", "--no-worker", "--port", str(port)]
    with running(runtime, serve, "serve") as (server, log):
        _wait_ready(server, port, log)
        yield port


@contextmanager
def running(
    runtime: Runtime, module: Sequence[str], name: str
) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Run a module with arguments on the runtime's servers and clock; yield process and log."""
    environment = os.environ | {
        "KEEPWELL_HOME": str(runtime.settings.home),
        "KEEPWELL_CLOCK": runtime.clock.now().isoformat(),
    }
    log = runtime.settings.home / f"{name}.log"
    command = [sys.executable, "-m", *module]
    with log.open("wb") as told:
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=told, stderr=told)
    try:
        yield process, log
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_ready(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"The API did not start:\n{log.read_text()[-2000:]}")


def loaded(port: int, key: str, load: Load) -> dict[str, Any]:
    """Put the load on the server from another process; return what came back.

    Raises:
        RuntimeError: an answer was not 200: such a figure would mean nothing.
    """
    plan: Mapping[str, Any] = {
        "port": port,
        "connections": load.connections,
        "seconds": load.seconds,
        "rate": load.rate,
        "first": load.first,
        "method": load.method,
        "paths": list(load.paths),
        "headers": {"authorization": f"Bearer {key}"},
        "bodies": list(load.bodies),
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.http_load"],
        cwd=_ROOT,
        input=json.dumps(plan).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The load failed:\n{done.stderr.decode()[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    if set(result["statuses"]) != {"200"}:
        raise RuntimeError(f"{load.method}: answers by status {result['statuses']}")
    return result
