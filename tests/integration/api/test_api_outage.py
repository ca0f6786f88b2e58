"""What clients see while PostgreSQL is away, and that its return needs no restart of ours."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from api.app import create_app
from services.check_health import check_health
from services.wiring import Runtime
from store.database import Database

pytestmark = pytest.mark.integration


@pytest.fixture
async def detour(runtime, tmp_path) -> AsyncIterator[tuple[Runtime, Path, Path]]:
    """A runtime whose database is reached through a link that does not lead anywhere yet."""
    url = make_url(runtime.database_url)
    folder = Path(str(url.query.get("host", url.host)))
    if not folder.is_absolute():
        pytest.skip("the test's PostgreSQL listens on no Unix socket")
    link = tmp_path / "s"
    away = url.set(host=None).update_query_dict({"host": str(link)})
    database = Database(away.render_as_string(hide_password=False))
    yield replace(runtime, database=database), link, folder
    await database.close()


async def test_an_outage_is_a_503_and_ends_by_itself(detour, asgi_client, key, contact, event):
    runtime, link, folder = detour
    client = asgi_client(create_app(runtime))
    path = f"/v1/contacts/{contact.id}"
    for answer in (
        await client.get(path, headers=key),
        await client.post("/v1/events", json=event, headers=key),
        await client.post(f"{path}/next-best-action", headers=key),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert str(link) not in answer.text
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/readyz")).status_code == 503
    link.symlink_to(folder)
    assert (await client.get(path, headers=key)).status_code == 200
    assert (await client.get("/readyz")).json()["status"] == "ready"
    link.unlink()


async def test_connections_that_a_restart_broke_are_replaced(client, database, key, contact):
    path = f"/v1/contacts/{contact.id}"
    assert (await client.get(path, headers=key)).status_code == 200
    async with database.without_tenant() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = current_user AND pid <> pg_backend_pid()"
            )
        )
    assert (await client.get(path, headers=key)).status_code == 200


async def test_the_doctor_tells_an_outage_and_goes_on(detour):
    runtime, _, _ = detour
    states = {check.name: check.state for check in await check_health(runtime)}
    assert states["postgresql"] == "unreachable"
    assert "redis" in states
