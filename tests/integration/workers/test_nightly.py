"""Every tenant's rules are verified at night, and one tenant's fault stops at its own door."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from embedded.servers import EmbeddedServers
from services.deliver import Channels
from services.wiring import Runtime
from tests.factories.practice import Practice, forget_playbooks, open_practice
from workers.context import WorkerContext
from workers.nightly import is_night, work_for, work_nightly

pytestmark = pytest.mark.integration


@pytest.fixture
async def practices(servers: EmbeddedServers, runtime: Runtime) -> AsyncIterator[list[Practice]]:
    """Two with rules and a contact each, on a Tuesday morning."""
    opened = [await open_practice(runtime, servers.socket_dir) for _ in range(2)]
    for practice in opened:
        await practice.decide(await practice.add_missed())
    yield opened
    for practice in opened:
        await practice.database.close()


def context_of(practice: Practice) -> WorkerContext:
    return WorkerContext(practice.runtime, Channels({}), asyncio.Event())


async def runs(practice: Practice) -> int:
    found = await practice.rows("SELECT count(*) AS n FROM keepwell.runs WHERE kind = 'verify'")
    return int(found[0]["n"])


async def test_one_tenants_fault_keeps_no_other_from_being_verified(
    practices: list[Practice],
) -> None:
    broken, sound = practices
    broken.tamper("DELETE FROM keepwell.rule_sets WHERE tenant_id = %s", broken.tenant_id)
    forget_playbooks()
    await work_for(context_of(sound), [broken.tenant_id, sound.tenant_id])
    assert [await runs(practice) for practice in practices] == [0, 1]


async def test_by_day_nothing_is_verified(practices: list[Practice]) -> None:
    await work_nightly(context_of(practices[0]))
    assert [await runs(practice) for practice in practices] == [0, 0]


async def test_a_worker_told_to_stop_begins_no_other_tenant(practices: list[Practice]) -> None:
    context = context_of(practices[0])
    context.stop.set()
    await work_for(context, [practice.tenant_id for practice in practices])
    assert [await runs(practice) for practice in practices] == [0, 0]


async def test_an_answer_that_is_no_longer_given_is_forgotten_and_a_fresh_one_kept(
    practices: list[Practice],
) -> None:
    practice = practices[0]
    async with practice.runtime.database.transaction(practice.tenant_id) as connection:
        for key, age in (("old", timedelta(hours=25)), ("fresh", timedelta(hours=23))):
            await connection.execute(
                text(
                    "INSERT INTO keepwell.idempotency_keys "
                    "(tenant_id, key, request_sha256, status, response, created_at) "
                    "VALUES (:tenant, :key, '', 200, '', keepwell.clock() - :age)"
                ),
                {"tenant": practice.tenant_id, "key": key, "age": age},
            )
    await work_for(context_of(practice), [practice.tenant_id])
    kept = await practice.rows("SELECT key FROM keepwell.idempotency_keys")
    assert [row["key"] for row in kept] == ["fresh"]


def test_night_is_from_three_to_six_utc() -> None:
    hours = [datetime(2026, 3, 10, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24)]
    assert [moment.hour for moment in hours if is_night(moment)] == [3, 4, 5]
