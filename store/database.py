"""The pool, and the one way to a transaction: it always carries a tenant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from engine.errors import DatabaseUnavailable
from engine.ids import TenantId
from store.direct import driver_of

# set_config(..., true) ends with the transaction: the pool's next user starts without a tenant
_ENTER = text(
    "SELECT set_config('app.tenant_id', :tenant, true), "
    "set_config('app.clock_offset', :offset, true)"
)


class Database:
    """PostgreSQL for one process.

    Args:
        url: SQLAlchemy URL of a role that is neither owner nor superuser nor BYPASSRLS.
        clock_offset: shift of the product's clock; not zero only in rehearsals on past data.
        pool_size: connections kept; up to as many again are opened under load.
    """

    def __init__(
        self, url: str, *, clock_offset: timedelta = timedelta(0), pool_size: int = 8
    ) -> None:
        self._pool = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            hide_parameters=True,  # they hold personal data; errors are logged
            connect_args={"connect_timeout": 5, "prepare_threshold": 3},
        )
        self._offset = f"{clock_offset.total_seconds():.6f} s"

    @asynccontextmanager
    async def transaction(self, tenant_id: TenantId) -> AsyncIterator[AsyncConnection]:
        """Open a transaction of one tenant; commit on leaving, roll back on an exception.

        Raises:
            DatabaseUnavailable: no connection, or it broke; the same call may succeed later.
        """
        async with self._begin(str(tenant_id)) as connection:
            yield connection

    @asynccontextmanager
    async def without_tenant(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that sees no tenant's rows: for ids behind the narrow doors only."""
        async with self._begin("") as connection:
            yield connection

    @asynccontextmanager
    async def _begin(self, tenant: str) -> AsyncIterator[AsyncConnection]:
        try:
            connection = await self._enter(tenant)
        except (OperationalError, InterfaceError, PoolTimeout, TimeoutError, OSError) as error:
            raise _unavailable(error) from error
        try:
            yield connection
            await connection.commit()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise _unavailable(error) from error
            raise
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # of a statement that went to the driver without SQLAlchemy
            if not driver_of(connection).closed:
                raise
            await connection.invalidate(error)
            raise _unavailable(error) from error
        finally:
            await connection.close()

    async def _enter(self, tenant: str) -> AsyncConnection:
        # the first statement doubles as the ping: a connection that a server restart broke is
        # thrown away, with its whole generation, and a fresh one takes its place
        for last in (False, True):
            connection = await self._pool.connect()
            try:
                await connection.execute(_ENTER, {"tenant": tenant, "offset": self._offset})
            except DBAPIError as error:
                await connection.close()
                if last or not error.connection_invalidated:
                    raise
            except BaseException:
                await connection.close()
                raise
            else:
                return connection
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.dispose()


def _unavailable(error: Exception) -> DatabaseUnavailable:
    cause = getattr(error, "orig", None) or error
    told = str(cause).strip().splitlines()
    return DatabaseUnavailable(
        f"PostgreSQL can't be reached: {told[0] if told else type(cause).__name__}.",
        hint="Repeat the request when the server is back: what was kept is not written twice.",
    )
