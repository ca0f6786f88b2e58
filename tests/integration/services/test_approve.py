"""What a person has to approve waits, expires, and is asked about once more before it leaves."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from engine.errors import InvalidInput
from services.approve import ApprovalClosed, approve, refuse, show_approvals
from services.check_due import check_due
from store.approvals import ApprovalNotFound
from tests.factories.approvals import ask_first
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)


@pytest.fixture
async def asked(practice: Practice):
    """(practice, contact, the decision whose message waits)."""
    await ask_first(practice)
    contact = await practice.add_missed()
    decision = await practice.decide(contact, as_of=MORNING)
    assert decision["send"]["status"] == "needs_approval"
    return practice, contact, decision


async def answered(practice: Practice, decision, verb=approve, **options):
    async with practice.transaction() as connection:
        return await verb(
            connection, practice.tenant_id, UUID(decision["id"]), by="grace", **options
        )


async def waiting(practice: Practice, **options):
    async with practice.transaction() as connection:
        return await show_approvals(connection, **options)


async def test_nothing_is_queued_before_a_person_approves_the_very_text(asked):
    practice, contact, decision = asked
    assert await practice.count("keepwell.sends") == 0
    (one,) = (await waiting(practice))["approvals"]
    assert one["contact_id"] == str(contact)
    assert one["content"]["text"] == decision["content"]["text"]
    assert (await answered(practice, decision))["state"] == "approved"
    (send,) = await practice.rows("SELECT state, content->>'text' AS text FROM keepwell.sends")
    assert send == {"state": "pending", "text": one["content"]["text"]}
    assert (await waiting(practice))["counts"] == {"approved": 1}
    with pytest.raises(ApprovalClosed):
        await answered(practice, decision)
    (line,) = await practice.rows(
        "SELECT actor, action FROM keepwell.audit_trail WHERE action LIKE 'approval%'"
    )
    assert line == {"actor": "grace", "action": "approval.approved"}


async def test_the_same_question_is_not_asked_twice_at_a_time(asked):
    practice, contact, _ = asked
    again = await practice.decide(contact, as_of=MORNING + timedelta(minutes=1))
    assert again["send"]["status"] == "needs_approval"
    assert again["send"]["id"] is None
    assert len((await waiting(practice))["approvals"]) == 1


@pytest.mark.parametrize("change", ["consent", "fact"])
async def test_what_is_not_true_any_more_when_it_is_approved_is_not_sent(asked, change):
    practice, contact, decision = asked
    if change == "consent":
        at = practice.now() - timedelta(seconds=1)
        for channel in ("email", "sms", "call_task"):
            await practice.consent(contact, channel, "treatment", "revoked", at)
    else:
        await practice.execute(
            "UPDATE crm_contacts SET email = 'other@example.com' WHERE id = :id", id=contact
        )
    told = await answered(practice, decision)
    reason = {"consent": "consent_revoked", "fact": "recipient_changed"}[change]
    assert (told["state"], told["reason"]) == ("overtaken", reason)
    (send,) = await practice.rows("SELECT state FROM keepwell.sends")
    assert send["state"] == "suppressed"


async def test_silence_never_approves_and_the_contact_is_decided_about_anew(asked):
    practice, _, decision = asked
    later = practice.at(MORNING + 4 * DAY)
    try:
        with pytest.raises(ApprovalClosed):
            await answered(later, decision)
        await check_due(later.runtime, later.tenant_id)
        counts = (await waiting(later))["counts"]
        assert counts["expired"] == 1
        triggers = await later.rows("SELECT trigger FROM keepwell.decisions ORDER BY as_of")
        assert [row["trigger"] for row in triggers] == ["api", "redecide"]
        assert await later.count("keepwell.sends") == 0
    finally:
        await later.database.close()


async def test_a_refusal_needs_no_second_one_the_next_day_and_is_feedback_on_the_rule(asked):
    practice, _, decision = asked
    assert (await answered(practice, decision, refuse, reason="too early"))["state"] == "refused"
    (mark,) = await practice.rows("SELECT rule, verdict, reason, made_by FROM keepwell.plan_marks")
    assert mark == {
        "rule": "own.missed", "verdict": "struck", "reason": "too early", "made_by": "grace",
    }  # fmt: skip
    assert await practice.count("keepwell.sends") == 0


async def test_nobody_answers_for_another_tenant_or_without_a_name(asked, other_practice):
    practice, _, decision = asked
    with pytest.raises(ApprovalNotFound):
        await answered(other_practice, decision)
    with pytest.raises(ApprovalNotFound):
        await answered(practice, {"id": str(uuid4())})
    with pytest.raises(InvalidInput):
        async with practice.transaction() as connection:
            await approve(connection, practice.tenant_id, UUID(decision["id"]), by=" ")
