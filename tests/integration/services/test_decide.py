"""Deciding in a real database: the same for one and for all, once, and for the past as it was."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import numpy as np
import orjson
import pytest

from engine.errors import ContactNotFound, InvalidInput
from services.decision_document import decision_document
from tests.factories.practice import MORNING, Practice
from tests.factories.profiles import random_person

pytestmark = pytest.mark.integration

TABLES = ("keepwell.decisions", "keepwell.candidates", "keepwell.sends", "keepwell.runs")
HOUR = timedelta(hours=1)


async def add_random(practice: Practice, count: int) -> list[str]:
    """Anybody, with what an adopted CRM may hold: empty texts, odd zones, odd custom fields."""
    rng = np.random.default_rng(3)
    ids = []
    for number in range(count):
        person = random_person(rng, number, MORNING)
        row = dict(person.row)
        contact_id = await practice.add_contact(
            consented=False,
            timezone=row["timezone"],
            email=row["email"] and f"{uuid4().hex}@example.com",
            phone=row["phone"],
            mobile_phone=row["mobile_phone"],
            first_name=('Zo\u00eb "Z", d\'Arc\nof', "", None)[number % 3],
            lead_status=("new", "", None, "NULL", "lost, \\N")[number % 5],
            do_not_email=row["do_not_email"],
            do_not_call=(row["do_not_call"], None)[number % 2],
        )
        custom = (row["custom_fields"], "[]", "null", '{"age": "34"}', '{"age": [3]}')[number % 5]
        await practice.execute(
            "UPDATE crm_contacts SET custom_fields = cast(:custom AS jsonb) WHERE id = :id",
            custom=custom,
            id=contact_id,
        )
        for channel, purpose, status in person.ledger:
            await practice.consent(contact_id, channel, purpose, status)
        for event in person.events:
            await practice.add_event(
                contact_id,
                event.type,
                event.occurred_at,
                amount_cents=event.amount_cents,
                subject=event.subject,
                starts_at=event.starts_at,
            )
        ids.append(str(contact_id))
    return sorted(ids)


async def test_one_contact_gets_the_rows_and_candidates_of_the_run_over_all(practice):
    ids = await add_random(practice, 25)
    _, recorded, _ = await practice.decide_all(as_of=MORNING, dry_run=True)
    assert [each.row["contact_id"] for each in recorded] == ids
    for each in recorded:
        single = await practice.decide(each.row["contact_id"], as_of=MORNING, dry_run=True)
        run = decision_document(each.row, each.candidates)
        own = {"id", "trigger", "send", "content", "dry_run"}
        assert {k: v for k, v in single.items() if k not in own} == {
            k: v for k, v in run.items() if k not in own
        }
    assert len({each.row["reason"] for each in recorded}) > 3


async def test_what_one_and_the_run_store_differs_in_trigger_and_id_only(practice):
    contact = await practice.add_missed()
    single = await practice.decide(contact, as_of=MORNING)
    _, (run,), _ = await practice.decide_all(as_of=MORNING)
    stored = await practice.rows("SELECT row_to_json(d) AS d FROM keepwell.decisions d")
    assert {row["d"]["id"] for row in stored} == {single["id"], run.row["id"]}
    own = {"id", "trigger", "run_id", "decided_at"}
    one, other = ({k: v for k, v in row["d"].items() if k not in own} for row in stored)
    assert one == other
    traces = {
        decision: await practice.rows(
            "SELECT * FROM keepwell.candidates WHERE decision_id = :d ORDER BY position", d=decision
        )
        for decision in (single["id"], run.row["id"])
    }
    one, other = ([{**c, "decision_id": None} for c in trace] for trace in traces.values())
    assert one == other
    assert len(one) == 2
    # the message was promised once: by the first of the two
    assert await practice.count("keepwell.sends") == 1


async def test_the_same_moment_again_gives_the_same_and_stores_nothing_new(practice):
    await practice.add_missed()
    await practice.add_contact()
    _, first, promises = await practice.decide_all(as_of=MORNING)
    counts = [await practice.count(table) for table in TABLES]
    _, again, repeated = await practice.decide_all(as_of=MORNING)
    assert [each.row for each in again] == [each.row for each in first]
    assert [await practice.count(table) for table in TABLES] == counts
    assert [p.status for p in promises.values()] == ["promised"]
    assert [p.status for p in repeated.values()] == ["duplicate"]
    assert counts == [2, 2, 1, 1]

    single = await practice.decide(first[0].row["contact_id"], as_of=MORNING)
    same = await practice.decide(first[0].row["contact_id"], as_of=MORNING)
    assert single["id"] == same["id"]
    assert await practice.count("keepwell.decisions") == 3


async def test_a_dry_run_stores_nothing_and_promises_nothing(practice):
    contact = await practice.add_missed()
    decided = await practice.decide(contact, as_of=MORNING, dry_run=True)
    _, recorded, promises = await practice.decide_all(as_of=MORNING, dry_run=True)
    assert decided["action"] == "no-show-rescue"
    assert decided["dry_run"] is True
    assert len(recorded) == 1
    assert promises == {}
    assert [await practice.count(table) for table in TABLES] == [0, 0, 0, 0]


async def test_a_practice_where_no_rule_applies_to_anybody_is_decided(practice):
    contacts = [await practice.add_contact() for _ in range(2)]
    _, recorded, promises = await practice.decide_all(as_of=MORNING)
    assert {each.row["reason"] for each in recorded} == {"no_rule_applies"}
    assert promises == {}
    assert await practice.count("keepwell.decisions") == 2
    assert await practice.count("keepwell.candidates") == 0
    assert (await practice.decide(contacts[0]))["reason"] == "no_rule_applies"


async def test_a_practice_without_contacts_has_nothing_to_decide(practice):
    assert (await practice.decide_all(as_of=MORNING))[1:] == ([], {})


@pytest.mark.parametrize(
    "as_of",
    [
        datetime(2126, 1, 1, tzinfo=UTC),
        MORNING + timedelta(minutes=20),
        datetime(1969, 12, 31, 23, 59, tzinfo=UTC),
        datetime(1970, 1, 1, 12, tzinfo=timezone(timedelta(hours=14))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
        datetime(2026, 3, 10, 13),  # noqa: DTZ001 - that is the point
    ],
)
async def test_the_future_the_age_before_1970_and_a_moment_without_zone_are_refused(
    practice, as_of
):
    contact = await practice.add_missed()
    with pytest.raises(InvalidInput):
        await practice.decide(contact, as_of=as_of)
    with pytest.raises(InvalidInput):
        await practice.decide_all(as_of=as_of)
    assert await practice.count("keepwell.decisions") == 0


async def test_a_moment_in_another_zone_is_the_same_moment(practice):
    contact = await practice.add_missed()
    kolkata = MORNING.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert await practice.decide(contact, as_of=MORNING, dry_run=True) == await practice.decide(
        contact, as_of=kolkata, dry_run=True
    )


async def test_unknown_contacts_and_those_of_others_get_the_same_answer(practice, other_practice):
    foreign = await other_practice.add_missed()
    told = set()
    for contact in (foreign, uuid4(), "external:nobody", "external:", "external:a\0", "\ud800"):
        with pytest.raises(ContactNotFound) as refused:
            await practice.decide(contact, as_of=MORNING)
        told.add((refused.value.message.replace(str(contact), "X"), refused.value.hint))
    assert len(told) == 1
    assert await practice.count("keepwell.decisions") == 0


async def test_an_external_id_means_the_contact_of_this_tenant(practice, other_practice):
    mine, theirs = await practice.add_missed(), await other_practice.add_missed()
    for each, contact in ((practice, mine), (other_practice, theirs)):
        await each.execute(
            "INSERT INTO keepwell.external_ids VALUES (:t, 'contact', 'P-1:x', :c)",
            t=each.tenant_id,
            c=contact,
        )
    assert (await practice.decide("external:P-1:x"))["contact_id"] == str(mine)
    assert (await other_practice.decide("external:P-1:x"))["contact_id"] == str(theirs)


async def test_what_happened_or_was_learnt_later_changes_no_earlier_decision(practice):
    contact = await practice.add_missed()
    yesterday = MORNING - timedelta(days=1)
    before = await practice.decide(contact, as_of=yesterday, dry_run=True)
    later, long_ago = MORNING - HOUR, MORNING - timedelta(days=3)
    await practice.add_event(contact, "appointment.booked", later, starts_at=MORNING)
    await practice.add_event(contact, "complaint.opened", long_ago, known_at=later)
    await practice.consent(contact, "email", "treatment", "revoked", at=later)
    assert await practice.decide(contact, as_of=yesterday, dry_run=True) == before
    _, (run,), _ = await practice.decide_all(as_of=yesterday, dry_run=True)
    assert run.row["action"] == before["action"] == "no-show-rescue"
    # and now it does count
    assert (await practice.decide(contact, as_of=MORNING, dry_run=True))["action"] is None


async def test_a_contact_added_later_was_not_there_in_the_run_over_all(practice):
    await practice.add_missed()
    late = MORNING.replace(tzinfo=None) - HOUR
    await practice.add_missed(created_at=late)
    without_a_date = await practice.add_missed(created_at=None)
    _, then, _ = await practice.decide_all(as_of=MORNING - 2 * HOUR, dry_run=True)
    _, now, _ = await practice.decide_all(as_of=MORNING, dry_run=True)
    assert (len(then), len(now)) == (2, 3)
    assert str(without_a_date) in {each.row["contact_id"] for each in then}


async def test_a_promised_message_counts_for_cooldown_and_caps(practice):
    contact = await practice.add_missed()
    first = await practice.decide(contact)
    assert first["send"]["status"] == "promised"
    next_one = await practice.decide(contact)
    assert next_one["action"] is None
    (tried,) = [c for c in next_one["candidates"] if c["action"] == "no-show-rescue"]
    assert tried["reason"] in {"cooldown", "frequency_cap"}
    _, (run,), _ = await practice.decide_all()
    assert [c["reason"] for c in run.candidates] == [c["reason"] for c in next_one["candidates"]]
    profile = run.row["profile"]
    assert profile["last_sent_days"] == {"clinic.no-show-rescue contact": 0.0}
    assert profile["recent_sends"] == 1

    # a message that did not go out counts no more
    await practice.execute("UPDATE keepwell.sends SET state = 'suppressed'")
    assert (await practice.decide(contact, dry_run=True))["action"] == "no-show-rescue"


async def test_a_send_of_long_ago_rests_the_rule_to_the_day_of_its_cooldown(practice):
    contact = await practice.add_missed()
    decided = await practice.decide(contact, as_of=MORNING)
    for days, reason in ((29.99, "cooldown"), (30.0, None)):
        sent = MORNING + timedelta(seconds=1) - timedelta(days=days)
        await practice.execute(
            "UPDATE keepwell.sends SET state = 'sent', sent_at = :at, decided_at = :at", at=sent
        )
        again = await practice.decide(contact, as_of=MORNING + timedelta(seconds=1), dry_run=True)
        (tried,) = [c for c in again["candidates"] if c["action"] == decided["action"]]
        assert tried["reason"] == reason, days


async def test_requests_at_the_same_time_promise_one_message_for_the_day(practice):
    contact = await practice.add_missed()
    await practice.decide(contact, as_of=MORNING, dry_run=True)
    decided = await asyncio.gather(
        *(practice.decide(contact, as_of=MORNING) for _ in range(3)),
        *(practice.decide(contact, as_of=MORNING - n * timedelta(minutes=1)) for n in range(3)),
        *(practice.decide_all(as_of=MORNING) for _ in range(2)),
    )
    assert await practice.count("keepwell.sends") == 1
    assert len({each["id"] for each in decided[:3]}) == 1
    # 13:00 by request, 12:59, 12:58, and 13:00 by the run
    assert await practice.count("keepwell.decisions") == 4
    statuses = [each["send"]["status"] for each in decided[:6] if each["action"]]
    assert statuses.count("promised") <= 1


async def test_first_decisions_of_a_new_practice_at_the_same_time_all_succeed(practice):
    contacts = [await practice.add_missed() for _ in range(4)]
    decided = await asyncio.gather(*(practice.decide(c, as_of=MORNING) for c in contacts))
    assert len({each["versions"]["rule_set_digest"] for each in decided}) == 1
    assert await practice.count("keepwell.rule_releases") == 1


async def test_a_decision_about_last_week_promises_nothing(practice):
    contact = await practice.add_missed()
    last_week = MORNING + timedelta(days=1)
    later = practice.at(MORNING + timedelta(days=8))
    decided = await later.decide(contact, as_of=last_week)
    _, _, promises = await later.decide_all(as_of=last_week)
    assert decided["action"] == "no-show-rescue"
    assert decided["send"]["status"] == "too_late"
    assert [p.status for p in promises.values()] == ["too_late"]
    assert await practice.count("keepwell.sends") == 0
    assert await practice.count("keepwell.decisions") == 2
    await later.database.close()

    then = practice.at(last_week)
    assert (await then.decide(contact, as_of=last_week))["send"]["status"] == "promised"
    await then.database.close()


async def test_the_holdout_is_recorded_and_promised_nothing(practice):
    held = await practice.add_missed(held=True)
    decided = await practice.decide(held)
    assert decided["experiment_group"] == "holdout"
    assert decided["reason"] == "holdout"
    assert decided["action"] is None
    assert decided["send"]["status"] == "nothing"
    assert await practice.count("keepwell.sends") == 0


async def test_the_promise_is_inside_the_legal_window_and_names_the_decision(practice):
    contact = await practice.add_missed()
    decided = await practice.decide(contact)
    (send,) = await practice.rows("SELECT * FROM keepwell.sends")
    assert str(send["id"]) == decided["send"]["id"] == decided["id"]
    assert send["next_at"] == datetime.fromisoformat(decided["send_at"])
    local = send["next_at"].astimezone(timezone(timedelta(hours=-4)))
    assert 10 <= local.hour < 18
    assert send["not_after"] > send["next_at"]
    assert send["content"]["text"] == decided["content"]["text"]
    (stored,) = await practice.rows("SELECT row_to_json(d)::text AS d FROM keepwell.decisions d")
    assert orjson.loads(stored["d"])["profile"]["contact_id"] == str(contact)


async def test_without_a_sender_nobody_gets_a_message_but_may_be_called(practice):
    await practice.set(sender={})
    decided = await practice.decide(await practice.add_missed(), dry_run=True)
    assert decided["channel"] in {None, "call_task"}
    (tried,) = [c for c in decided["candidates"] if c["action"] == "no-show-rescue"]
    assert "email:no_reachable_channel" in tried["channels"]
