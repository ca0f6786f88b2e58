"""From the cause to the committed decision: what makes a campaign or a rule look at a contact."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.check_due import check_due
from services.score_health import score_health
from services.set_campaign import NewCampaign, add_new_campaign, set_campaign
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)


async def started(practice: Practice, kind: str, **conditions: Any) -> str:
    """The rule of a campaign with this trigger."""
    new = NewCampaign(
        kind, "sms", {"sms": "We miss you. Call {{ practice_phone }}."},
        trigger={"trigger_type": kind, "trigger_conditions": conditions},
    )  # fmt: skip
    async with practice.transaction() as connection:
        made = await add_new_campaign(connection, practice.tenant_id, new, by="ada")
        done = await set_campaign(
            connection, practice.tenant_id, UUID(made["id"]), "start", now=practice.now(), by="ada"
        )
    assert done["state"] == "running", done["faults"]
    return str(made["rule"])


async def scored(practice: Practice) -> dict[str, Any]:
    async with practice.transaction() as connection:
        return await score_health(connection, practice.runtime, practice.tenant_id)


async def decided(practice: Practice) -> list[tuple[str, str | None]]:
    """What a worker decides of what waits: trigger and rule of each committed decision."""
    await check_due(practice.runtime, practice.tenant_id)
    rows = await practice.rows("SELECT trigger, rule FROM keepwell.decisions ORDER BY decided_at")
    return [(row["trigger"], row["rule"]) for row in rows]


async def test_a_drop_of_satisfaction_is_decided_about_at_once(practice):
    rule = await started(practice, "satisfaction_drop", min_drop=3)
    contact = await practice.add_contact()
    await practice.add_event(contact, "survey.answered", MORNING - 40 * DAY, value=9.0)
    await practice.report(contact, "survey.answered", practice.now(), value=8.0)
    assert {r for _, r in await decided(practice)} != {rule}
    await practice.report(contact, "survey.answered", practice.now(), value=4.0)
    trigger, _ = (await decided(practice))[-1]
    proposed = await practice.rows("SELECT rule FROM keepwell.candidates WHERE rule = :r", r=rule)
    assert trigger == "survey.answered"
    assert len(proposed) == 1


async def test_a_pattern_of_behaviour_is_decided_about_at_once(practice):
    rule = await started(
        practice, "behavioral_pattern", event="appointment.cancelled", at_least=2, in_last_days=30
    )
    contact = await practice.add_contact()
    for n in (1, 2):
        await practice.report(
            contact, "appointment.cancelled", practice.now(), subject=f"appointment:{n}"
        )
        found = await decided(practice)
    assert found[-1] == ("appointment.cancelled", rule)


async def test_a_risk_that_rises_to_another_level_is_decided_about_within_seconds(practice):
    rule = await started(practice, "churn_risk", risk_level=["high", "critical"])
    contact = await practice.add_contact()
    for days in range(30, 400, 30):
        await practice.add_event(contact, "appointment.kept", MORNING - days * DAY)
    await scored(practice)
    assert await decided(practice) == []
    # four months of silence where a month was usual
    later = practice.at(MORNING + 70 * DAY)
    try:
        await scored(later)
        (event,) = await later.rows("SELECT type, value FROM keepwell.events WHERE type ~ '^risk'")
        assert event["type"] == "risk.raised"
        assert event["value"] >= 0.15
        assert (await decided(later))[-1][0] == "risk.raised"
        proposed = await later.rows("SELECT rule FROM keepwell.candidates WHERE rule = :r", r=rule)
        high = event["value"] >= 0.35
        assert bool(proposed) is high
        assert high, event
    finally:
        await later.database.close()


async def test_a_stage_of_life_that_changes_is_decided_about_within_seconds(practice):
    rule = await started(practice, "lifecycle_stage", stage="lapsed", entered_within_days=7)
    contact = await practice.add_contact()
    for days in range(30, 400, 30):
        await practice.add_event(contact, "appointment.kept", MORNING - days * DAY)
    await scored(practice)
    stage = "SELECT stage_name, actual_exit_date IS NULL AS open FROM customer_journey_progress p "
    stage += (
        "JOIN customer_journey_stages s ON s.id = p.journey_stage_id ORDER BY entered_stage_date"
    )
    assert [dict(row) for row in await practice.rows(stage)] == [
        {"stage_name": "active", "open": True}
    ]
    later = practice.at(MORNING + 700 * DAY)
    try:
        await scored(later)
        assert [tuple(dict(row).values()) for row in await later.rows(stage)] == [
            ("active", False), ("lapsed", True)
        ]  # fmt: skip
        found = await decided(later)
        assert found[-1][1] == rule, found
        # the same analysis again tells nothing again
        await scored(later)
        changed = await later.rows("SELECT 1 FROM keepwell.events WHERE type = 'journey.changed'")
        assert len(changed) == 1
    finally:
        await later.database.close()


async def test_a_stage_that_somebody_else_has_set_is_left_alone(practice):
    contact = await practice.add_contact()
    await practice.execute(
        "WITH s AS (INSERT INTO customer_journey_stages (tenant_id, stage_name, stage_order) "
        "VALUES (:t, 'vip', 1) RETURNING id) INSERT INTO customer_journey_progress "
        "(tenant_id, contact_id, journey_stage_id, entered_stage_date) "
        "SELECT :t, :c, id, :at FROM s",
        t=practice.tenant_id, c=contact, at=MORNING - DAY,
    )  # fmt: skip
    await scored(practice)
    rows = await practice.rows("SELECT contact_id FROM customer_journey_progress")
    assert len(rows) == 1
