"""Rewards reach the bandits once each; every version of what they know is kept."""

import asyncio
from datetime import timedelta

import numpy as np
import orjson
import pytest
from mabwiser.mab import MAB, LearningPolicy

from bandits.selection import VARIANT_PREFIX
from bandits.state import PolicyState, load_state
from services.learn import learn, learn_tenant
from tests.factories.practice import MORNING, Practice, forget_playbooks
from tests.integration.services.test_record_event import DAY, SENT, delivered

pytestmark = pytest.mark.integration


async def taught(practice: Practice) -> int:
    async with practice.transaction() as connection:
        return await learn(connection, practice.tenant_id)


async def state_of(practice: Practice, version: int) -> PolicyState:
    (row,) = await practice.rows(
        "SELECT state FROM keepwell.policy_states WHERE version = :v", v=version
    )
    return load_state(orjson.loads(row["state"]))


async def versions(practice: Practice) -> list[int]:
    rows = await practice.rows("SELECT version FROM keepwell.policy_states ORDER BY version")
    return [row["version"] for row in rows]


def by_the_library(arm: str, arms: tuple[str, ...], context: list[float], reward: float):
    """A and X'y of the arm as MABWiser computes them from one observation."""
    bandit = MAB(list(arms), LearningPolicy.LinTS(alpha=1.0, l2_lambda=1.0))
    bandit.fit(np.array([arm]), np.array([reward]), np.array([context]))
    model = bandit._imp.arm_to_model[arm]
    return model.A, model.Xty


async def test_an_open_then_a_booking_move_the_arms_as_the_library_says(practice):
    decided = await delivered(practice)
    context = decided["treatment"]["context"]
    chosen = {
        "channel": decided["channel"],
        "slot": decided["slot"],
        VARIANT_PREFIX + decided["action"]: decided["variant"],
    }
    for version, (kind, reward, succeeded) in enumerate(
        [("message.opened", 0.05, 0), ("appointment.booked", 1.0, 1)], start=1
    ):
        await practice.report(decided["contact_id"], kind, SENT + DAY)
        assert await taught(practice) == 1
        state = await state_of(practice, version)
        for factor, arm in chosen.items():
            known = state.factors[factor]
            at = known.arms.index(arm)
            precision, xty = by_the_library(arm, known.arms, context, reward)
            np.testing.assert_allclose(known.precision[at], precision, rtol=1e-12)
            np.testing.assert_allclose(known.xty[at], xty, rtol=1e-12)
            # ridge regression on one observation: b = x r / (1 + x'x)
            x = np.array(context)
            np.testing.assert_allclose(known.beta[at], x * reward / (1 + x @ x), rtol=1e-9)
            assert known.observations[at] == 1
            assert known.reward_sum[at] == pytest.approx(reward, abs=1e-12)
            others = [n for n in range(len(known.arms)) if n != at]
            assert not known.xty[others].any()
            assert not known.observations[others].any()
        assert state.actions[decided["action"]].contacted == 1
        assert state.actions[decided["action"]].succeeded == succeeded
    assert await versions(practice) == [1, 2]


async def test_what_is_learnt_is_not_learnt_again(practice):
    decided = await delivered(practice)
    await practice.report(decided["contact_id"], "message.opened", SENT + DAY, event_id="e")
    assert await taught(practice) == 1
    await practice.report(decided["contact_id"], "message.opened", SENT + DAY, event_id="e")
    await practice.report(decided["contact_id"], "message.opened", SENT + DAY)
    assert await taught(practice) == 0
    assert await versions(practice) == [1]


async def test_two_learners_at_once_learn_each_reward_once(practice):
    for _ in range(3):
        decided = await delivered(practice)
        await practice.report(decided["contact_id"], "message.clicked", SENT + DAY)
    counts = await asyncio.gather(
        *(learn_tenant(practice.runtime, practice.tenant_id) for _ in range(3))
    )
    assert sorted(counts) == [0, 0, 3]
    assert await versions(practice) == [1]
    state = await state_of(practice, 1)
    assert state.factors["channel"].observations.sum() == 3
    assert state.actions["no-show-rescue"].contacted == 3


