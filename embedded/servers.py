"""PostgreSQL and Valkey for one home directory: started, shared and ended."""

import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from embedded import postgres, valkey
from embedded.account import Account, server_account
from embedded.binaries import Binaries, installed_binaries, reachable_binaries
from embedded.child import Child
from embedded.lock import HomeLock
from embedded.places import (
    ServerState,
    checked_data_dir,
    existing_data_dir,
    new_data_dir,
    prepared_home,
    read_state,
    socket_dir_for,
    stored_form,
    write_state,
)
from engine.errors import EmbeddedServerFailed

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
# how long a server that has been ready may take to accept a connection
_ATTACH_SECONDS = 5.0


class EmbeddedServers:
    """The running servers of one home.

    `start` either starts them, and this process owns them, or, where another process of the same
    user already owns them, uses those. Only the owner's `stop` ends them.

    When the owner ends, in whatever way, the servers end with it, within a second or two. A
    process that uses them too then sees its connections closed and gets connection errors, as at
    any database restart; it may call `start` again and becomes the owner. No committed row is
    lost. Of what only Valkey held, the last second may be lost after a power failure.

    Sockets are reached by file permission alone; there is no TCP port and no password.

        with EmbeddedServers.start(default_home(os.environ)) as servers:
            engine = create_engine(servers.app_database_url)
    """

    def __init__(self, home: Path, state: ServerState, owned: "_Owned | None") -> None:
        self._home = home
        self._state = state
        self._owned = owned

    @classmethod
    def start(
        cls,
        home: Path,
        *,
        durable: bool = True,
        lasting: bool = False,
        binaries: Binaries | None = None,
        wait_seconds: float = 60.0,
    ) -> Self:
        """Servers that accept work, with the database and its roles in place.

        Has to be called in the main thread where it may become the owner: the kernel ends the
        servers when the thread that started them ends.

        Args:
            home: made if missing; see `embedded.places` for what is kept there.
            durable: False trades crash safety for speed; for data that nobody will miss.
            lasting: True for a service: it would lose the servers of a command that ends, so it
                waits for that end, however long it takes, and owns them itself.
            binaries: other programs than the installed ones.
            wait_seconds: how long PostgreSQL may take, recovery from a crash included.

        Raises:
            EmbeddedServerFailed: PostgreSQL can't be started or reached; the message ends with
                what it wrote last. A Valkey that fails is only logged, see `redis_url`.
        """
        if sys.platform != "linux":
            raise EmbeddedServerFailed(
                f"The embedded servers run on Linux only, and this is {sys.platform}.",
                hint="Set KEEPWELL_DATABASE_URL and KEEPWELL_REDIS_URL to servers of your own.",
            )
        home = prepared_home(home)
        deadline, told = time.monotonic() + wait_seconds, False
        while True:
            lock = HomeLock.take(home)
            if lock is not None:
                # Released by _start_owned if that fails.
                state, owned = _start_owned(
                    home,
                    lock,
                    _Wishes(binaries, durable=durable, lasting=lasting, wait_seconds=wait_seconds),
                )
                return cls(home, state, owned)
            running = read_state(home)
            if running is not None and running.ready:
                # started long ago: if it does not answer, it died, and nothing is still to come
                deadline = min(deadline, time.monotonic() + _ATTACH_SECONDS)
                if postgres.accepts_app(Path(running.socket_dir)):
                    if running.lasting or not lasting:
                        return cls(home, running, None)
                    deadline = time.monotonic() + wait_seconds
                    told = told or _tell_of_waiting()
            if time.monotonic() > deadline:
                raise EmbeddedServerFailed(
                    f"Another process owns the embedded servers of {home}, "
                    f"and they did not answer within {wait_seconds:g} seconds.",
                    hint=f"See {home / 'postgres.log'}; end the other process and try again.",
                )
            time.sleep(_POLL_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the servers if this process owns them; they write everything to disk first.

        Does nothing when called again, by a process that only uses them, or by a fork of the
        owner.
        """
        if self._owned is not None and self._owned.pid == os.getpid():
            self._owned.ending.close()

    @property
    def owner_database_url(self) -> str:
        """For migrations: owns the database and its schemas, may grant to `keepwell_app`.

        Neither superuser nor exempt from row-level security.
        """
        return postgres.database_url(postgres.OWNER_ROLE, self.socket_dir)

    @property
    def app_database_url(self) -> str:
        """For the product: a member of `keepwell_app`, with what was granted to that role."""
        return postgres.database_url(postgres.APP_ROLE, self.socket_dir)

    @property
    def redis_url(self) -> str | None:
        """`unix:///path`; None where Valkey could not start, which the product can do without."""
        return valkey.valkey_url(self.socket_dir) if self._state.has_redis else None

    @property
    def home(self) -> Path:
        return self._home

    @property
    def data_dir(self) -> Path:
        """Where the files of both servers are; not always inside the home."""
        return self._home / self._state.data_dir

    @property
    def socket_dir(self) -> Path:
        return Path(self._state.socket_dir)

    @property
    def owns_servers(self) -> bool:
        """Whether this process started the servers, so that they end with it."""
        return self._owned is not None

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Of the main processes this process started: PostgreSQL, then Valkey if it runs."""
        return self._owned.process_ids if self._owned is not None else ()


def _tell_of_waiting() -> bool:
    _log.warning("waits for another command to end: the servers end with it")
    return True


@contextmanager
def temporary_servers() -> Iterator[EmbeddedServers]:
    """Servers with an empty database in a temporary directory, all of it gone afterwards.

    Not crash safe, and faster for it. For tests and the demo.
    """
    home = Path(tempfile.mkdtemp(prefix="keepwell-")).resolve()
    with ExitStack() as removal:
        removal.callback(shutil.rmtree, home)
        if os.geteuid() == 0:
            home.chmod(0o711)  # so that the servers' account reaches its data below
        servers = EmbeddedServers.start(home, durable=False, lasting=True)
        if not servers.data_dir.is_relative_to(home):
            removal.callback(shutil.rmtree, servers.data_dir)
        with servers:
            yield servers


@dataclass(frozen=True, slots=True)
class _Wishes:
    binaries: Binaries | None
    durable: bool
    lasting: bool
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class _Owned:
    """What the owner has to end.

    Attributes:
        pid: of the owner; a fork of it must end nothing.
        ending: closing it ends the servers and gives the home back.
    """

    pid: int
    process_ids: tuple[int, ...]
    ending: ExitStack


def _start_owned(home: Path, lock: HomeLock, wishes: _Wishes) -> tuple[ServerState, _Owned]:
    with ExitStack() as ending:
        ending.callback(lock.release)
        if threading.current_thread() is not threading.main_thread():
            raise EmbeddedServerFailed(
                "The embedded servers can be started in the main thread only, "
                f"not in `{threading.current_thread().name}`.",
                hint="Start them before the threads, and hand the addresses over.",
            )
        account, data_dir = _account_and_data_dir(home)
        socket_dir = socket_dir_for(data_dir, account)
        ending.callback(_remove_if_empty, socket_dir)
        binaries = reachable_binaries(wishes.binaries or installed_binaries(), account, data_dir)

        starting = ServerState(
            stored_form(data_dir, home),
            str(socket_dir),
            ready=False,
            has_redis=False,
            lasting=wishes.lasting,
        )
        write_state(home, starting)
        ending.callback(write_state, home, starting)

        database = postgres.start_postgres(
            binaries,
            account,
            data_dir,
            socket_dir,
            log=home / "postgres.log",
            durable=wishes.durable,
        )
        ending.callback(database.end, postgres.ENDING)
        queue = _valkey_or_none(
            binaries.valkey_server, account, data_dir, socket_dir, log=home / "valkey.log"
        )
        if queue is not None:
            ending.callback(queue.end, valkey.ENDING)
        postgres.wait_for_postgres(database, socket_dir, wait_seconds=wishes.wait_seconds)

        running = replace(starting, ready=True, has_redis=queue is not None)
        write_state(home, running)
        children = (database,) if queue is None else (database, queue)
        process_ids = tuple(child.process.pid for child in children)
        return running, _Owned(os.getpid(), process_ids, ending.pop_all())


def _account_and_data_dir(home: Path) -> tuple[Account, Path]:
    existing = existing_data_dir(home)
    data_owner_uid = None
    if existing is not None:
        with suppress(FileNotFoundError):
            data_owner_uid = (existing / "postgres").stat().st_uid
    account = server_account(data_owner_uid)
    return account, checked_data_dir(existing or new_data_dir(home, account), account)


def _valkey_or_none(
    program: Path | None, account: Account, data_dir: Path, socket_dir: Path, *, log: Path
) -> Child | None:
    with ExitStack() as undo:
        try:
            if program is None:
                raise EmbeddedServerFailed("There is no Valkey for this platform.")
            child = valkey.start_valkey(program, account, data_dir, socket_dir, log=log)
            undo.callback(child.end, valkey.ENDING)
            valkey.wait_for_valkey(child, socket_dir, wait_seconds=10)
        except EmbeddedServerFailed as error:
            _log.warning(
                "Running without Redis; sends wait for the next sweep. %s",
                " ".join(str(error).split()),
            )
            return None
        undo.pop_all()
        return child


def _remove_if_empty(directory: Path) -> None:
    with suppress(OSError):
        directory.rmdir()
