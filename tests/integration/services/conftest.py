from collections.abc import AsyncIterator

import pytest

from embedded.servers import EmbeddedServers
from services.wiring import Runtime
from tests.factories.practice import Practice, open_practice


@pytest.fixture
async def practice(servers: EmbeddedServers, runtime: Runtime) -> AsyncIterator[Practice]:
    """A practice without contacts, on a Tuesday morning."""
    opened = await open_practice(runtime, servers.socket_dir)
    yield opened
    await opened.database.close()


@pytest.fixture
async def other_practice(servers: EmbeddedServers, runtime: Runtime) -> AsyncIterator[Practice]:
    """Another tenant of the same database."""
    opened = await open_practice(runtime, servers.socket_dir)
    yield opened
    await opened.database.close()
