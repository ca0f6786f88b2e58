"""An experiment on a message: planned, drawn by chance, judged, stopped, and told."""

from datetime import timedelta
from uuid import uuid4

import pytest

from engine.errors import InvalidInput
from services.judge_experiments import judge_experiments
from services.plan_experiment import ExperimentWish, plan_experiment
from services.show_experiments import show_experiment, show_experiments
from services.start_experiment import start_planned
from services.stop_experiment import stop_by_hand
from store.experiments import ExperimentConflict, ExperimentNotFound
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration

ACTION, ARMS = "no-show-rescue", ("brief", "friendly")
DAY = timedelta(days=1)
NAME = "rescue-wording"


async def planned(practice: Practice, name: str = NAME, **wish):
    async with practice.transaction() as connection:
        asked = ExperimentWish(name, ACTION, "ada", **{"arms": ARMS, **wish})
        return await plan_experiment(connection, practice.tenant_id, asked, now=practice.now())


async def started(practice: Practice, name: str = NAME):
    async with practice.transaction() as connection:
        return await start_planned(connection, practice.tenant_id, name, by="ada")


async def judged(practice: Practice) -> int:
    async with practice.transaction() as connection:
        return await judge_experiments(connection, practice.tenant_id, now=practice.now())


async def shown(practice: Practice, name: str = NAME):
    async with practice.transaction() as connection:
        return await show_experiment(connection, practice.tenant_id, name, now=practice.now())


async def sent(practice: Practice, arm: str, n: int, *, reached: int, revoked: int = 0) -> None:
    """Messages of an arm whose window is over, as decisions and sends have them."""
    await practice.execute(
        "WITH new AS (SELECT gen_random_uuid() AS id, gen_random_uuid() AS contact, n "
        "FROM generate_series(1, :n) AS n), d AS (INSERT INTO keepwell.decisions (tenant_id, id, "
        "contact_id, as_of, trigger, action, reason, channel, variant, score_cents, "
        "experiment_group, seed, profile, profile_digest, rule_set_digest, policy_state_version, "
        "policy_data_digest, libraries, decision_digest, treatment) "
        "SELECT :t, id, contact, :at, 'nightly', "
        ":action, 'highest_value', 'email', :arm, 1, 'engine', 1, '{}', 'p', 'r', 0, 'd', 'l', "
        "'x', "
        "'{\"variant_probability\": 0.5}' FROM new), s AS (INSERT INTO keepwell.sends "
        "(tenant_id, id, decision_id, contact_id, "
        "dedupe_key, action, purpose, channel, recipient, content, content_source, state, next_at, "
        "not_after, decided_at, sent_at) SELECT :t, id, id, contact, id::text, :action, "
        "'treatment', 'email', 'a@example.com', '{}', 'template', 'sent', :at, :at, :at, :at "
        "FROM new), r AS (INSERT INTO keepwell.rewards (tenant_id, decision_id, reward) "
        "SELECT :t, id, 1 FROM new WHERE n <= :reached) "
        "INSERT INTO keepwell.consents (tenant_id, contact_id, channel, purpose, status, basis, "
        "source, effective_at) SELECT :t, contact, 'email', 'treatment', 'revoked', 'test', "
        "'test', cast(:at AS timestamptz) + interval '1 day' FROM new WHERE n <= :revoked",
        t=practice.tenant_id, n=n, at=MORNING - 40 * DAY, action=ACTION, arm=arm,
        reached=reached, revoked=revoked,
    )  # fmt: skip


async def running(practice: Practice) -> None:
    await planned(practice, rate=0.2, smallest=0.1)
    await started(practice)
    # as if it had begun before those messages left
    await practice.execute(
        "UPDATE keepwell.experiments SET started_at = :at", at=MORNING - 60 * DAY
    )


async def test_a_plan_says_how_many_messages_it_takes_and_is_kept(practice):
    told = await planned(practice, rate=0.2, smallest=0.1)
    assert (told["state"], told["arms"], told["messages_a_week"]) == ("planned", list(ARMS), 0.0)
    assert 200 < told["once_units_per_arm"] < told["units_per_arm"] < 1200
    assert told["weeks"] is None  # nothing has been sent yet, so nobody knows
    with pytest.raises(ExperimentConflict):
        await planned(practice)


