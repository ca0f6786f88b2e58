"""Valkey, which speaks Redis's protocol: start it and wait until it answers."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import redis

from embedded.account import Account
from embedded.child import Child, start_child, wait_until_unused
from embedded.places import private_directory

ENDING: Final = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0))

_SOCKET = "valkey.sock"
_POLL_SECONDS = 0.02


def start_valkey(
    program: Path, account: Account, data_dir: Path, socket_dir: Path, *, log: Path
) -> Child:
    """A Valkey that was told to start; what it holds is written to disk every second.

    Raises:
        EmbeddedServerFailed: it can't be started, or an earlier one does not end.
    """
    directory = private_directory(data_dir / "valkey", account)
    wait_until_unused(directory, program.name, _ask_to_end, wait_seconds=ENDING[0][1])
    options = {
        "port": "0",
        "unixsocket": str(socket_dir / _SOCKET),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    command: list[str | Path] = [program]
    for name, value in options.items():
        command += [f"--{name}", value]
    return start_child(
        "Valkey",
        command,
        account=account,
        directory=directory,
        log=log,
        end_signal=signal.SIGTERM,
    )


def wait_for_valkey(valkey: Child, socket_dir: Path, *, wait_seconds: float) -> None:
    """Return when it answers; it may read its file first.

    Raises:
        EmbeddedServerFailed: it ended, or does not answer within `wait_seconds`.
    """
    deadline = time.monotonic() + wait_seconds
    with redis.Redis(unix_socket_path=str(socket_dir / _SOCKET), socket_timeout=5) as client:
        while True:
            try:
                client.ping()
                return
            except redis.RedisError as error:
                if valkey.has_ended():
                    raise valkey.failure("ended while starting") from error
                if time.monotonic() > deadline:
                    raise valkey.failure(f"does not answer: {error}") from error
            time.sleep(_POLL_SECONDS)


def valkey_url(socket_dir: Path) -> str:
    """As redis-py and arq read it: `unix:///path`."""
    return f"unix://{socket_dir / _SOCKET}"


def _ask_to_end(at_work: set[int]) -> None:
    for pid in at_work:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
