"""Rewards reach the bandits once each; every version of what they know is kept."""

import asyncio
import struct

import orjson
import pytest

from bandits.response import Counts, Guess, response
from bandits.selection import VARIANT_PREFIX
from bandits.state import LIN_UCB, PolicyState, load_state
from engine.errors import InvalidInput
from services.learn import learn, learn_tenant, rebuild, relearn
from services.learn_tonight import learn_tonight
from services.set_learning import set_learning
from store.lending import ArmCount, list_borrowed, replace_lent
from tests.factories.practice import MORNING, Practice, forget_playbooks, open_practice
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


async def evidence(practice: Practice) -> dict[tuple[str, str, int], bytes]:
    rows = await practice.rows("SELECT factor, arm, day, sums FROM keepwell.learned_evidence")
    return {
        (r["factor"], r["arm"], r["day"]): struct.pack(f"{len(r['sums'])}d", *r["sums"])
        for r in rows
    }


async def test_an_open_then_a_booking_move_the_chosen_arms_and_nothing_else(practice):
    decided = await delivered(practice)
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
            assert known.arms == (arm,)
            assert known.observations.tolist() == [1]
            assert known.reward_sum[0] == pytest.approx(reward, abs=2**-11)
        assert state.actions[decided["action"]].succeeded == succeeded
    assert state.actions[decided["action"]].contacted == 1
    assert await versions(practice) == [1, 2]


async def test_a_booking_that_is_cancelled_is_unlearnt_to_the_bit_in_whatever_order_they_come(
    practice,
):
    for order in (("booked", "cancelled"), ("cancelled", "booked")):
        decided = await delivered(practice)
        contact = decided["contact_id"]
        await practice.report(contact, "message.opened", SENT + DAY)
        await taught(practice)
        before = await evidence(practice)
        for verb in order:
            at = SENT + (2 if verb == "booked" else 3) * DAY
            await practice.report(contact, f"appointment.{verb}", at, subject="appointment:7")
        await taught(practice)
        assert await evidence(practice) == before
        (row,) = await practice.rows(
            "SELECT reward FROM keepwell.rewards WHERE decision_id = :id", id=decided["id"]
        )
        assert row["reward"] == 0.05


async def test_another_appointment_that_is_cancelled_takes_nothing_back(practice):
    decided = await delivered(practice)
    contact = decided["contact_id"]
    await practice.report(contact, "appointment.booked", SENT + DAY, subject="appointment:7")
    await practice.report(contact, "appointment.cancelled", SENT + 2 * DAY, subject="appointment:8")
    await taught(practice)
    assert (await state_of(practice, 1)).actions[decided["action"]].succeeded == 1


async def test_what_a_scanner_opens_and_clicks_is_never_learnt(practice):
    decided = await delivered(practice)
    contact = decided["contact_id"]
    for kind, at, told in (
        ("message.opened", SENT + DAY, {"user_agent": "Mozilla/5.0"}),
        ("message.clicked", SENT + DAY, {"user_agent": "Proofpoint URL Defense"}),
        ("message.clicked", SENT + DAY, {"links_opened": 6}),
        ("message.clicked", SENT + DAY / 86400, {"user_agent": "Mozilla/5.0 (iPhone) Safari"}),
    ):
        receipt = await practice.report(contact, kind, at, properties=told)
        assert receipt["outcome"].endswith("_by_machine")
        assert receipt["reward"] == 0.0
    await taught(practice)
    assert (await state_of(practice, 1)).factors["channel"].reward_sum.tolist() == [0.0]


async def test_a_rebuild_from_the_log_finds_the_same_bits_and_mends_what_was_altered(practice):
    for kind in ("message.opened", "message.clicked", "appointment.booked"):
        decided = await delivered(practice)
        await practice.report(decided["contact_id"], "message.opened", SENT + DAY)
        await taught(practice)
        await practice.report(decided["contact_id"], kind, SENT + 3 * DAY)
        await taught(practice)
    stored = await evidence(practice)
    async with practice.transaction() as connection:
        found = await rebuild(connection, practice.tenant_id)
    assert (found.decisions, found.differing) == (3, 0)
    assert found.rows == len(stored)
    practice.tamper(
        "UPDATE keepwell.learned_evidence SET sums[1] = sums[1] + 1 WHERE factor = 'slot' "
        "AND tenant_id = %s", practice.tenant_id,
    )  # fmt: skip
    async with practice.transaction() as connection:
        assert (await rebuild(connection, practice.tenant_id)).differing > 0
    assert await evidence(practice) == stored


