"""PostgreSQL goes away and comes back; the process that uses it stays."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from embedded.servers import EmbeddedServers, temporary_servers
from engine.errors import DatabaseUnavailable
from engine.ids import TenantId
from store.database import Database
from store.tenants import list_tenant_ids
from store.upgrade import upgrade
from tests.conftest import make_tenant

pytestmark = pytest.mark.integration


@dataclass
class Server:
    """A PostgreSQL of our own that can be stopped and started in the same place."""

    running: EmbeddedServers

    def stop(self) -> None:
        self.running.stop()

    def start(self) -> None:
        self.running = EmbeddedServers.start(self.running.home, durable=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with temporary_servers() as running:
        upgrade(running.owner_database_url)
        server = Server(running)
        yield server
        server.stop()


@pytest.fixture
async def pool(server: Server) -> AsyncIterator[Database]:
    pool = Database(server.running.app_database_url, pool_size=2)
    yield pool
    await pool.close()


async def tenants(pool: Database) -> list[TenantId]:
    async with pool.without_tenant() as connection:
        return await list_tenant_ids(connection)


async def test_after_a_restart_the_next_request_works(server: Server, pool: Database) -> None:
    tenant = TenantId(uuid4())
    await make_tenant(pool, tenant)
    # both connections of the pool are open and idle when the server goes
    await asyncio.gather(tenants(pool), tenants(pool))
    server.stop()
    server.start()
    assert await asyncio.gather(*(tenants(pool) for _ in range(4))) == [[tenant]] * 4


async def test_while_it_is_down_the_error_says_so_and_passes(
    server: Server, pool: Database
) -> None:
    await tenants(pool)
    server.stop()
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable, match="can't be reached"):
            await tenants(pool)
    server.start()
    assert await tenants(pool)


async def test_a_transaction_that_the_restart_cut_off_is_told_so_and_undone(
    server: Server, pool: Database
) -> None:
    tenant = (await tenants(pool))[0]
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012 - the transaction is what is tested
        async with pool.transaction(tenant) as connection:
            await connection.execute(
                text("INSERT INTO crm_contacts (tenant_id) VALUES (:tenant)"), {"tenant": tenant}
            )
            server.stop()
            server.start()
    async with pool.transaction(tenant) as connection:
        assert await connection.scalar(text("SELECT count(*) FROM crm_contacts")) == 0


async def test_a_connection_that_was_cut_off_alone_is_replaced(
    server: Server, pool: Database
) -> None:
    tenant = (await tenants(pool))[0]
    async with pool.transaction(tenant) as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    administrator = Database(server.running.app_database_url)
    async with administrator.without_tenant() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    await administrator.close()
    assert await tenants(pool) == [tenant]


async def test_an_address_where_nobody_answers_is_no_hang() -> None:
    for url in (
        "postgresql+psycopg://keepwell@/keepwell?host=/nonexistent",
        "postgresql+psycopg://keepwell@127.0.0.1:9/keepwell",
    ):
        pool = Database(url)
        with pytest.raises(DatabaseUnavailable):
            await tenants(pool)
        await pool.close()


async def test_a_fault_in_a_statement_is_no_outage(pool: Database) -> None:
    with pytest.raises(DBAPIError, match="division by zero"):
        async with pool.without_tenant() as connection:
            await connection.execute(text("SELECT 1 / 0"))


async def test_a_shifted_clock_is_the_databases_too(server: Server) -> None:
    years = timedelta(days=-800, seconds=3.25)
    shifted, plain = (
        Database(server.running.app_database_url, clock_offset=offset)
        for offset in (years, timedelta(0))
    )
    now = text("SELECT keepwell.clock(), clock_timestamp()")
    for pool, offset in ((shifted, years), (plain, timedelta(0))):
        async with pool.without_tenant() as connection:
            told, real = (await connection.execute(now)).one()
        # both are read in one statement: microseconds apart
        assert abs(told - real - offset) < timedelta(seconds=1)
        assert told.utcoffset() == timedelta(0)
        assert abs(real - datetime.now(UTC)) < timedelta(minutes=1)
        await pool.close()
