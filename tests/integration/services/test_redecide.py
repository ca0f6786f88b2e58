"""What is blocked comes back to arbitration when the block ends; nothing is sent stale or twice."""

from datetime import datetime, timedelta

import pytest

from services.check_due import check_due
from services.deliver import Channels, deliver_due
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def promised(practice: Practice) -> tuple[object, dict[str, object]]:
    contact = await practice.add_missed()
    decision = await practice.decide(contact, as_of=MORNING)
    assert decision["send"]["status"] == "promised"
    return contact, decision


async def checks(practice: Practice) -> list[dict[str, object]]:
    return await practice.rows(
        "SELECT check_at, trigger FROM keepwell.due_checks WHERE trigger = 'redecide'"
    )


async def at_send_time(practice: Practice, decision: dict[str, object]) -> Practice:
    return practice.at(datetime.fromisoformat(str(decision["send_at"])) + timedelta(minutes=1))


async def test_a_message_whose_facts_changed_is_not_sent_and_the_contact_is_decided_anew(practice):
    contact, decision = await promised(practice)
    await practice.report(contact, "appointment.booked", MORNING + timedelta(seconds=1))
    then = await at_send_time(practice, decision)
    try:
        done = await deliver_due(then.database, Channels({}), then.tenant_id)
        assert (done.sent, done.suppressed) == (0, 1)
        (asked,) = await checks(then)
        assert asked["check_at"] <= then.now()
        await check_due(then.runtime, then.tenant_id)
        decided = await then.rows(
            "SELECT trigger, action FROM keepwell.decisions WHERE trigger = 'redecide'"
        )
        assert [row["action"] for row in decided] != [decision["action"]]
        assert await checks(then) == []
    finally:
        await then.database.close()


async def test_a_full_cap_gives_the_place_back_and_is_decided_anew_when_it_frees(practice):
    _, decision = await promised(practice)
    then = await at_send_time(practice, decision)
    try:
        # something else has gone out in the meantime
        await then.execute(
            "INSERT INTO keepwell.sends (tenant_id, id, decision_id, contact_id, dedupe_key, "
            "action, purpose, channel, recipient, content, content_source, state, next_at, "
            "not_after, decided_at, sent_at) SELECT tenant_id, gen_random_uuid(), decision_id, "
            "contact_id, 'other', action, purpose, channel, recipient, content, content_source, "
            "'sent', next_at, not_after, decided_at, :at FROM keepwell.sends",
            at=then.now() - HOUR,
        )
        done = await deliver_due(then.database, Channels({}), then.tenant_id)
        assert done.suppressed == 1
        (send,) = await then.rows("SELECT reason FROM keepwell.sends WHERE state = 'suppressed'")
        assert send["reason"] == "frequency_cap"
        (asked,) = await checks(then)
        assert then.now() + 3 * HOUR < asked["check_at"] < then.now() + DAY
    finally:
        await then.database.close()
    after = practice.at(asked["check_at"] + timedelta(minutes=1))
    try:
        await check_due(after.runtime, after.tenant_id)
        (again,) = await after.rows(
            "SELECT reason FROM keepwell.decisions WHERE trigger = 'redecide'"
        )
        assert again["reason"] != "frequency_cap"
    finally:
        await after.database.close()


async def test_who_has_just_refused_is_not_tried_again_on_another_channel(practice):
    contact, decision = await promised(practice)
    then = await at_send_time(practice, decision)
    try:
        await then.consent(
            contact, str(decision["channel"]), str(decision["purpose"]), "revoked",
            then.now() - timedelta(seconds=5),
        )  # fmt: skip
        done = await deliver_due(then.database, Channels({}), then.tenant_id)
        assert done.suppressed == 1
        assert await checks(then) == []
    finally:
        await then.database.close()


async def test_a_bounce_brings_the_contact_back(practice):
    contact, _ = await promised(practice)
    await practice.report(contact, "message.bounced", practice.now() - timedelta(seconds=1))
    assert [each["trigger"] for each in await checks(practice)] == ["redecide"]


async def test_an_address_that_bounced_is_not_written_to_again_until_it_is_another_one(practice):
    await practice.set(channels=["email"])
    contact = await practice.add_missed(mobile_phone=None)
    decision = await practice.decide(contact, as_of=MORNING)
    assert decision["channel"] == "email"
    await practice.mark_sent(decision, practice.now())
    await practice.report(contact, "message.bounced", practice.now(), decision_id=decision["id"])
    later = practice.at(practice.now() + timedelta(hours=1))
    try:
        for trace in (
            (await later.decide(contact))["candidates"],
            (await later.decide_all(dry_run=True))[1][0].candidates,
        ):
            told = next(c for c in trace if c["rule"] == decision["rule"])
            assert "email:no_reachable_channel" in told["channels"]
        await later.execute(
            "UPDATE crm_contacts SET email = 'new@example.com' WHERE id = :id", id=contact
        )
        again = await later.decide(contact)
        told = next(c for c in again["candidates"] if c["rule"] == decision["rule"])
        assert "email:no_reachable_channel" not in told["channels"]
    finally:
        await later.database.close()
