"""One tenant never sees, changes or takes over another's rows, whatever a query forgets."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from embedded.servers import EmbeddedServers
from engine.ids import TenantId
from store.catalogue import SPECIFIED_TABLES
from store.crm_contract import APP_MAY_WRITE, CRM_TABLES
from store.database import Database
from store.due import list_tenants_to_learn, list_tenants_with_due_sends
from store.tenants import find_tenant_id, list_tenant_ids
from tests.factories.outbox import Outbox
from tests.integration.store.host_crm import Place

pytestmark = pytest.mark.integration

DENIED = "42501"  # SQLSTATE insufficient_privilege; also of a row that a policy forbids
NEVER_CHANGED = "23001"  # SQLSTATE restrict_violation, of keepwell.refuse_change()
IMMUTABLE = (
    "decisions",
    "candidates",
    "consents",
    "audit_trail",
    "rule_releases",
    "rule_backtests",
)
NARROW_DOORS = {
    "tenant_id_for": "uuid",
    "tenant_ids": "SETOF uuid",
    "tenants_with_due_checks": "SETOF uuid",
    "tenants_to_learn": "SETOF uuid",
    "tenants_with_due_sends": "SETOF uuid",
    # sums over at least three tenants that lend, and nothing about any of them
    "borrowed_counts": (
        "TABLE(factor text, arm text, tenants bigint, decisions double precision, "
        "reward double precision)"
    ),
}


@pytest.fixture
def created(servers: EmbeddedServers) -> Place:
    return Place(servers.socket_dir, "keepwell")


@pytest.fixture
async def outbox(database: Database, other_tenant: TenantId) -> Outbox:
    """The other tenant's, with rows in most tables."""
    box = Outbox(database, other_tenant)
    await box.add_send()
    await box.set_settings(paused=True)
    return box


def our_tables(place: Place) -> list[str]:
    return [
        str(name)
        for (name,) in place.rows(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p') "
            "AND c.relnamespace = 'keepwell'::regnamespace AND c.relname <> 'schema_version'"
        )
    ]


async def sqlstate_of(connection: AsyncConnection, statement: str, **values: object) -> str:
    """The error that a statement ends in; '' if it succeeds."""
    try:
        async with connection.begin_nested():
            await connection.execute(text(statement), values)
    except DBAPIError as error:
        return str(getattr(error.orig, "sqlstate", None))
    return ""


# -------------------------------------------------------------------------------- what is set up


def test_every_table_with_a_tenant_is_protected(created: Place) -> None:
    rows = created.rows(
        "SELECT n.nspname, c.relname, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') "
        "AND n.nspname IN ('public', 'keepwell') AND (c.relname = 'tenants' OR EXISTS "
        "(SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'))"
    )
    found = {(schema, table) for schema, table, _, _ in rows}
    assert {table for schema, table in found if schema == "public"} == {
        *CRM_TABLES,
        *SPECIFIED_TABLES,
    }
    assert [f"{s}.{t}" for s, t, enabled, _ in rows if not enabled] == []
    ours = [r for r in rows if r[0] == "keepwell" or r[1] in SPECIFIED_TABLES]
    assert [f"{s}.{t}" for s, t, _, forced in ours if not forced] == []
    assert len(our_tables(created)) == len([r for r in rows if r[0] == "keepwell"])


def test_every_policy_of_ours_reads_the_setting_and_checks_what_is_written(created: Place) -> None:
    rows = created.rows(
        "SELECT schemaname || '.' || tablename, qual, with_check FROM pg_policies "
        "WHERE policyname IN ('keepwell_tenant', 'keepwell_only')"
    )
    assert len(rows) == 2 * len(CRM_TABLES) + len(SPECIFIED_TABLES) + len(our_tables(created))
    for table, seen, written in rows:
        assert "app.tenant_id" in seen, table
        assert seen == written, table


def test_the_application_owns_nothing_and_is_bound_by_policies(created: Place) -> None:
    assert (
        created.rows(
            "SELECT rolname FROM pg_roles WHERE rolname IN ('keepwell', 'keepwell_app') "
            "AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)"
        )
        == []
    )
    assert (
        created.rows(
            "SELECT relname FROM pg_class WHERE pg_has_role('keepwell', relowner, 'USAGE')"
        )
        == []
    )
    assert (
        created.rows("SELECT proname FROM pg_proc WHERE pg_has_role('keepwell', proowner, 'USAGE')")
        == []
    )


