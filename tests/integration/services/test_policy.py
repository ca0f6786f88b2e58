"""A tenant's policy in a real database: in force at once, bounded under load, and replayable."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from engine.errors import InvalidInput, InvalidRules
from services.decide import decide_contact
from services.set_policy import PolicyChange, set_policy
from services.show_policy import show_policy, show_policy_versions
from tests.factories.practice import MORNING, Practice, forget_playbooks

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
GIFT = [{"name": "gifts", "limit": "14.00 USD", "per": "month", "gives": {"*": "2.00 USD"}}]


async def change(practice: Practice, dry_run: bool = False, **sections: Any) -> dict[str, Any]:
    async with practice.transaction() as connection:
        wish = PolicyChange(sections, "ada", "trial", dry_run=dry_run)
        return await set_policy(connection, practice.tenant_id, wish)


async def shown(practice: Practice) -> dict[str, Any]:
    async with practice.transaction() as connection:
        return await show_policy(connection, practice.tenant_id, practice.now())


def removed(decision: dict[str, Any]) -> set[str]:
    return {c["reason"] for c in decision["candidates"] if c["action"] is not None}


async def test_a_change_holds_for_the_next_decision_and_the_one_before_still_replays(practice):
    contact = await practice.add_missed()
    before = await practice.decide(contact, as_of=MORNING)
    assert before["reason"] == "highest_value"
    made = await change(practice, rollout={"*": 0})
    after = await practice.decide(contact, as_of=MORNING)
    assert removed(after) == {"not_rolled_out"}
    assert made["digest"] == after["versions"]["policy_data_digest"]
    forget_playbooks()
    for decision in (before, after):
        replayed = await practice.replay(decision["id"])
        assert replayed["verdict"] == "identical", replayed["differences"]


async def test_every_change_is_a_version_and_stands_in_the_audit_trail(practice):
    await change(practice, rollout={"*": 0.5})
    again = await change(practice, rollout={"*": 0.5})
    assert again["changed"] == []
    tried = await change(practice, dry_run=True, fatigue="0.30 USD")
    assert tried["changed"] == ["fatigue"]
    await change(practice, rollout=None)
    async with practice.transaction() as connection:
        versions = await show_policy_versions(connection)
    assert [each["version"] for each in versions] == [3, 2, 1]
    assert [each["changed"] for each in versions] == [{}, {"rollout": {"*": 0.5}}, {}]
    trail = await practice.rows(
        "SELECT actor, entity_id FROM keepwell.audit_trail WHERE action = 'policy.set' ORDER BY id"
    )
    assert trail == [{"actor": "ada", "entity_id": n} for n in ("2", "3")]


@pytest.mark.parametrize(
    "sections",
    [
        {"budgets": [{"name": "x", "limit": "-5.00 USD", "per": "month", "gives": {}}]},
        {"groups": {"holdout": 0.9, "usual": 0.9, "random": 0}},
        {
            "windows": dict.fromkeys(
                ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "06:00-23:00"
            )
        },
        {"levers": [{"on": "*", "percent": "much", "until": "2026-12-31", "why": "x"}]},
        {"levers": [{"on": "*", "percent": 10, "until": "soon", "why": "x"}]},
        {"nonsense": 1},
        {"rollout": [1]},
        {"caps": "many"},
        {"closed": ["2026-02-30"]},
    ],
)
async def test_numbers_that_make_no_sense_change_nothing(practice, sections):
    with pytest.raises(InvalidRules):
        await change(practice, **sections)
    assert (await shown(practice))["changed"] == {}


async def test_a_change_needs_sections_and_somebody_who_answers_for_it(practice):
    with pytest.raises(InvalidInput):
        await change(practice)


async def test_fifty_requests_at_once_never_give_more_than_the_budget_has(practice):
    await change(practice, budgets=GIFT, approval={})
    contacts = [await practice.add_missed() for _ in range(50)]
    decisions = await asyncio.gather(*(practice.decide(c, as_of=MORNING) for c in contacts))
    told = Counter(d["send"]["status"] for d in decisions)
    # 14 USD at 2 each; who came later was decided for again
    assert told == {"promised": 7, "nothing": 43}
    reserved = await practice.rows(
        "SELECT count(*) AS n, sum(cents) AS cents FROM keepwell.budget_reservations "
        "WHERE released_at IS NULL"
    )
    assert reserved == [{"n": 7, "cents": 1_400}]
    assert (await shown(practice))["budgets"][0]["left_cents"] == 0
    late = await practice.add_missed()
    assert removed(await practice.decide(late, as_of=MORNING)) == {"budget_exhausted"}


async def test_who_finds_the_budget_used_up_gets_the_next_best_in_the_same_request(practice):
    gift = {"name": "g", "limit": "2.00 USD", "per": "month", "gives": {RESCUE: "2.00 USD"}}
    await change(practice, budgets=[gift], approval={})
    faster, slower = [await practice.add_missed() for _ in range(2)]
    for contact in (faster, slower):
        await practice.add_event(contact, "appointment.kept", MORNING - timedelta(days=200))
    async with practice.transaction() as connection:
        first = await decide_contact(
            connection, practice.runtime, practice.tenant_id, str(faster), as_of=MORNING
        )
        # it has read the budget as it was before the other's commit, for which it waits
        waiting = asyncio.create_task(practice.decide(slower, as_of=MORNING))
        while not await practice.rows(_BLOCKED):
            assert not waiting.done()
    second = await waiting
    assert (first["action"], second["action"]) == (RESCUE, "reactivation")
    assert [d["send"]["status"] for d in (first, second)] == ["promised", "promised"]
    told = {c["action"]: c["reason"] for c in second["candidates"] if c["action"]}
    assert told == {RESCUE: "budget_exhausted", "reactivation": None}
    # nothing is left of the first choice
    assert await practice.count("keepwell.decisions") == 2
    assert (await practice.replay(second["id"]))["verdict"] == "identical"


RESCUE = "no-show-rescue"
_BLOCKED = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


async def test_a_message_that_is_not_sent_gives_back_what_it_had_reserved(practice):
    await change(practice, budgets=GIFT, approval={})
    decision = await practice.decide(await practice.add_missed(), as_of=MORNING)
    assert (await shown(practice))["budgets"][0]["used_cents"] == 200
    await practice.execute(
        "UPDATE keepwell.sends SET state = 'suppressed' WHERE decision_id = :id", id=decision["id"]
    )
    assert (await shown(practice))["budgets"][0]["used_cents"] == 0


async def test_a_run_spends_the_budget_on_the_most_valuable_and_replays_one_by_one(practice):
    await change(practice, budgets=GIFT, approval={})
    for _ in range(12):
        await practice.add_missed()
    _, recorded, promises = await practice.decide_all(as_of=MORNING)
    assert Counter(p.status for p in promises.values()) == {"promised": 7}
    reasons = Counter(each.row["reason"] for each in recorded)
    assert reasons["budget_exhausted"] == 5
    for each in recorded:
        assert (await practice.replay(each.row["id"]))["verdict"] == "identical"


async def household(practice: Practice, count: int) -> list[Any]:
    account = uuid4()
    await practice.execute(
        "INSERT INTO crm_accounts (id, tenant_id, name) VALUES (:id, :tenant, 'Family')",
        id=account, tenant=practice.tenant_id,
    )  # fmt: skip
    return [await practice.add_missed(account_id=account) for _ in range(count)]


async def test_a_family_gets_one_message_and_the_others_are_told_who_carries_it(practice):
    family = [str(c) for c in await household(practice, 3)]
    await change(practice, household={"in": "7 days", "purposes": ["treatment", "service"]})
    _, recorded, promises = await practice.decide_all(as_of=MORNING)
    assert len(promises) == 1
    carrier = next(each.row["contact_id"] for each in recorded if each.action is not None)
    assert carrier in family
    for each in recorded:
        if each.row["contact_id"] != carrier:
            told = {c["carried_by"] for c in each.candidates if c["reason"] == "household_message"}
            assert told == {carrier}
        assert (await practice.replay(each.row["id"]))["verdict"] == "identical"
    # an hour later, alone, over HTTP or by an event: the same
    later = await practice.decide(
        next(c for c in family if c != carrier), as_of=MORNING + HOUR / 12
    )
    assert "household_message" in removed(later)


async def test_who_refuses_machines_gets_what_the_rules_alone_would_send(practice):
    contact = await practice.add_missed()
    await practice.consent(contact, "ai", "service", "revoked")
    decided = await practice.decide(contact, as_of=MORNING)
    assert decided["reason"] == "plain_rules"
    assert decided["experiment_group"] == "plain"
    assert decided["selection_probability"] == 1.0
    assert decided["health"]["hazard_90d"] is None
    assert (await practice.replay(decided["id"]))["verdict"] == "identical"


async def test_the_same_moment_again_is_the_same_decision_and_no_second_message(practice):
    contact = await practice.add_missed()
    first = await practice.decide(contact, as_of=MORNING)
    again = await practice.decide(contact, as_of=MORNING)
    assert first["id"] == again["id"]
    assert await practice.count("keepwell.sends") == 1


async def test_a_clock_that_jumps_a_day_makes_no_second_message(practice):
    contact = await practice.add_missed()
    await practice.decide(contact, as_of=MORNING)
    tomorrow = practice.at(MORNING + timedelta(days=1))
    after = await tomorrow.decide(contact, as_of=MORNING + timedelta(days=1))
    back = await tomorrow.decide(contact, as_of=MORNING)
    await tomorrow.database.close()
    assert after["action"] is None
    assert "cooldown" in removed(after) | {after["reason"]} or "frequency_cap" in removed(after)
    assert back["send"]["status"] == "duplicate"
    assert await practice.count("keepwell.sends") == 1
