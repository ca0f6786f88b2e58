"""What the engine is worth is told against those left alone, not by what followed a message."""

import asyncio
from datetime import timedelta
from uuid import UUID

import orjson
import psycopg
import pytest

from bandits.state import load_state
from engine.errors import InvalidInput
from services.actions import LEFT_PREFIX
from services.learn import learn
from services.report_lift import LiftQuestion, report_lift
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)


async def told(practice: Practice, **question):
    async with practice.transaction() as connection:
        return await report_lift(
            connection, practice.tenant_id, LiftQuestion(**question), now=practice.now()
        )


async def grouped(practice: Practice, group: str, n: int, *, booked: int) -> None:
    """Contacts of a group that were decided for a month ago; some booked since."""
    await practice.execute(
        "WITH new AS (SELECT gen_random_uuid() AS contact, n FROM generate_series(1, :n) AS n), "
        "d AS (INSERT INTO keepwell.decisions (tenant_id, id, contact_id, as_of, trigger, reason, "
        "score_cents, experiment_group, seed, profile, profile_digest, rule_set_digest, "
        "policy_state_version, policy_data_digest, libraries, decision_digest, hazard_90d) SELECT "
        ":t, gen_random_uuid(), contact, :at, 'nightly', 'no_rule_applies', 0, :group, 1, '{}', "
        "'p', 'r', 0, 'd', 'l', 'x', 0.2 FROM new) "
        "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, "
        "occurred_at) SELECT :t, 'test', contact::text, contact, 'appointment.booked', "
        "cast(:at AS timestamptz) + interval '3 days' FROM new WHERE n <= :booked",
        t=practice.tenant_id, n=n, at=MORNING - 30 * DAY, group=group, booked=booked,
    )  # fmt: skip


async def test_bookings_are_compared_per_contact_and_decided_when_they_are(practice):
    await grouped(practice, "engine", 3000, booked=1200)
    await grouped(practice, "holdout", 1000, booked=250)
    found = await told(practice)
    assert found["groups"] == {"engine": 3000, "holdout": 1000}
    bookings = found["lift"]["engine"]["bookings"]
    assert (bookings["mean"], bookings["mean_of_control"]) == pytest.approx((0.40, 0.25))
    assert bookings["low"] > 0
    assert (bookings["decided"], bookings["weeks_more"]) == (True, 0)
    assert bookings["incremental"] == pytest.approx(450)
    assert bookings["attributed"] == 0  # nobody was written to
    segments = found["segments"]
    assert segments["medium"]["engine"]["bookings"]["difference"] == bookings["difference"]
    assert segments["low"] == {}


async def test_a_business_that_the_servers_statistics_do_not_know_yet_is_told_about(practice):
    """Joined contact by contact, these rows would take it a quarter of an hour."""
    with psycopg.connect(practice.superuser, autocommit=True) as server:
        server.execute("ANALYZE keepwell.decisions, keepwell.events")
    await grouped(practice, "engine", 3500, booked=1200)
    async with asyncio.timeout(60):
        found = await told(practice)
    assert found["groups"]["engine"] == 3500


async def test_too_few_to_say_is_said(practice):
    await grouped(practice, "engine", 300, booked=90)
    await grouped(practice, "holdout", 20, booked=4)
    bookings = (await told(practice))["lift"]["engine"]["bookings"]
    assert (bookings["low"], bookings["decided"]) == (None, False)
    assert bookings["weeks_more"] is None or bookings["weeks_more"] > 1


async def test_a_small_difference_takes_weeks_more(practice):
    await grouped(practice, "engine", 2000, booked=520)
    await grouped(practice, "holdout", 400, booked=84)
    bookings = (await told(practice))["lift"]["engine"]["bookings"]
    assert not bookings["decided"]
    assert bookings["weeks_more"] >= 1


async def test_the_future_has_no_lift(practice):
    with pytest.raises(InvalidInput):
        await told(practice, since=MORNING + 400 * DAY)


async def test_what_the_holdout_does_unasked_teaches_the_effect(practice):
    at = MORNING - 25 * DAY
    held = [await practice.add_contact(held=True) for _ in range(3)]
    treated = await practice.add_contact()
    for contact in (*held, treated):
        await practice.add_event(contact, "appointment.no_show", at - 4 * DAY)
    then = practice.at(at)
    for contact in (*held, *held):  # decided for twice: they count once
        await then.decide(contact, as_of=at)
    decided = await then.decide(treated, as_of=at)
    await then.database.close()
    await practice.mark_sent(decided, at)
    await practice.add_event(held[0], "appointment.booked", at + DAY)
    await practice.report(treated, "appointment.booked", at + DAY)
    async with practice.transaction() as connection:
        assert await learn(connection, practice.tenant_id) == 1
    (row,) = await practice.rows("SELECT state FROM keepwell.policy_states")
    counts = load_state(orjson.loads(row["state"])).actions
    left = counts[LEFT_PREFIX + decided["action"]]
    assert (left.contacted, left.succeeded) == (3, 1)
    assert counts[decided["action"]].contacted == 1
    assert UUID(decided["id"])
