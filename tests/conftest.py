"""Real servers for every test that needs them; a fresh tenant for each test."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import settings as property_settings

from embedded.servers import EmbeddedServers, temporary_servers
from engine.ids import TenantId
from services.clock import Clock
from services.settings import Settings
from services.wiring import Runtime
from store.database import Database
from store.tenants import add_tenant
from store.upgrade import upgrade

# no test is timed: a busy machine makes nothing wrong; where others wait for it, the same examples
property_settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
property_settings.load_profile("house")


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    """PostgreSQL, migrated, and Valkey; gone after the session."""
    with temporary_servers() as running:
        upgrade(running.owner_database_url)
        yield running


@pytest.fixture
async def database(servers: EmbeddedServers) -> AsyncIterator[Database]:
    """A pool of the application's role."""
    pool = Database(servers.app_database_url)
    yield pool
    await pool.close()


@pytest.fixture
def runtime(servers: EmbeddedServers, database: Database, tmp_path: Path) -> Runtime:
    """What use cases are given, with the system's clock and no LLM."""
    return Runtime(
        settings=Settings(home=tmp_path, _env_file=None),
        clock=Clock(),
        database=database,
        database_url=servers.app_database_url,
        redis_url=servers.redis_url,
        owner_database_url=servers.owner_database_url,
        embedded=True,
    )


@pytest.fixture
async def tenant(database: Database) -> TenantId:
    """A fresh tenant of the healthcare industry."""
    tenant_id = TenantId(uuid4())
    await make_tenant(database, tenant_id)
    return tenant_id


@pytest.fixture
async def other_tenant(database: Database) -> TenantId:
    """Another one, for what must not be seen."""
    tenant_id = TenantId(uuid4())
    await make_tenant(database, tenant_id)
    return tenant_id


async def make_tenant(database: Database, tenant_id: UUID) -> None:
    async with database.transaction(TenantId(tenant_id)) as connection:
        await add_tenant(
            connection,
            TenantId(tenant_id),
            slug=f"t-{tenant_id.hex[:12]}",
            name="Test Practice",
            industry="healthcare",
        )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data; the test is skipped where it is absent."""
    named = os.environ.get("KEEPWELL_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "DATA.md").exists():
        pytest.skip("real data are absent: set KEEPWELL_TEST_DATA to their folder")
    return folder
