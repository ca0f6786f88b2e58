"""Builds what a process needs, once: settings, clock, database, the servers behind them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from embedded.servers import EmbeddedServers
from services.clock import Clock
from services.settings import Settings
from store.database import Database
from store.upgrade import upgrade


@dataclass(frozen=True)
class Runtime:
    """What use cases are given.

    Attributes:
        database: pool of the application's role.
        redis_url: None when there is no Redis; everything works without, workers poll.
        owner_database_url: for `db upgrade` and `doctor`; None if the operator did not give it.
        embedded: True if the servers are our own.
    """

    settings: Settings
    clock: Clock
    database: Database
    database_url: str
    redis_url: str | None
    owner_database_url: str | None
    embedded: bool

    def using(self, database: Database) -> "Runtime":
        """Return the same runtime on another pool."""
        return replace(self, database=database)


def make_clock(settings: Settings) -> Clock:
    """Return the system's clock, or one that starts at KEEPWELL_CLOCK."""
    return Clock() if settings.clock is None else Clock.starting_at(settings.clock)


def make_database(settings: Settings, url: str, clock: Clock) -> Database:
    """Return a pool for this process; the caller closes it."""
    offset = timedelta(0) if settings.clock is None else clock.offset
    return Database(url, clock_offset=offset, pool_size=settings.pool_size)


@contextmanager
def open_runtime(settings: Settings | None = None, *, lasting: bool = False) -> Iterator[Runtime]:
    """Open what a process needs; start or attach to the embedded servers if none are named.

    `lasting`: for a service, which must not lose its servers when a command ends.

    The embedded database is upgraded on the way; a named one never is (`keepwell db upgrade`).
    The caller closes `runtime.database` inside its event loop.

    Raises:
        EmbeddedServerFailed: PostgreSQL did not start; the message ends with its log.
    """
    settings = settings or Settings()
    clock = make_clock(settings)
    if settings.database_url is not None:
        yield Runtime(
            settings=settings,
            clock=clock,
            database=make_database(settings, settings.database_url, clock),
            database_url=settings.database_url,
            redis_url=settings.redis_url,
            owner_database_url=settings.owner_database_url,
            embedded=False,
        )
        return
    with EmbeddedServers.start(settings.home, lasting=lasting) as servers:
        upgrade(servers.owner_database_url)
        yield Runtime(
            settings=settings,
            clock=clock,
            database=make_database(settings, servers.app_database_url, clock),
            database_url=servers.app_database_url,
            redis_url=settings.redis_url or servers.redis_url,
            owner_database_url=servers.owner_database_url,
            embedded=True,
        )