def test_the_application_may_not_delete_or_empty_what_is_the_crms(created: Place) -> None:
    rights = created.rows(
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
        "WHERE grantee = 'keepwell_app' AND table_schema = 'public'"
    )
    crm = [(table, right) for table, right in rights if table in CRM_TABLES]
    assert {table for table, right in crm if right == "SELECT"} == set(CRM_TABLES)
    assert {table for table, right in crm if right == "UPDATE"} == set(APP_MAY_WRITE)
    assert {right for _, right in crm} == {"SELECT", "INSERT", "UPDATE"}
    assert not [each for each in rights if each[1] in {"TRUNCATE", "REFERENCES", "TRIGGER"}]


def test_the_narrow_doors_give_ids_and_shared_sums_alone_and_search_nowhere_else(
    created: Place,
) -> None:
    rows = created.rows(
        "SELECT proname, pg_get_function_result(oid), proconfig, EXISTS (SELECT FROM "
        "aclexplode(coalesce(proacl, acldefault('f', proowner))) acl WHERE acl.grantee = 0) "
        "FROM pg_proc WHERE pronamespace = 'keepwell'::regnamespace AND prosecdef"
    )
    assert {name: result for name, result, _, _ in rows} == NARROW_DOORS
    for name, _, settings, anybody in rows:
        assert settings == ["search_path=pg_catalog"], name
        assert not anybody, name


# ------------------------------------------------------------------------------- what is enforced


async def test_without_a_tenant_no_row_is_seen(
    database: Database, created: Place, outbox: Outbox
) -> None:
    async with database.without_tenant() as connection:
        for table in [*our_tables(created), *SPECIFIED_TABLES, *CRM_TABLES]:
            count = await connection.scalar(text(f"SELECT count(*) FROM {table}"))
            assert count == 0, table
        assert outbox.tenant_id in await list_tenant_ids(connection)
        assert outbox.tenant_id in await list_tenants_with_due_sends(connection)
        assert outbox.tenant_id not in await list_tenants_to_learn(connection)
        assert await find_tenant_id(connection, "no such tenant") is None


async def test_anothers_rows_are_neither_read_nor_changed_nor_deleted(
    database: Database, created: Place, outbox: Outbox, tenant: TenantId
) -> None:
    async with database.transaction(tenant) as connection:
        for table in [*our_tables(created), *SPECIFIED_TABLES, *CRM_TABLES]:
            column = CRM_TABLES.get(table, "tenant_id")
            there = f"{table} WHERE {column} = :other"
            values = {"other": outbox.tenant_id}
            assert await connection.scalar(text(f"SELECT count(*) FROM {there}"), values) == 0, (
                table
            )
            changed = f"UPDATE {table} SET {column} = {column} WHERE {column} = :other"
            if await sqlstate_of(connection, changed, **values) == "":
                assert (await connection.execute(text(changed), values)).rowcount == 0, table
            gone = f"DELETE FROM {there}"
            if await sqlstate_of(connection, gone, **values) == "":
                assert (await connection.execute(text(gone), values)).rowcount == 0, table
    assert len(await outbox.all()) == 1


async def test_a_row_is_neither_added_for_another_tenant_nor_moved_to_it(
    database: Database, tenant: TenantId, other_tenant: TenantId
) -> None:
    insert = (
        "INSERT INTO keepwell.external_ids (tenant_id, entity, external_id, internal_id) "
        "VALUES (:tenant, 'contact', 'a', gen_random_uuid())"
    )
    contact = "INSERT INTO crm_contacts (tenant_id, first_name) VALUES (:tenant, 'Eve')"
    score = "INSERT INTO customer_health_scores (tenant_id) VALUES (:tenant)"
    async with database.transaction(tenant) as connection:
        for statement, table in (
            (insert, "keepwell.external_ids"),
            (contact, "crm_contacts"),
            (score, "customer_health_scores"),
        ):
            assert await sqlstate_of(connection, statement, tenant=other_tenant) == DENIED, table
            assert await sqlstate_of(connection, statement, tenant=tenant) == "", table
            moving = f"UPDATE {table} SET tenant_id = :tenant"
            assert await sqlstate_of(connection, moving, tenant=other_tenant) == DENIED, table
        unowned = "INSERT INTO customer_health_scores (tenant_id) VALUES (NULL)"
        assert await sqlstate_of(connection, unowned) == DENIED


