"""The plan is what the runs would do, and what people say of it is what the runs respect."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from engine.errors import ContactNotFound, InvalidInput
from services.mark_plan import MarkNotFound, PlannedMessage, Word, mark_plan, show_marks, withdraw
from services.plan_days import plan_days
from tests.factories.approvals import RULE, ask_first
from tests.factories.practice import Practice
from tests.factories.rule_files import rule_text

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)


async def plan(practice: Practice, days: int = 7, **options):
    async with practice.transaction() as connection:
        return await plan_days(
            connection, practice.runtime, practice.tenant_id, days=days, **options
        )


async def say(practice: Practice, row, verdict: str, **options):
    message = PlannedMessage(row["contact_id"], row["rule"], row["subject"])
    async with practice.transaction() as connection:
        return await mark_plan(
            connection, practice.tenant_id, [message], Word(verdict, "ada", **options)
        )


async def test_the_plan_is_what_the_runs_then_decide_and_stores_nothing(practice):
    for days in (3.0, 1.0, 0.5):
        contact = await practice.add_contact()
        await practice.add_no_show(contact, days)
    planned = await plan(practice, days=4)
    assert await practice.count("keepwell.decisions") == 0
    assert planned["planned"] == len(planned["rows"]) > 0
    assert len({row["decided_at"] for row in planned["rows"]}) > 1
    told = {(r["contact_id"], r["decided_at"][:10], r["action"]) for r in planned["rows"]}
    done = set()
    for number in range(4):
        day = practice.at(practice.now() + number * DAY)
        try:
            _, recorded, promises = await day.decide_all()
            for each in recorded:
                if each.action is not None:
                    done.add((each.row["contact_id"], each.row["as_of"][:10], each.row["action"]))
            assert all(p.status == "promised" for p in promises.values())
        finally:
            await day.database.close()
    assert told == done


async def test_what_is_struck_is_not_sent_and_something_else_may_be(practice):
    contact = await practice.add_missed()
    (row, *_) = (await plan(practice, days=1))["rows"]
    await say(practice, row, "struck", reason="they are on holiday")
    decision = await practice.decide(contact)
    assert decision["rule"] != row["rule"]
    struck = next(c for c in decision["candidates"] if c["rule"] == row["rule"])
    assert (struck["removed_by"], struck["reason"]) == ("suppression", "struck_by_person")
    assert (await practice.replay(decision["id"]))["verdict"] == "identical"
    _, (run,), _ = await practice.decide_all(dry_run=True)
    assert run.row["rule"] == decision["rule"]
    async with practice.transaction() as connection:
        told = await show_marks(connection, limit=5)
        (feedback,) = told["by_rule"]
        assert (feedback["rule"], feedback["struck"]) == (row["rule"], 1)
        assert feedback["reasons"] == ["they are on holiday"]
        await withdraw(connection, practice.tenant_id, told["marks"][0]["id"], by="ada")
    assert (await practice.decide(contact))["rule"] == row["rule"]
    with pytest.raises(MarkNotFound):
        async with practice.transaction() as connection:
            await withdraw(connection, practice.tenant_id, told["marks"][0]["id"], by="ada")


async def test_what_is_held_comes_back_when_the_hold_ends_and_what_is_queued_is_taken_back(
    practice,
):
    contact = await practice.add_missed()
    decision = await practice.decide(contact)
    (row,) = [r for r in (await plan(practice, 1))["rows"] if r["status"] == "queued"]
    assert row["rule"] == decision["rule"]
    until = practice.now() + 2 * DAY
    told = await say(practice, row, "held", until=until)
    assert told["taken_back"] == 1
    (send,) = await practice.rows("SELECT state, reason FROM keepwell.sends")
    assert send == {"state": "suppressed", "reason": "held_by_person"}
    (check,) = await practice.rows("SELECT check_at, trigger FROM keepwell.due_checks")
    assert check == {"check_at": until, "trigger": "redecide"}
    planned = await plan(practice, days=4)
    days = {
        datetime.fromisoformat(r["decided_at"]) for r in planned["rows"] if r["rule"] == row["rule"]
    }
    assert days
    assert all(at >= until for at in days)


async def test_what_waited_is_worth_less_when_it_comes_back(practice):
    contact = await practice.add_missed()
    first = await practice.decide(contact)
    await practice.execute("UPDATE keepwell.sends SET state = 'suppressed', reason = 'expired'")
    then = practice.at(practice.now() + 2 * DAY)
    try:
        again = await then.decide(contact)
    finally:
        await then.database.close()
    before, now = (
        next(c for c in d["candidates"] if c["rule"] == first["rule"]) for d in (first, again)
    )
    rules = (await practice.decide_all(dry_run=True))[0].rules.rules
    window = next(r for r in rules if r.id == first["rule"]).then.goal.within_days
    assert now["value_cents"] == pytest.approx(before["value_cents"] * (1 - 2 / window), rel=1e-3)
    assert (await practice.replay(again["id"]))["verdict"] == "identical"


async def test_what_is_approved_in_the_plan_is_sent_without_asking_again(practice):
    await ask_first(practice)
    contact = await practice.add_missed()
    (row, *_) = (await plan(practice, days=1))["rows"]
    assert row["needs_approval"]
    await say(practice, row, "approved")
    (row, *_) = (await plan(practice, days=1))["rows"]
    assert (row["status"], row["needs_approval"]) == ("approved", False)
    assert (await practice.decide(contact))["send"]["status"] == "promised"


async def test_what_waits_for_a_person_is_in_the_plan(practice):
    await ask_first(practice)
    contact = await practice.add_missed()
    await practice.decide(contact)
    planned = await plan(practice, days=1)
    assert planned["waiting"] == 1
    (row,) = [r for r in planned["rows"] if r["status"] == "waits_for_approval"]
    assert (row["contact_id"], row["rule"], row["subject"]) == (str(contact), RULE, "contact")
    assert rule_text(RULE)


async def test_a_plan_is_bounded_and_another_tenants_contact_cannot_be_marked(
    practice, other_practice
):
    for days in (0, 32):
        with pytest.raises(InvalidInput):
            await plan(practice, days=days)
    await practice.add_contact()
    with pytest.raises(InvalidInput):
        await plan(practice, days=2, most_contact_days=1)
    stranger = await other_practice.add_missed()
    with pytest.raises(ContactNotFound):
        await say(
            practice,
            {"contact_id": str(UUID(str(stranger))), "rule": "x", "subject": "contact"},
            "struck",
        )
    assert await practice.count("keepwell.plan_marks") == 0
