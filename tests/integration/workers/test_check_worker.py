"""An event over HTTP, and nothing more: the worker decides, and again when two days are over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.app import create_app
from embedded.servers import EmbeddedServers
from engine.ids import ContactId
from services.deliver import Channels
from services.manage_keys import ADMIN, create_key
from services.wiring import Runtime
from tests.factories.practice import Practice, open_practice
from workers.main import run_worker

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 30
DAY = timedelta(days=1)


@pytest.fixture
async def practice(servers: EmbeddedServers, runtime: Runtime) -> AsyncIterator[Practice]:
    opened = await open_practice(runtime, servers.socket_dir)
    yield opened
    await opened.database.close()


@asynccontextmanager
async def working(practice: Practice, redis_url: str | None) -> AsyncIterator[None]:
    stop = asyncio.Event()
    runtime = replace(practice.runtime, redis_url=redis_url)
    worker = asyncio.create_task(run_worker(runtime, stop=stop, channels=Channels({})))
    yield
    stop.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await worker


async def post_event(practice: Practice, contact: ContactId, kind: str) -> dict[str, Any]:
    async with practice.transaction() as connection:
        issued = await create_key(connection, practice.tenant_id, name="test", scopes=[ADMIN])
    event = {
        "id": str(uuid4()),
        "type": kind,
        "contact": str(contact),
        "occurred_at": (practice.now() - timedelta(minutes=1)).isoformat(),
    }
    application = create_app(practice.runtime)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post(
            "/v1/events", json=event, headers={"Authorization": f"Bearer {issued.key}"}
        )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def decided(practice: Practice, count: int) -> list[dict[str, Any]]:
    """All decisions, once there are so many."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await practice.rows(
                "SELECT trigger, rule FROM keepwell.decisions ORDER BY as_of"
            )
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("with_redis", [True, False])
async def test_a_no_show_is_answered_two_silent_days_later_without_any_further_request(
    practice: Practice, runtime: Runtime, with_redis: bool
) -> None:
    redis_url = runtime.redis_url if with_redis else None
    contact = await practice.add_contact()
    async with working(practice, redis_url):
        answer = await post_event(practice, contact, "appointment.no_show")
        assert answer["status"] == "recorded"
        assert await decided(practice, 1) == [{"trigger": "appointment.no_show", "rule": None}]

    then = practice.at(practice.now() + 2 * DAY)
    async with working(then, redis_url):
        (_, invited) = await decided(then, 2)
    await then.database.close()
    assert invited == {"trigger": "due", "rule": "clinic.no-show-rescue"}
