"""The audit finds each kind of violation, and none where the policy was kept."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.audit_policy import KINDS, audit_policy, audit_tonight
from services.set_policy import PolicyChange, set_policy
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration

# Tuesday, eleven in the morning in New York
SENT_AT = MORNING + timedelta(hours=2)
GIFT = [{"name": "gifts", "limit": "4.00 USD", "per": "month", "gives": {"*": "2.00 USD"}}]


async def violations(practice: Practice) -> dict[str, int]:
    async with practice.transaction() as connection:
        audited = await audit_policy(connection, practice.tenant_id)
    return {kind: n for kind, n in audited.as_document()["violations"].items() if n}


async def sent(practice: Practice, at: datetime = SENT_AT, **columns: Any) -> dict[str, Any]:
    decision = await practice.decide(await practice.add_missed(**columns), as_of=MORNING)
    assert decision["send"]["status"] == "promised"
    await practice.mark_sent(decision, at)
    return decision


async def test_a_policy_that_was_kept_has_no_violations(practice):
    for _ in range(3):
        await sent(practice)
    await practice.decide(await practice.add_missed(held=True), as_of=MORNING)
    assert await violations(practice) == {}


async def test_a_message_without_consent_is_found(practice):
    decision = await sent(practice)
    await practice.consent(
        decision["contact_id"], decision["channel"], decision["purpose"], "revoked",
        SENT_AT - timedelta(minutes=1),
    )  # fmt: skip
    assert await violations(practice) == {"consent": 1}


async def test_a_message_at_night_on_a_holiday_or_on_sunday_is_found(practice):
    new_year, sunday = MORNING.replace(month=1, day=1, hour=17), MORNING.replace(day=15, hour=17)
    for at in (MORNING.replace(hour=4), new_year, sunday):
        await sent(practice, at)
    assert (await violations(practice))["quiet_hours"] == 3


async def test_two_messages_on_one_day_are_found(practice):
    first = await sent(practice)
    second = await sent(practice)
    await practice.execute(
        "UPDATE keepwell.sends SET contact_id = :contact WHERE decision_id = :id",
        contact=first["contact_id"], id=second["id"],
    )  # fmt: skip
    found = await violations(practice)
    assert found["frequency_cap"] == 1
    assert found["double_send"] == 1  # the same action about the same subject


async def test_a_message_that_two_attempts_delivered_is_found(practice):
    decision = await sent(practice)
    for n in (1, 2):
        await practice.execute(
            "INSERT INTO keepwell.attempts (tenant_id, send_id, n, started_at, outcome) "
            "VALUES (:t, :id, :n, :at, 'accepted')",
            t=practice.tenant_id, id=decision["send"]["id"], n=n, at=SENT_AT,
        )  # fmt: skip
    assert await violations(practice) == {"double_send": 1}


async def test_a_message_to_the_holdout_is_found(practice):
    decision = await sent(practice)
    held = await practice.add_contact(held=True)
    await practice.execute(
        "UPDATE keepwell.sends SET contact_id = :held WHERE decision_id = :id",
        held=held, id=decision["id"],
    )  # fmt: skip
    assert await violations(practice) == {"holdout": 1}


async def test_a_budget_that_was_overdrawn_or_forgot_a_gift_is_found(practice):
    async with practice.transaction() as connection:
        wish = PolicyChange({"budgets": GIFT, "approval": {}}, "ada", "trial")
        await set_policy(connection, practice.tenant_id, wish)
    await sent(practice)
    assert await violations(practice) == {}
    await practice.execute(
        "INSERT INTO keepwell.budget_reservations (tenant_id, decision_id, budget, period_start, "
        "cents, limit_cents) SELECT tenant_id, :id, budget, period_start, 400, limit_cents "
        "FROM keepwell.budget_reservations LIMIT 1",
        id=uuid4(),
    )
    assert await violations(practice) == {"budget": 2}  # over the limit, and not in the balance


async def test_the_nightly_audit_runs_once_a_day_and_leaves_its_findings(practice):
    decision = await sent(practice, MORNING.replace(hour=4))
    audited = await audit_tonight(practice.runtime, practice.tenant_id)
    assert audited is not None
    assert [(f.kind, f.id) for f in audited.findings] == [("quiet_hours", decision["send"]["id"])]
    assert await audit_tonight(practice.runtime, practice.tenant_id) is None
    runs = await practice.rows("SELECT counts FROM keepwell.runs WHERE kind = 'audit'")
    assert {kind: runs[0]["counts"][kind] for kind in KINDS} | {"quiet_hours": 1} == {
        **dict.fromkeys(KINDS, 0), "quiet_hours": 1,
    }  # fmt: skip
    trail = await practice.rows(
        "SELECT detail FROM keepwell.audit_trail WHERE action = 'audit.violations'"
    )
    assert trail[0]["detail"]["quiet_hours"] == 1


async def test_the_same_message_to_two_of_a_family_is_found(practice):
    await practice.execute(
        "INSERT INTO crm_accounts (id, tenant_id, name) VALUES (:id, :t, 'Garcia')",
        id=(home := uuid4()), t=practice.tenant_id,
    )  # fmt: skip
    first = await sent(practice, account_id=home)
    second = await sent(practice, SENT_AT + timedelta(days=1), account_id=home)
    await practice.execute("UPDATE keepwell.sends SET household = :home", home=home)
    assert await violations(practice) == {}  # treatment concerns one person and is never merged
    for decision in (first, second):
        await practice.execute(
            "UPDATE keepwell.sends SET purpose = 'service' WHERE decision_id = :id",
            id=decision["id"],
        )
    assert await violations(practice) == {"household": 1}


async def test_a_message_in_a_rest_is_found_unless_something_came_back(practice):
    decisions = [await sent(practice, SENT_AT - timedelta(days=days)) for days in (40, 20, 0)]
    contact = decisions[0]["contact_id"]
    await practice.execute(
        "UPDATE keepwell.sends SET contact_id = :c, purpose = 'marketing'", c=contact
    )
    assert (await violations(practice))["rest"] == 1
    await practice.add_event(contact, "message.replied", SENT_AT - timedelta(days=1))
    assert "rest" not in await violations(practice)


async def test_a_text_that_is_too_long_for_healthcare_is_found(practice):
    decision = await sent(practice)
    await practice.execute(
        "UPDATE keepwell.sends SET channel = 'sms', "
        "content = jsonb_build_object('text', repeat('x', 161)) WHERE decision_id = :id",
        id=decision["id"],
    )
    assert (await violations(practice))["length"] == 1


async def test_who_answers_for_the_tenant_is_told_of_a_violation_once(practice):
    practice.tamper(
        "INSERT INTO tenant_users (tenant_id, user_id, role) VALUES (%s, %s, 'owner')",
        practice.tenant_id, uuid4(),
    )  # fmt: skip
    await sent(practice, MORNING.replace(hour=4))
    for days in (1, 2):
        then = practice.at(MORNING + timedelta(days=days))
        try:
            await audit_tonight(then.runtime, then.tenant_id)
        finally:
            await then.database.close()
    told = await practice.rows("SELECT title, message FROM notifications")
    assert len(told) == 1
    assert told[0]["message"].startswith("1 x quiet_hours")