@pytest.mark.parametrize("table", IMMUTABLE)
async def test_history_is_never_changed_by_the_application_nor_by_the_owner(
    outbox: Outbox, created: Place, table: str
) -> None:
    statements = (
        f"UPDATE keepwell.{table} SET tenant_id = tenant_id",
        f"DELETE FROM keepwell.{table}",
        f"TRUNCATE keepwell.{table} CASCADE",
    )
    async with outbox.database.transaction(outbox.tenant_id) as connection:
        for statement in statements:
            assert await sqlstate_of(connection, statement) == DENIED, statement
    owner = Database(created.url("keepwell_owner"))
    async with owner.transaction(outbox.tenant_id) as connection:
        for statement in statements:
            assert await sqlstate_of(connection, statement) == NEVER_CHANGED, statement
    await owner.close()


# ----------------------------------------------------------------------------------- one by one


@pytest.fixture
async def narrow(servers: EmbeddedServers) -> AsyncIterator[Database]:
    """A pool of two connections."""
    pool = Database(servers.app_database_url, pool_size=1)
    yield pool
    await pool.close()


async def set_tenant(connection: AsyncConnection) -> str:
    found = await connection.scalar(text("SELECT current_setting('app.tenant_id', true)"))
    return str(found or "")


@pytest.mark.parametrize("ends_with", ["commit", "error"])
async def test_the_next_user_of_a_connection_starts_without_the_tenant(
    narrow: Database, tenant: TenantId, ends_with: str
) -> None:
    backend = text("SELECT pg_backend_pid()")
    try:
        async with narrow.transaction(tenant) as connection:
            first = await connection.scalar(backend)
            assert await set_tenant(connection) == str(tenant)
            if ends_with == "error":
                await connection.execute(text("SELECT 1 / 0"))
    except DBAPIError:
        assert ends_with == "error"
    async with narrow._pool.connect() as connection:
        assert await connection.scalar(backend) == first, "the same connection"
        assert await set_tenant(connection) == ""
        assert await connection.scalar(text("SELECT count(*) FROM tenants")) == 0


async def test_interleaved_transactions_of_two_tenants_on_two_connections_stay_apart(
    narrow: Database, tenant: TenantId, other_tenant: TenantId
) -> None:
    rounds = 25
    at_once, most = 0, 0

    async def work(whose: TenantId, number: int) -> set[str]:
        nonlocal at_once, most
        async with narrow.transaction(whose) as connection:
            at_once += 1
            most = max(most, at_once)
            await connection.execute(
                text(
                    "INSERT INTO crm_contacts (tenant_id, email) "
                    "VALUES (cast(current_setting('app.tenant_id') AS uuid), :email)"
                ),
                {"email": f"{number}@{whose}.example"},
            )
            await asyncio.sleep(0)
            rows = await connection.execute(text("SELECT tenant_id FROM crm_contacts"))
            seen = {str(row[0]) for row in rows}
            at_once -= 1
        return seen

    jobs = [(whose, n) for n in range(rounds) for whose in (tenant, other_tenant)]
    seen = await asyncio.gather(*(work(whose, n) for whose, n in jobs))
    assert most == 2
    assert seen == [{str(whose)} for whose, _ in jobs]
    for whose in (tenant, other_tenant):
        async with narrow.transaction(whose) as connection:
            counted = await connection.scalar(text("SELECT count(*) FROM crm_contacts"))
        assert counted == rounds


async def test_a_failed_transaction_leaves_nothing(database: Database, tenant: TenantId) -> None:
    email = f"{uuid4()}@example.com"
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction is what is tested
        async with database.transaction(tenant) as connection:
            await connection.execute(
                text("INSERT INTO crm_contacts (tenant_id, email) VALUES (:tenant, :email)"),
                {"tenant": tenant, "email": email},
            )
            raise ZeroDivisionError
    async with database.transaction(tenant) as connection:
        assert await connection.scalar(text("SELECT count(*) FROM crm_contacts")) == 0
