"""Campaigns of the CRM run through the decision path, and keep their counters."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from content import own_texts
from services.check_due import check_due
from services.count_campaigns import count_campaigns
from services.deliver import Channels, deliver_due
from services.set_campaign import CampaignOver, NewCampaign, add_new_campaign, set_campaign
from services.show_campaigns import show_campaign
from services.take_in_campaigns import campaigns_tonight, take_in_campaigns
from tests.factories.practice import MORNING, Practice, forget_playbooks

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)
TEXTS = {
    "email": {"subject": "A smile for spring", "text": "Hello{% if first_name %} {{ first_name }}"
              "{% endif %}, book your spring visit: call {{ practice_phone }}."},
    "sms": "Spring visits are open. Call {{ practice_phone }}.",
}  # fmt: skip
SPRING = NewCampaign("Spring smiles", "multi_channel", TEXTS)


async def add(practice: Practice, new: NewCampaign = SPRING, wish: str = "start") -> UUID:
    async with practice.transaction() as connection:
        made = await add_new_campaign(connection, practice.tenant_id, new, by="ada")
    campaign = UUID(made["id"])
    await set_to(practice, campaign, wish)
    return campaign


async def set_to(practice: Practice, campaign: UUID, wish: str) -> dict[str, Any]:
    async with practice.transaction() as connection:
        return await set_campaign(
            connection, practice.tenant_id, campaign, wish, now=practice.now(), by="ada"
        )


async def join(practice: Practice, campaign: UUID, contact: Any, status: str = "active") -> None:
    await practice.execute(
        "INSERT INTO crm_campaign_memberships (id, tenant_id, campaign_id, contact_id, status, "
        "joined_at) VALUES (gen_random_uuid(), :t, :c, :contact, :status, '2026-03-01')",
        t=practice.tenant_id, c=campaign, contact=contact, status=status,
    )  # fmt: skip


async def shown(practice: Practice, campaign: UUID) -> dict[str, Any]:
    async with practice.transaction() as connection:
        return await show_campaign(connection, campaign)


def rule_of(campaign: UUID) -> str:
    return f"campaign.{campaign.hex}"


async def test_members_of_a_campaign_get_its_message_when_it_starts_and_others_do_not(practice):
    member, other, left = [await practice.add_contact() for _ in range(3)]
    campaign = await add(practice, wish="pause")
    await join(practice, campaign, member)
    await join(practice, campaign, left, "completed")
    await set_to(practice, campaign, "start")
    await check_due(practice.runtime, practice.tenant_id)  # what a worker does within seconds
    decided = await practice.rows(
        "SELECT contact_id, rule, trigger, channel FROM keepwell.decisions"
    )
    assert [(row["contact_id"], row["rule"], row["trigger"]) for row in decided] == [
        (member, rule_of(campaign), "campaign.joined")
    ]
    (send,) = await practice.rows("SELECT content::text AS content FROM keepwell.sends")
    assert "Call" in send["content"] or "call" in send["content"]
    assert (await practice.decide(other, as_of=MORNING))["action"] is None


async def test_a_campaign_competes_under_the_same_policy_and_its_decision_replays(practice):
    agreed, refused = await practice.add_contact(), await practice.add_contact(consented=False)
    campaign = await add(practice)
    for contact in (agreed, refused):
        await join(practice, campaign, contact)
    decision = await practice.decide(agreed, as_of=MORNING)
    assert decision["rule"] == rule_of(campaign)
    told = (await practice.decide(refused, as_of=MORNING))["candidates"]
    assert {c["rule"]: c["removed_by"] for c in told}[rule_of(campaign)] == "consent"
    forget_playbooks()
    own_texts._known.clear()
    replayed = await practice.replay(decision["id"])
    assert replayed["verdict"] == "identical", replayed


async def test_a_campaign_with_a_fault_says_what_and_hinders_no_other(practice):
    wrong = await add(practice, NewCampaign("Drip", "drip", TEXTS))
    unknown = await add(
        practice, NewCampaign("Who", "email", TEXTS, target_audience={"shoe_size": 44})
    )
    template = await add(practice, NewCampaign("Text", "sms", {"sms": "Hello {{ shoe_size }}"}))
    condition = await add(
        practice,
        NewCampaign("When", "sms", TEXTS, target_audience={"when": [{"field": "contact.shoes"}]}),
    )
    right = await add(practice)
    found = {each: await shown(practice, each) for each in (wrong, unknown, template, condition)}
    assert all(each["state"] == "refused" for each in found.values())
    assert "drip" in found[wrong]["faults"][0]
    assert "shoe_size" in found[unknown]["faults"][0]
    assert "shoe_size" in found[template]["faults"][0]
    assert "contact.shoes" in found[condition]["faults"][0]
    assert (await shown(practice, right))["state"] == "running"


async def test_what_a_paused_campaign_has_queued_does_not_leave(practice):
    contact = await practice.add_contact()
    campaign = await add(practice)
    await join(practice, campaign, contact)
    decision = await practice.decide(contact, as_of=MORNING)
    assert decision["send"]["status"] == "promised"
    await set_to(practice, campaign, "pause")
    then = practice.at(datetime.fromisoformat(decision["send_at"]) + timedelta(minutes=1))
    try:
        done = await deliver_due(then.database, Channels({}), then.tenant_id)
        assert (done.sent, done.suppressed) == (0, 1)
    finally:
        await then.database.close()
    await set_to(practice, campaign, "end")
    with pytest.raises(CampaignOver):
        await set_to(practice, campaign, "start")


async def test_counters_get_each_outcome_once_and_keep_what_the_crm_has_counted(practice):
    contact = await practice.add_contact()
    campaign = await add(practice, NewCampaign("Mail", "email", TEXTS))
    await practice.execute("UPDATE crm_campaigns SET emails_sent = 7 WHERE id = :id", id=campaign)
    await join(practice, campaign, contact)
    decision = await practice.decide(contact, as_of=MORNING)
    await practice.mark_sent(decision, MORNING + timedelta(hours=2))
    later = practice.at(MORNING + DAY)
    try:
        for kind in ("message.opened", "message.clicked", "appointment.booked"):
            await later.report(contact, kind, MORNING + timedelta(hours=20))
        for _ in range(2):
            async with later.transaction() as connection:
                await count_campaigns(connection, later.tenant_id)
    finally:
        await later.database.close()
    found = await shown(practice, campaign)
    assert {k: v for k, v in found["counters"].items() if v} == {
        "total_recipients": 1, "emails_sent": 8, "emails_delivered": 1, "emails_opened": 1,
        "emails_clicked": 1,
    }  # fmt: skip
    assert found["results"] == {"messages": 1, "answered": 1, "converted": 1}
    (member,) = await practice.rows(
        "SELECT status, emails_sent, emails_opened, emails_clicked FROM crm_campaign_memberships"
    )
    assert tuple(dict(member).values()) == ("completed", 1, 1, 1)


async def test_a_scheduled_campaign_begins_and_ends_by_itself_at_night(practice):
    new = NewCampaign(
        "Week", "sms", TEXTS, scheduled_start=MORNING + DAY, scheduled_end=MORNING + 3 * DAY
    )
    campaign = await add(practice, new)
    statuses = [(await shown(practice, campaign))["status"]]
    for days in (2, 4):
        then = practice.at(MORNING + days * DAY)
        try:
            await campaigns_tonight(then.runtime, then.tenant_id)
            statuses.append((await shown(then, campaign))["status"])
        finally:
            await then.database.close()
    assert statuses == ["scheduled", "running", "completed"]


@pytest.mark.parametrize(
    ("range_", "fires"), [("[0,101)", True), ("[0,1)", False), (None, True)], ids=str
)
async def test_the_range_of_health_scores_bounds_whom_a_trigger_meets(practice, range_, fires):
    contact = await practice.add_contact()
    await practice.add_event(contact, "appointment.kept", MORNING - 300 * DAY)
    campaign = await add(practice, wish="pause")
    await practice.execute(
        "INSERT INTO retention_campaigns (base_campaign_id, tenant_id, trigger_type, "
        "trigger_conditions, target_health_score_range) VALUES (:c, :t, 'churn_risk', "
        "'{\"min_churn_probability\": 0.01}', cast(:range AS int4range))",
        c=campaign, t=practice.tenant_id, range=range_,
    )  # fmt: skip
    await set_to(practice, campaign, "start")
    assert (await shown(practice, campaign))["faults"] == []
    decision = await practice.decide(contact, as_of=MORNING)
    proposed = [c for c in decision["candidates"] if c["rule"] == rule_of(campaign)]
    assert bool(proposed) is fires


async def test_taking_in_again_makes_no_new_release(practice):
    await add(practice)
    numbers = []
    for _ in range(2):
        async with practice.transaction() as connection:
            done = await take_in_campaigns(
                connection, practice.tenant_id, now=practice.now(), by="x"
            )
            numbers.append(done["release"])
    assert numbers[0] == numbers[1]


async def test_a_campaign_of_another_tenant_is_not_there(practice, other_practice):
    campaign = await add(practice)
    with pytest.raises(Exception, match=str(campaign)):
        await shown(other_practice, campaign)


async def test_a_campaign_that_the_crm_has_deleted_leaves_and_breaks_nothing(practice):
    contact, campaign = await practice.add_contact(), await add(practice)
    await join(practice, campaign, contact)
    decision = await practice.decide(contact, as_of=MORNING)
    await practice.mark_sent(decision, MORNING + timedelta(hours=2))
    practice.tamper("DELETE FROM crm_campaign_memberships")
    practice.tamper("DELETE FROM crm_campaigns")
    async with practice.transaction() as connection:
        assert await count_campaigns(connection, practice.tenant_id) == 0
        done = await take_in_campaigns(connection, practice.tenant_id, now=practice.now(), by="x")
    assert done["campaigns"] == []
    rules = {c["rule"] for c in (await practice.decide(contact))["candidates"]}
    assert rule_of(campaign) not in rules
