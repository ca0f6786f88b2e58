import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def home() -> Iterator[Path]:
    """A home which the servers' account can go through, so that the data lie inside it."""
    parent = Path(tempfile.mkdtemp(prefix="kw-test-"))
    parent.chmod(0o711)
    try:
        yield parent / "home"
    finally:
        shutil.rmtree(parent)


@dataclass(slots=True)
class Script:
    """Another Python process."""

    process: subprocess.Popen[str]
    said: dict[str, Any] = field(default_factory=dict)

    def ready(self) -> "Script":
        """Waits for the one line of JSON that the script prints when it is ready."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the script ended before it said anything"
        self.said = json.loads(line)
        return self

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


@pytest.fixture
def begin_script(
    home: Path,
    wait_until: Callable[[Callable[[], bool]], None],
    is_alive: Callable[[int], bool],
) -> Iterator[Callable[..., Script]]:
    """Starts Python source; ends it, and the servers it owns, with the test."""
    begun: list[Script] = []

    def begin(source: str, *arguments: object) -> Script:
        process = subprocess.Popen(
            [sys.executable, "-c", source, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(Script(process))
        return begun[-1]

    yield begin
    for script in begun:
        with script.process as process:  # closes the pipes and waits
            process.kill()
    server_pids = [pid for script in begun for pid in script.said.get("pids", ())]
    wait_until(lambda: not any(is_alive(pid) for pid in server_pids))


@pytest.fixture
def run_script(begin_script: Callable[..., Script]) -> Callable[..., Script]:
    """As begin_script, and waits until the script is ready."""
    return lambda *arguments: begin_script(*arguments).ready()


@pytest.fixture
def query() -> Callable[..., list[tuple[Any, ...]]]:
    """Runs one statement, committed, and returns its rows."""

    def run(url: str, sql: str) -> list[tuple[Any, ...]]:
        libpq_url = url.replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(libpq_url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "waited 60 seconds in vain"
            time.sleep(0.02)

    return wait


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    """Whether the process runs; one that ended and was not yet collected does not."""

    def answer(pid: int) -> bool:
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return status.rpartition(")")[2].split()[0] not in {"Z", "X"}

    return answer
