"""Statements that go to the driver itself keep to the same transaction and the same errors."""

import psycopg
import pytest
from sqlalchemy import text

from engine.errors import DatabaseUnavailable
from engine.ids import TenantId
from store.database import Database
from store.direct import find_row

pytestmark = pytest.mark.integration


async def test_a_direct_statement_sees_the_tenant_and_ends_with_its_transaction(
    database: Database, tenant: TenantId
) -> None:
    statement = "SELECT current_setting('app.tenant_id') = :tenant, id FROM tenants"
    async with database.transaction(tenant) as connection:
        assert await find_row(connection, statement, {"tenant": str(tenant)}) == (True, tenant)
        assert await find_row(connection, "SELECT 1 WHERE false", {}) is None

    async def fail_after_a_write() -> None:
        async with database.transaction(tenant) as connection:
            await find_row(
                connection,
                "INSERT INTO keepwell.runs (tenant_id, id, kind, as_of) "
                "VALUES (:tenant, :tenant, 'x', keepwell.clock()) RETURNING id",
                {"tenant": tenant},
            )
            await find_row(connection, "SELECT 1 / 0", {})

    with pytest.raises(psycopg.errors.DivisionByZero):
        await fail_after_a_write()
    async with database.transaction(tenant) as connection:
        assert await find_row(connection, "SELECT count(*) FROM keepwell.runs", {}) == (0,)


async def test_a_connection_that_breaks_under_a_direct_statement_is_an_outage_not_a_fault(
    database: Database, tenant: TenantId
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction(tenant) as connection:
            await find_row(connection, "SELECT pg_terminate_backend(pg_backend_pid())", {})
    async with database.transaction(tenant) as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
