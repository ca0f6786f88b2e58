"""The lock on a home: who holds it owns the servers."""

import fcntl
import os
from pathlib import Path
from typing import Final

from engine.errors import EmbeddedServerFailed


class HomeLock:
    """A held lock. The kernel gives it back when this process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        _held.add(self)

    @classmethod
    def take(cls, home: Path) -> "HomeLock | None":
        """The lock, or None while someone else holds it.

        Raises:
            EmbeddedServerFailed: the file of the lock can't be opened.
        """
        path = home / "servers.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EmbeddedServerFailed(
                f"{path} can't be opened: {error.strerror}.",
                hint="Run the command as the user who owns it, or set KEEPWELL_HOME to another.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back; again does nothing."""
        _held.discard(self)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


_held: Final[set[HomeLock]] = set()


def _close_copies() -> None:
    for lock in tuple(_held):
        lock.release()


# A forked child has a copy of the descriptor, which would keep the lock after the owner's end.
# Closing the copy leaves the owner's lock alone.
os.register_at_fork(after_in_child=_close_copies)