async def test_a_learner_waits_for_the_one_before_and_finds_nothing_left(practice):
    decided = await delivered(practice)
    await practice.report(decided["contact_id"], "message.clicked", SENT + DAY)
    async with practice.transaction() as connection:
        assert await learn(connection, practice.tenant_id) == 1
        second = asyncio.create_task(learn_tenant(practice.runtime, practice.tenant_id))
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        while not second.done() and not await practice.rows(waiting):
            pass
    assert await second == 0
    assert await versions(practice) == [1]


async def test_learning_that_fails_leaves_nothing_half_learnt(practice):
    decided = await delivered(practice)
    await practice.report(decided["contact_id"], "message.clicked", SENT + DAY)

    async def learns_and_crashes() -> None:
        async with practice.transaction() as connection:
            await learn(connection, practice.tenant_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await learns_and_crashes()
    assert await versions(practice) == []
    assert await taught(practice) == 1


async def test_silence_counts_as_nothing_gained_once_it_has_lasted_thirty_days(practice):
    recent = await delivered(practice, MORNING - 30 * DAY + timedelta(hours=1))
    silent = await delivered(practice, MORNING - 30 * DAY - timedelta(hours=1))
    assert await taught(practice) == 1
    rewards = await practice.rows(
        "SELECT decision_id::text AS id, reward, learned FROM keepwell.rewards"
    )
    assert rewards == [{"id": silent["id"], "reward": 0.0, "learned": 0.0}]
    state = await state_of(practice, 1)
    assert state.actions["no-show-rescue"].contacted == 1
    assert state.actions["no-show-rescue"].succeeded == 0
    assert await taught(practice) == 0
    # who answers after that moves what was learnt, and is still one contact
    await practice.report(recent["contact_id"], "message.replied", MORNING - DAY)
    await practice.report(silent["contact_id"], "message.opened", MORNING - DAY)
    assert await taught(practice) == 2
    known = await state_of(practice, 2)
    assert known.actions["no-show-rescue"].contacted == 2
    assert known.factors["channel"].reward_sum.sum() == pytest.approx(0.6 + 0.05)


async def test_the_next_decision_uses_what_was_learnt_and_old_ones_replay_as_they_were(practice):
    contact = await practice.add_missed()
    before = await practice.decide(contact, as_of=MORNING)
    assert before["versions"]["policy_state_version"] == 0
    await practice.mark_sent(before, MORNING)
    for _ in range(8):  # every booking makes the same arms more likely and the effect larger
        decided = await delivered(practice)
        await practice.report(decided["contact_id"], "appointment.booked", SENT + DAY)
    await taught(practice)

    patient = await practice.add_missed()
    earlier = await practice.decide(patient, as_of=MORNING, dry_run=True)
    now = await practice.decide(patient)
    assert earlier["versions"]["policy_state_version"] == 0
    assert now["versions"]["policy_state_version"] == 1
    old, new = (d["candidates"][0]["propensity"] for d in (earlier, now))
    # Beta(0.27 * 40 + 8, 0.73 * 40): the prior is worth 40 contacts
    assert (old, new) == (pytest.approx(0.27), pytest.approx((0.27 * 40 + 8) / 48))

    await practice.report(patient, "message.opened", practice.now())
    forget_playbooks()
    for decision in (before, now):
        replayed = await practice.replay(decision["id"])
        assert (replayed["verdict"], replayed["differences"]) == ("identical", [])
    practice.tamper(
        "UPDATE keepwell.decisions SET policy_state_version = 1 WHERE id = %s", before["id"]
    )
    differing = {
        (d["where"], d["field"]) for d in (await practice.replay(before["id"]))["differences"]
    }
    assert ("candidates", "0.propensity") in differing


async def test_a_lost_state_is_named_by_the_replay(practice):
    decided = await delivered(practice)
    await practice.report(decided["contact_id"], "message.opened", SENT + DAY)
    await taught(practice)
    later = await practice.decide(await practice.add_missed())
    practice.tamper("DELETE FROM keepwell.policy_states WHERE tenant_id = %s", practice.tenant_id)
    forget_playbooks()
    replayed = await practice.replay(later["id"])
    assert replayed["verdict"] == "differs"
    assert [d["field"] for d in replayed["differences"]] == ["not_found"]


async def test_nobody_learns_from_another_tenant(practice, other_practice):
    decided = await delivered(other_practice)
    await other_practice.report(decided["contact_id"], "message.opened", SENT + DAY)
    assert await taught(practice) == 0
    assert await taught(other_practice) == 1
    assert await versions(practice) == []