@pytest.mark.parametrize(
    "wish",
    [
        {"name": "Bad Name"},
        {"arms": ("brief", "unheard-of")},
        {"arms": ("brief",)},
        {"smallest": 0.0},
        {"rate": 1.5},
    ],
)
async def test_what_can_not_be_planned_is_refused_and_nothing_is_kept(practice, wish):
    with pytest.raises(InvalidInput):
        await planned(practice, **wish)
    assert await practice.count("keepwell.experiments") == 0


async def test_wordings_are_drawn_evenly_while_it_runs_and_the_decision_replays(practice):
    contacts = [await practice.add_missed() for _ in range(24)]
    await planned(practice)
    await started(practice)
    decided = [await practice.decide(contact) for contact in contacts]
    assert {each["action"] for each in decided} == {ACTION}
    # a call has one wording: it takes no part
    written = [each for each in decided if each["channel"] != "call_task"]
    assert {each["treatment"]["variant_probability"] for each in written} == {0.5}
    arms = [each["variant"] for each in written]
    # some 16 of 24 are written to; P(one of two equal arms at most once in 10) = 22 / 2**10
    assert min(arms.count("brief"), arms.count("friendly")) >= 1
    for each in decided[:3]:
        assert (await practice.replay(each["id"]))["verdict"] == "identical"


async def notifications(practice):
    rows = await practice.rows(
        "SELECT user_id, title, message, notification_type, entity_type FROM notifications"
    )
    return [dict(row) for row in rows]


async def test_the_winner_ends_it_and_people_are_told(practice):
    owner = uuid4()
    for role, user in (("owner", owner), ("member", uuid4())):
        practice.tamper(
            "INSERT INTO tenant_users (tenant_id, user_id, role) VALUES (%s, %s, %s)",
            practice.tenant_id, user, role,
        )  # fmt: skip
    await running(practice)
    await sent(practice, "brief", 1500, reached=300)
    await sent(practice, "friendly", 1500, reached=450)
    before = await shown(practice)
    assert before["standing"]["verdict"] == "winner"
    assert [arm["messages"] for arm in before["arms_so_far"]] == [1500, 1500]
    assert await judged(practice) == 1
    after = await shown(practice)
    assert (after["state"], after["verdict"], after["verdict_arm"]) == (
        "stopped", "winner", "friendly",
    )  # fmt: skip
    async with practice.transaction() as connection:
        (notice,) = (await show_experiments(connection))["notices"]
    assert (notice["subject"], notice["verdict"]) == (NAME, "winner")
    assert await judged(practice) == 0
    (told,) = await notifications(practice)
    assert (told["user_id"], told["entity_type"]) == (owner, "experiment")
    assert (NAME in told["title"], told["notification_type"]) == (True, "info")
    assert "'friendly' works better" in told["message"]


async def test_opt_outs_end_it_even_where_the_wording_works(practice):
    await running(practice)
    await sent(practice, "brief", 1000, reached=200)
    await sent(practice, "friendly", 1000, reached=260, revoked=120)
    assert await judged(practice) == 1
    told = await shown(practice)
    assert (told["verdict"], told["verdict_arm"], told["reason"]) == (
        "harmful", "friendly", "opt_out rose",
    )  # fmt: skip


async def test_an_undecided_one_goes_on_and_says_for_how_long(practice):
    await running(practice)
    await sent(practice, "brief", 200, reached=40)
    await sent(practice, "friendly", 200, reached=48)
    assert await judged(practice) == 0
    told = await shown(practice)
    assert told["standing"]["verdict"] == "running"
    assert told["standing"]["weeks_more"] > 4


async def test_one_at_a_time_runs_on_an_action_and_a_stopped_one_stays_stopped(practice):
    await planned(practice)
    await planned(practice, "second")
    await started(practice)
    with pytest.raises(ExperimentConflict):
        await started(practice, "second")
    async with practice.transaction() as connection:
        await stop_by_hand(connection, practice.tenant_id, NAME, by="ada", reason="a holiday")
    await started(practice, "second")
    with pytest.raises(ExperimentConflict):
        await started(practice)
    with pytest.raises(ExperimentNotFound):
        await started(practice, "third")


async def test_another_tenants_experiments_are_not_there(practice, other_practice):
    await planned(practice)
    with pytest.raises(ExperimentNotFound):
        await shown(other_practice)
