"""A server as a direct child, which ends when this process ends, even by kill -9."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from embedded.account import Account
from engine.errors import EmbeddedServerFailed

# The servers get nothing of the caller's environment: PG* variables would change PostgreSQL, and
# secrets do not belong there.
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LOG_BYTES = 5_000_000
_TAIL_BYTES = 1_500
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Child:
    """A server that was started here.

    Attributes:
        log_start_bytes: length of the log before this start.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_start_bytes: int

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def failure(self, what: str) -> EmbeddedServerFailed:
        """An error that carries what the server wrote last."""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self.log_start_bytes, end - _TAIL_BYTES))
            tail = log.read().decode("utf-8", errors="replace").strip()
        return EmbeddedServerFailed(
            f"The embedded {self.name} {what}. It wrote: {tail or 'nothing'}",
            hint=f"The whole log is {self.log}.",
        )

    def end(self, steps: Sequence[tuple[signal.Signals, float]]) -> None:
        """Send each signal in turn and wait its seconds, until the server has ended."""
        for end_signal, wait_seconds in steps:
            if self.has_ended():
                return
            self.process.send_signal(end_signal)
            try:
                self.process.wait(wait_seconds)
            except subprocess.TimeoutExpired:
                continue


def start_child(
    name: str,
    command: Sequence[str | Path],
    *,
    account: Account,
    directory: Path,
    log: Path,
    end_signal: signal.Signals,
) -> Child:
    """Start a server in `directory`; the kernel sends it `end_signal` when this process ends.

    Call it from the main thread: the kernel's signal follows the thread that started the child.

    Raises:
        EmbeddedServerFailed: the program can't be started.
    """
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    try:
        # Closed to others: the database writes failed statements, and so personal data, there.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        with os.fdopen(os.open(log, flags, 0o600), "ab") as output:
            log_start_bytes = output.tell()
            process = subprocess.Popen(
                command,
                user=account.popen_user,
                group=account.popen_group,
                extra_groups=account.popen_extra_groups,
                umask=0o077,
                cwd=directory,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C in the terminal is for the parent to handle
                preexec_fn=end_with_parent(end_signal),  # noqa: PLW1509 - only prctl and getppid
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedServerFailed(
            f"The embedded {name} can't be started as `{account.name}` in {directory}: {error}",
            hint="Set KEEPWELL_DATABASE_URL and KEEPWELL_REDIS_URL to use servers of your own.",
        ) from error
    return Child(name, process, log, log_start_bytes)


def end_with_parent(end_signal: signal.Signals) -> Callable[[], None]:
    """What a new child has to do before it becomes the server.

    Popen calls it after the change of user; the kernel forgets the setting at that change.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent_pid = os.getpid()

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(end_signal), 0, 0, 0)
        if os.getppid() != parent_pid:  # it ended before we asked
            os.kill(os.getpid(), signal.SIGKILL)

    return ask_the_kernel


def wait_until_unused(
    directory: Path, program: str, ask_to_end: Callable[[set[int]], None], *, wait_seconds: float
) -> None:
    """Return when no `program` works in `directory` any more.

    After kill -9 of the last owner its servers still write for a moment. Two servers on the same
    files would destroy them. `ask_to_end` gets the process ids at work, once, if there are any.

    Raises:
        EmbeddedServerFailed: they are still there after `wait_seconds`.
    """
    at_work = set(_processes_in(directory, program))
    if not at_work:
        return
    ask_to_end(at_work)
    deadline = time.monotonic() + wait_seconds
    while at_work := set(_processes_in(directory, program)):
        if time.monotonic() > deadline:
            raise EmbeddedServerFailed(
                f"An earlier {program} (process {min(at_work)}) still works in {directory}.",
                hint="End that process, then try again.",
            )
        time.sleep(_POLL_SECONDS)


def _processes_in(directory: Path, program: str) -> Iterator[int]:
    if not directory.is_dir():
        return
    wanted = directory.stat()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # A replaced program file reads as "postgres (deleted)".
            name = (entry / "exe").readlink().name.removesuffix(" (deleted)")
            if name == program and os.path.samestat((entry / "cwd").stat(), wanted):
                yield int(entry.name)
        except OSError:  # ended meanwhile, or another user's
            continue