async def test_states_from_before_there_was_evidence_are_learnt_again_from_the_log(practice):
    decided = await delivered(practice)
    await practice.report(decided["contact_id"], "message.clicked", SENT + DAY)
    await practice.execute("UPDATE keepwell.rewards SET learned = reward, learned_version = 9")
    assert await taught(practice) == 1
    assert (await state_of(practice, 1)).factors["channel"].observations.tolist() == [1]


async def test_an_event_repeated_a_thousand_times_counts_once(practice):
    decided = await delivered(practice)
    for _ in range(40):
        await practice.report(decided["contact_id"], "message.clicked", SENT + DAY, event_id="e")
    await practice.execute(
        "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, "
        "occurred_at) SELECT :t, 'api', 'e', :c, 'message.clicked', :at "
        "FROM generate_series(1, 1000) ON CONFLICT DO NOTHING",
        t=practice.tenant_id, c=decided["contact_id"], at=SENT + DAY,
    )  # fmt: skip
    assert await taught(practice) == 1
    state = await state_of(practice, 1)
    assert state.factors["channel"].observations.tolist() == [1]
    assert state.factors["channel"].reward_sum[0] == pytest.approx(0.3, abs=2**-11)


async def test_a_tenant_may_choose_a_baseline_policy(practice):
    await practice.set(learning={"policy": "linucb"})
    decided = await delivered(practice)
    await practice.report(decided["contact_id"], "appointment.booked", SENT + DAY)
    await taught(practice)
    state = await state_of(practice, 1)
    assert state.policy == LIN_UCB
    assert state.factors["channel"].spreads is None
    again = await practice.decide(await practice.add_missed())
    forget_playbooks()
    assert (await practice.replay(again["id"]))["verdict"] == "identical"


@pytest.mark.parametrize("policy", ["thompson", "ucb1", "epsilon_greedy"])
async def test_a_baseline_without_context_is_set_by_a_person_and_its_decisions_replay(
    practice, policy
):
    decided = await delivered(practice)
    await practice.report(decided["contact_id"], "appointment.booked", SENT + DAY)
    await taught(practice)
    async with practice.transaction() as connection:
        told = await set_learning(connection, practice.tenant_id, {"policy": policy}, by="ada")
    assert told["policy"] == policy
    assert await versions(practice) == [1, 2]
    state = await state_of(practice, 2)
    assert (state.policy, state.factors["channel"].spreads) == (policy, None)
    assert state.factors["channel"].observations.tolist() == [1]
    again = await practice.decide(await practice.add_missed())
    forget_playbooks()
    assert (await practice.replay(again["id"]))["verdict"] == "identical"
    (line,) = await practice.rows(
        "SELECT actor, detail FROM keepwell.audit_trail WHERE action = 'learning.set'"
    )
    assert line["actor"] == "ada"
    assert line["detail"]["after"] == {"policy": policy}


async def test_a_change_of_learning_without_a_name_or_a_value_changes_nothing(practice):
    for changes, by in (({}, "ada"), ({"policy": "ucb1"}, " "), ({"policy": "best"}, "ada")):
        async with practice.transaction() as connection:
            with pytest.raises(InvalidInput):
                await set_learning(connection, practice.tenant_id, changes, by=by)
    assert await versions(practice) == []


async def test_messages_that_nobody_answers_teach_in_the_night_and_unnamed_states_go(practice):
    await delivered(practice)
    assert await learn_tonight(practice.runtime, practice.tenant_id) == 1
    assert (await state_of(practice, 1)).factors["channel"].reward_sum.tolist() == [0.0]
    assert await learn_tonight(practice.runtime, practice.tenant_id) == 0
    assert await versions(practice) == [1]  # nothing new, and not a day older
    named = await practice.decide(await practice.add_missed())
    assert named["versions"]["policy_state_version"] == 1
    async with practice.transaction() as connection:
        for _ in range(2):
            await relearn(connection, practice.tenant_id)
    practice.tamper(
        "UPDATE keepwell.policy_states SET effective_at = effective_at - interval '9 days' "
        "WHERE tenant_id = %s", practice.tenant_id,
    )  # fmt: skip
    assert await learn_tonight(practice.runtime, practice.tenant_id) == 0
    # 1 is named by a decision, 4 was made tonight because evidence had aged
    assert await versions(practice) == [1, 4]


@pytest.mark.parametrize("told", [{"policy": "best"}, {"noise": 0}, {"pool": 1}, {"floor": 0.1}])
async def test_a_setting_that_cannot_be_meant_is_refused(practice, told):
    await practice.set(learning=told)
    with pytest.raises(InvalidInput):
        await taught(practice)


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


