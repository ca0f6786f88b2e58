"""Contacts are looked at when an event or time alone may change what rules say: once each."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from engine.ids import ContactId
from services.check_due import CheckSummary, check_due, show_due
from store.due import list_tenants_with_due_checks
from tests.factories.check_worker import look
from tests.factories.practice import Practice

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 30
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


async def check(practice: Practice) -> CheckSummary:
    return await check_due(practice.runtime, practice.tenant_id)


async def missed(practice: Practice, contact: ContactId, **more: Any) -> None:
    await practice.report(contact, "appointment.no_show", practice.now() - MINUTE, **more)


async def decisions(practice: Practice) -> list[dict[str, Any]]:
    return await practice.rows(
        "SELECT contact_id, trigger, action, rule FROM keepwell.decisions ORDER BY as_of"
    )


async def waiting(practice: Practice) -> list[dict[str, Any]]:
    return await practice.rows(
        "SELECT contact_id, check_at, trigger, failures, reason FROM keepwell.due_checks "
        "ORDER BY check_at, id"
    )


@asynccontextmanager
async def later(practice: Practice, by: timedelta) -> AsyncIterator[Practice]:
    then = practice.at(practice.now() + by)
    yield then
    await then.database.close()


async def test_an_event_that_rules_wait_for_is_decided_for_without_being_asked(
    practice: Practice,
) -> None:
    contact = await practice.add_contact()
    await missed(practice, contact)
    async with practice.database.without_tenant() as connection:
        assert practice.tenant_id in await list_tenants_with_due_checks(connection)
    assert await check(practice) == CheckSummary(decided=1)
    (decided,) = await decisions(practice)
    assert (decided["trigger"], decided["action"]) == ("appointment.no_show", None)
    assert await check(practice) == CheckSummary()
    async with practice.database.without_tenant() as connection:
        assert practice.tenant_id not in await list_tenants_with_due_checks(connection)


async def test_two_silent_days_after_a_no_show_the_contact_is_invited(practice: Practice) -> None:
    contact = await practice.add_contact()
    happened = practice.now() - MINUTE
    await practice.report(contact, "appointment.no_show", happened)
    await check(practice)
    (row,) = await waiting(practice)
    assert (row["check_at"], row["trigger"]) == (happened + 2 * DAY, "due")
    async with later(practice, 2 * DAY - 2 * MINUTE) as then:
        assert await check(then) == CheckSummary()
    async with later(practice, 2 * DAY) as then:
        assert await check(then) == CheckSummary(decided=1)
        invited = (await decisions(then))[-1]
    assert (invited["trigger"], invited["rule"]) == ("due", "clinic.no-show-rescue")
    (send,) = await practice.rows("SELECT contact_id, state FROM keepwell.sends")
    assert send == {"contact_id": contact, "state": "pending"}


async def test_a_booking_takes_the_next_look_away(practice: Practice) -> None:
    contact = await practice.add_contact()
    await missed(practice, contact)
    await check(practice)
    async with later(practice, DAY) as then:
        starts_at = then.now() + 400 * DAY
        await then.report(
            contact, "appointment.booked", then.now() - MINUTE, subject="a:1", starts_at=starts_at
        )
        await missed(then, contact, subject="a:2")
        await check(then)
        assert [row["trigger"] for row in await waiting(then)] == []


async def test_an_event_that_no_rule_waits_for_asks_for_nothing(practice: Practice) -> None:
    contact = await practice.add_contact()
    await practice.report(contact, "unheard.of", practice.now() - MINUTE)
    assert await waiting(practice) == []


async def test_an_event_told_twice_is_looked_at_once(practice: Practice) -> None:
    contact = await practice.add_contact()
    await missed(practice, contact, event_id="e-1")
    await missed(practice, contact, event_id="e-1")
    assert len(await waiting(practice)) == 1


async def test_several_events_of_one_type_are_seen_by_one_decision(practice: Practice) -> None:
    contact = await practice.add_contact()
    await missed(practice, contact)
    await missed(practice, contact)
    assert await check(practice) == CheckSummary(decided=1)
    assert [each["trigger"] for each in await decisions(practice)] == ["appointment.no_show"]


async def test_an_event_and_time_together_ask_every_rule_that_waits(practice: Practice) -> None:
    contact = await practice.add_contact()
    await missed(practice, contact)
    await check(practice)
    async with later(practice, 2 * DAY) as then:
        await missed(then, contact)
        assert await check(then) == CheckSummary(decided=1)
        assert (await decisions(then))[-1]["trigger"] == "due"


async def test_an_event_that_was_told_late_is_looked_at_at_once(practice: Practice) -> None:
    contact = await practice.add_contact()
    await practice.report(contact, "appointment.no_show", practice.now() - 5 * DAY)
    assert await check(practice) == CheckSummary(decided=1)
    (decided,) = await decisions(practice)
    assert decided["rule"] == "clinic.no-show-rescue"


async def test_an_event_minutes_ahead_is_looked_at_when_it_happens(practice: Practice) -> None:
    contact = await practice.add_contact()
    ahead = practice.now() + 4 * MINUTE
    await practice.report(contact, "appointment.no_show", ahead)
    assert await check(practice) == CheckSummary()
    async with later(practice, 5 * MINUTE) as then:
        assert await check(then) == CheckSummary(decided=1)
        (row,) = await waiting(then)
        assert row["check_at"] == ahead + 2 * DAY


async def test_a_contact_deleted_meanwhile_is_forgotten(practice: Practice) -> None:
    contact = await practice.add_contact()
    await missed(practice, contact)
    with psycopg.connect(practice.superuser) as connection:
        connection.execute("DELETE FROM crm_contacts WHERE id = %s", (contact,))
    assert await check(practice) == CheckSummary(gone=1)
    assert await waiting(practice) == []


async def test_a_tenant_deleted_meanwhile_has_nothing_to_do(practice: Practice) -> None:
    contact = await practice.add_contact()
    await missed(practice, contact)
    with psycopg.connect(practice.superuser) as connection:
        connection.execute("DELETE FROM crm_contacts WHERE id = %s", (contact,))
        connection.execute("DELETE FROM tenants WHERE id = %s", (practice.tenant_id,))
    async with practice.database.without_tenant() as connection:
        assert practice.tenant_id not in await list_tenants_with_due_checks(connection)
    assert await check(practice) == CheckSummary()


async def test_one_tenants_checks_are_not_anothers(
    practice: Practice, other_practice: Practice
) -> None:
    await missed(practice, await practice.add_contact())
    assert await check(other_practice) == CheckSummary()
    assert await check(practice) == CheckSummary(decided=1)


# ---------------------------------------------------------------------------------- faults


@asynccontextmanager
async def poisoned(practice: Practice, contact: ContactId) -> AsyncIterator[None]:
    """While it lasts the database refuses every decision for this contact."""
    name = f"poison_{uuid4().hex[:8]}"
    with psycopg.connect(practice.superuser, autocommit=True) as connection:
        connection.execute(
            f"CREATE FUNCTION keepwell.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF new.contact_id = '{contact}' THEN RAISE EXCEPTION 'poison'; END IF; "
            "RETURN new; END $$"
        )
        connection.execute(
            f"CREATE TRIGGER {name} BEFORE INSERT ON keepwell.decisions "
            f"FOR EACH ROW EXECUTE FUNCTION keepwell.{name}()"
        )
        yield
        connection.execute(f"DROP FUNCTION keepwell.{name}() CASCADE")


async def test_a_contact_that_fails_waits_longer_each_time_and_hinders_nobody(
    practice: Practice,
) -> None:
    sick, sound = await practice.add_contact(), await practice.add_contact()
    await missed(practice, sick)
    await missed(practice, sound)
    async with poisoned(practice, sick):
        assert await check(practice) == CheckSummary(decided=1, failed=1)
        first = next(row for row in await waiting(practice) if row["contact_id"] == sick)
        async with later(practice, 2 * MINUTE) as then:
            assert await check(then) == CheckSummary(failed=1)
            second = next(row for row in await waiting(then) if row["contact_id"] == sick)
            waited = second["check_at"] - then.now()
        async with practice.transaction() as connection:
            shown = await show_due(connection, limit=10)
    assert (first["failures"], second["failures"]) == (1, 2)
    assert first["reason"] == "RaiseException"
    assert first["trigger"] == second["trigger"] == "appointment.no_show"
    assert MINUTE < waited <= 2 * MINUTE
    assert (shown["contacts"], shown["failed"]) == (2, 1)
    async with later(practice, 10 * MINUTE) as then:
        assert await check(then) == CheckSummary(decided=1)
        assert {row["failures"] for row in await waiting(then)} == {0}


# what keeps a check from writing its decision, and one that has written it from ending
BEFORE_DECIDING = "LOCK TABLE keepwell.decisions IN SHARE MODE"
BEFORE_ENDING = "SELECT FROM keepwell.due_checks FOR UPDATE"


@asynccontextmanager
async def held_up(practice: Practice, statement: str) -> AsyncIterator[psycopg.Connection]:
    with psycopg.connect(practice.superuser) as connection:
        connection.execute(statement)
        yield connection


async def somebody_waits(connection: psycopg.Connection) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not connection.execute(  # noqa: ASYNC110 - perhaps in another process
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
        ).fetchone()[0]:
            await asyncio.sleep(0.05)


async def test_a_worker_killed_in_the_middle_leaves_nothing_and_the_next_decides_once(
    practice: Practice,
) -> None:
    contact = await practice.add_contact()
    await practice.report(contact, "appointment.no_show", practice.now() - 5 * DAY)
    runtime = practice.runtime
    process = multiprocessing.get_context("spawn").Process(
        target=look, args=(runtime.database_url, runtime.clock, practice.tenant_id), daemon=True
    )
    async with held_up(practice, BEFORE_ENDING) as lock:
        process.start()
        await somebody_waits(lock)
        process.kill()
        process.join()
        assert await decisions(practice) == []
    assert [row["trigger"] for row in await waiting(practice)] == ["appointment.no_show"]
    assert await practice.count("keepwell.sends") == 0
    async with asyncio.timeout(PATIENCE_SECONDS):  # until the server has seen the connection end
        while not (await check(practice)).seen:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    assert len(await decisions(practice)) == 1
    assert await practice.count("keepwell.sends") == 1


async def test_an_event_never_waits_for_a_contact_that_is_being_decided_for(
    practice: Practice,
) -> None:
    contact = await practice.add_contact()
    await missed(practice, contact)
    async with held_up(practice, BEFORE_DECIDING) as lock:
        looking = asyncio.create_task(check(practice))
        await somebody_waits(lock)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await missed(practice, contact)
    await looking
    await check(practice)
    assert len(await decisions(practice)) == 2
    assert {row["trigger"] for row in await waiting(practice)} <= {"due"}


async def test_workers_side_by_side_decide_once(practice: Practice) -> None:
    for _ in range(6):
        await missed(practice, await practice.add_contact())
    summaries = await asyncio.gather(*(check(practice) for _ in range(3)))
    assert sum(summary.decided for summary in summaries) == 6
    assert len(await decisions(practice)) == 6


async def test_a_round_is_told_to_stop_between_batches(practice: Practice) -> None:
    await missed(practice, await practice.add_contact())
    stop = asyncio.Event()
    stop.set()
    assert await check_due(practice.runtime, practice.tenant_id, stop=stop) == CheckSummary()


async def test_without_a_tenant_no_check_is_seen(practice: Practice) -> None:
    await missed(practice, await practice.add_contact())
    async with practice.database.without_tenant() as connection:
        seen = await connection.scalar(text("SELECT count(*) FROM keepwell.due_checks"))
    assert seen == 0
