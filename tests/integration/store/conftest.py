"""Databases of their own for tests that change schemas."""

from collections.abc import Callable, Iterator

import pytest

from embedded.servers import EmbeddedServers
from store.upgrade import upgrade
from tests.integration.store.host_crm import Place, drop_place, install_host_crm, new_place


@pytest.fixture(scope="session")
def make_place(servers: EmbeddedServers) -> Iterator[Callable[[str], Place]]:
    """Makes empty databases by their owner's name; gone after the session."""
    made: list[Place] = []

    def make(owner: str) -> Place:
        made.append(new_place(servers.socket_dir, owner))
        return made[-1]

    yield make
    for place in made:
        drop_place(place)


@pytest.fixture
def host(make_place: Callable[[str], Place]) -> Place:
    """A live CRM that knows nothing of us."""
    place = make_place("crm_owner")
    install_host_crm(place)
    return place


@pytest.fixture
def adopted(host: Place) -> Place:
    """A live CRM that we were added to."""
    upgrade(host.url("crm_owner"))
    return host