async def test_silence_counts_from_the_first_day_for_as_much_as_should_have_been_answered(practice):
    silent = await delivered(practice, MORNING - 40 * DAY)
    recent = await delivered(practice, MORNING - 2 * DAY)
    assert await taught(practice) == 2
    state = await state_of(practice, 1)
    assert state.actions["no-show-rescue"].contacted == 2  # 1.6, in whole contacts
    assert state.actions["no-show-rescue"].succeeded == 0
    assert state.factors["channel"].observations.sum() == 2
    counted = sum(a[0, 0] - 1.0 for a in state.factors["channel"].precision)
    # forty days of forgetting at 0.98 leave 0.45; after two days 0.65 of the answers are there
    assert counted == pytest.approx(0.98**40 + 0.98**2 * 0.646, abs=0.01)
    assert await taught(practice) == 0
    # who answers after that moves what was learnt, and is still one contact
    await practice.report(recent["contact_id"], "message.replied", MORNING - DAY)
    await practice.report(silent["contact_id"], "message.opened", MORNING - 20 * DAY)
    assert await taught(practice) == 2
    known = await state_of(practice, 2)
    assert known.factors["channel"].observations.sum() == 2
    assert known.factors["channel"].reward_sum.sum() == pytest.approx(0.6 + 0.05, abs=2**-10)


async def test_only_counts_cross_tenants_from_three_lenders_on_and_a_switch_turns_it_off(
    servers, runtime,
):  # fmt: skip
    lenders = [await open_practice(runtime, servers.socket_dir) for _ in range(3)]
    borrower = await open_practice(runtime, servers.socket_dir)
    away = await open_practice(runtime, servers.socket_dir, learning={"pool": False})
    everybody = [*lenders, borrower, away]
    industry = f"industry-{borrower.tenant_id.hex[:8]}"
    lent = []
    answered = [await delivered(each) for each in everybody]
    for each in everybody:  # its rules are those of its industry before
        await each.execute("UPDATE tenants SET industry = :i", i=industry)
    for number, (lender, decided) in enumerate(zip(lenders, answered, strict=False)):
        await lender.report(decided["contact_id"], "appointment.booked", SENT + DAY)
        await taught(lender)
        lent.append(await lender.count("keepwell.lent_counts"))
        async with lender.transaction() as connection:  # as if each had sent two hundred
            counts = [
                ArmCount("channel", "email", 100.0, 10.0),
                ArmCount("channel", "sms", 100.0, 30.0),
            ]
            await replace_lent(connection, lender.tenant_id, industry, counts)
        async with borrower.transaction() as connection:
            seen = await list_borrowed(connection, industry)
        expected = [("email", 300.0, 30.0), ("sms", 300.0, 90.0)] if number == 2 else []
        assert [(each.arm, each.decisions, each.reward) for each in seen] == expected
    assert all(lent)
    assert await borrower.count("keepwell.lent_counts") == 0  # sees none of their rows
    for each in (borrower, away):
        await taught(each)
    channel = (await state_of(borrower, 1)).factors["channel"]
    assert channel.borrowed is not None
    known = [channel.borrowed[k] for k, arm in enumerate(channel.arms) if arm in ("email", "sms")]
    assert all(abs(each) > 0.05 for each in known)
    assert (await state_of(away, 1)).factors["channel"].borrowed is None
    assert await away.count("keepwell.lent_counts") == 0
    for each in everybody:
        await each.database.close()


async def test_the_next_decision_uses_what_was_learnt_and_old_ones_replay_as_they_were(practice):
    contact = await practice.add_missed()
    before = await practice.decide(contact, as_of=MORNING)
    assert before["versions"]["policy_state_version"] == 0
    await practice.mark_sent(before, MORNING)
    for _ in range(8):  # every booking makes the same arms more likely
        decided = await delivered(practice)
        await practice.report(decided["contact_id"], "appointment.booked", SENT + DAY)
    await taught(practice)

    patient = await practice.add_missed()
    earlier = await practice.decide(patient, as_of=MORNING, dry_run=True)
    now = await practice.decide(patient)
    assert earlier["versions"]["policy_state_version"] == 0
    assert now["versions"]["policy_state_version"] == 1
    old, new = (d["candidates"][0]["propensity"] for d in (earlier, now))
    told = response(Guess(0.27, 0.225, 40.0), Counts(8, 8))
    assert (old, new) == (pytest.approx(0.27), pytest.approx(told.if_contacted))
    assert new > old

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
