"""What a reported event is an outcome of, once each."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import polars as pl
import pytest
from sqlalchemy.exc import DBAPIError

from engine.errors import ContactNotFound, DecisionNotFound, InvalidInput
from services.show_decision import show_decision
from store.import_targets import add_events
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
SENT = MORNING - 20 * DAY


async def delivered(practice: Practice, at: datetime = SENT) -> dict:
    """A decision whose message left at `at`."""
    contact = await practice.add_contact()
    await practice.add_event(contact, "appointment.no_show", at - 4 * DAY)
    then = practice.at(at)
    decided = await then.decide(contact, as_of=at)
    await then.database.close()
    assert decided["send"]["status"] == "promised"
    await practice.mark_sent(decided, at)
    return decided


async def reward(practice: Practice, decided: dict) -> float | None:
    found = await practice.rows(
        "SELECT reward FROM keepwell.rewards WHERE decision_id = :id", id=decided["id"]
    )
    return found[0]["reward"] if found else None


async def test_an_open_then_a_booking_raise_the_reward_and_stand_on_the_decision(practice):
    decided = await delivered(practice)
    contact = decided["contact_id"]
    opened = await practice.report(contact, "message.opened", SENT + DAY)
    booked = await practice.report(contact, "appointment.booked", SENT + 2 * DAY)
    assert opened["status"] == booked["status"] == "recorded"
    assert (opened["decision_id"], opened["outcome"], opened["reward"]) == (
        decided["id"], "opened", 0.05,
    )  # fmt: skip
    assert (booked["decision_id"], booked["outcome"], booked["reward"]) == (
        decided["id"], "goal", 1.0,
    )  # fmt: skip
    async with practice.transaction() as connection:
        shown = await show_decision(connection, practice.tenant_id, decided["id"])
    assert [(each["kind"], each["reward"]) for each in shown["outcomes"]] == [
        ("opened", 0.05), ("goal", 1.0),
    ]  # fmt: skip


async def test_a_lower_answer_after_a_higher_one_takes_nothing_away(practice):
    decided = await delivered(practice)
    await practice.report(decided["contact_id"], "message.clicked", SENT + DAY)
    after = await practice.report(decided["contact_id"], "message.opened", SENT + 2 * DAY)
    assert after["reward"] == 0.3


async def test_the_same_event_again_changes_nothing(practice):
    decided = await delivered(practice)
    contact = decided["contact_id"]
    await practice.report(contact, "message.opened", SENT + DAY, event_id="e-1")
    again = await practice.report(contact, "appointment.booked", SENT + DAY, event_id="e-1")
    assert again == {
        "id": "e-1", "status": "duplicate", "decision_id": None, "outcome": None, "reward": None,
    }  # fmt: skip
    assert await reward(practice, decided) == 0.05
    assert await practice.count("keepwell.outcomes") == 1
    assert len(await practice.rows("SELECT 1 FROM keepwell.events WHERE source = 'api'")) == 1


async def test_the_same_event_twice_at_once_is_recorded_once(practice):
    decided = await delivered(practice)
    receipts = await asyncio.gather(
        *(
            practice.report(decided["contact_id"], "message.clicked", SENT + DAY, event_id="e-2")
            for _ in range(4)
        )
    )
    assert sorted(each["status"] for each in receipts) == ["duplicate"] * 3 + ["recorded"]
    assert await practice.count("keepwell.outcomes") == 1


async def test_another_tenant_may_use_the_same_event_id(practice, other_practice):
    for each in (practice, other_practice):
        contact = await each.add_contact()
        receipt = await each.report(contact, "appointment.kept", MORNING - DAY, event_id="e-3")
        assert receipt["status"] == "recorded"


async def test_an_open_by_a_machine_is_worth_nothing(practice):
    decided = await delivered(practice)
    receipt = await practice.report(
        decided["contact_id"], "message.opened", SENT + DAY, properties={"machine": True}
    )
    assert (receipt["outcome"], receipt["reward"]) == ("opened_by_machine", 0.0)


async def test_a_booking_after_the_attribution_window_is_no_goal(practice):
    decided = await delivered(practice)
    contact = decided["contact_id"]
    second = timedelta(seconds=1)
    late = await practice.report(contact, "appointment.booked", SENT + 14 * DAY + second)
    before = await practice.report(contact, "appointment.booked", SENT - second)
    assert late["outcome"] is before["outcome"] is None
    assert late["status"] == before["status"] == "recorded"
    assert await reward(practice, decided) is None
    in_time = await practice.report(contact, "appointment.booked", SENT + 14 * DAY)
    assert in_time["outcome"] == "goal"


async def test_an_event_that_is_not_the_goal_of_the_rule_is_no_outcome(practice):
    decided = await delivered(practice)
    receipt = await practice.report(decided["contact_id"], "appointment.cancelled", SENT + DAY)
    assert (receipt["status"], receipt["outcome"]) == ("recorded", None)


async def test_an_answer_without_a_decision_goes_to_the_newest_message_before_it(practice):
    older = await delivered(practice, SENT - 10 * DAY)
    contact = older["contact_id"]
    await practice.execute("UPDATE keepwell.sends SET state = 'suppressed'")
    then = practice.at(SENT)
    newer = await then.decide(contact, as_of=SENT)
    await then.database.close()
    await practice.mark_sent(newer, SENT)
    await practice.mark_sent(older, SENT - 10 * DAY)
    receipt = await practice.report(contact, "message.opened", SENT + DAY)
    early = await practice.report(contact, "message.opened", SENT - DAY)
    named = await practice.report(
        contact, "message.clicked", SENT + 2 * DAY, decision_id=older["id"]
    )
    assert receipt["decision_id"] == newer["id"] != older["id"]
    assert early["decision_id"] == named["decision_id"] == older["id"]


async def test_a_message_that_never_left_has_no_outcomes(practice):
    contact = await practice.add_missed()
    decided = await practice.decide(contact)
    receipt = await practice.report(
        contact, "message.opened", practice.now(), decision_id=decided["id"]
    )
    assert (receipt["status"], receipt["outcome"]) == ("recorded", None)


async def test_decisions_of_others_are_refused_and_the_event_is_not_kept(practice, other_practice):
    foreign = await delivered(other_practice)
    contact = await practice.add_contact()
    mine = await delivered(practice)
    for decision_id in (foreign["id"], uuid4(), mine["id"]):
        with pytest.raises(DecisionNotFound):
            await practice.report(contact, "message.opened", MORNING - DAY, decision_id=decision_id)
    for unknown in (uuid4(), foreign["contact_id"], "external:x"):
        with pytest.raises(ContactNotFound):
            await practice.report(unknown, "message.opened", MORNING - DAY)
    assert not await practice.rows("SELECT 1 FROM keepwell.events WHERE source = 'api'")
    assert await reward(other_practice, foreign) is None


@pytest.mark.parametrize("at", [MORNING + DAY, MORNING.replace(tzinfo=None)])
async def test_an_event_of_the_future_or_without_a_zone_is_refused(practice, at):
    contact = await practice.add_contact()
    with pytest.raises(InvalidInput):
        await practice.report(contact, "appointment.kept", at)


async def test_a_reported_event_counts_in_the_next_decision(practice):
    contact = await practice.add_missed()
    await practice.report(contact, "appointment.booked", practice.now(),
                          starts_at=MORNING + 5 * DAY)  # fmt: skip
    assert (await practice.decide(contact, dry_run=True))["action"] is None


@pytest.mark.parametrize("value", [9, -0.5, 0.0, None])
async def test_the_number_that_an_event_carries_is_kept(practice, value):
    contact = await practice.add_contact()
    await practice.report(contact, "survey.answered", MORNING, event_id="s1", value=value)
    assert await practice.rows("SELECT value FROM keepwell.events") == [{"value": value}]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
async def test_what_is_no_number_is_refused_by_us_and_by_the_database(practice, value):
    contact = await practice.add_contact()
    with pytest.raises(InvalidInput):
        await practice.report(contact, "survey.answered", MORNING, value=value)
    with pytest.raises(DBAPIError):
        await practice.add_event(contact, "survey.answered", MORNING, value=value)
    assert await practice.count("keepwell.events") == 0


async def test_an_import_keeps_the_number_of_an_event(practice):
    contact = await practice.add_contact()
    row = {
        "source": "file", "external_id": "1", "contact_id": str(contact),
        "type": "survey.answered", "occurred_at": MORNING, "value": 7.5,
    }  # fmt: skip
    async with practice.transaction() as connection:
        await add_events(connection, practice.tenant_id, pl.DataFrame([row]), expect_new=True)
    assert await practice.rows("SELECT value FROM keepwell.events") == [{"value": 7.5}]
