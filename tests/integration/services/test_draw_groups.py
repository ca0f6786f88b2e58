"""Groups of the experiment are drawn once, evenly within strata, and stay."""

from datetime import timedelta

import pytest

from services.audit_policy import audit_policy
from services.draw_groups import draw_groups, show_groups
from services.set_policy import PolicyChange, set_policy
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration
SHARE = 0.2


async def drawn(practice: Practice) -> int:
    async with practice.transaction() as connection:
        return await draw_groups(connection, practice.tenant_id)


async def test_each_stratum_has_its_share_of_the_holdout_and_nobody_is_drawn_twice(practice):
    groups = {"groups": {"holdout": SHARE, "usual": 0.0, "random": 0.0}}
    async with practice.transaction() as connection:
        await set_policy(connection, practice.tenant_id, PolicyChange(groups, "ada", "test"))
    await practice.execute(
        "INSERT INTO crm_contacts (id, tenant_id, email, created_at) SELECT gen_random_uuid(), :t, "
        "n || '@example.com', CASE WHEN n <= 40 THEN timestamp '2026-02-01' "
        "ELSE timestamp '2020-01-01' END FROM generate_series(1, 100) n",
        t=practice.tenant_id,
    )
    assert await drawn(practice) == 100
    assert await drawn(practice) == 0
    async with practice.transaction() as connection:
        shown = await show_groups(connection, practice.runtime, practice.tenant_id)
    assert {s["contacts"] for s in shown["strata"]} == {40, 60}
    for stratum in shown["strata"]:
        # a hash alone would be off by 2.5 or 3.1, one standard deviation
        assert abs(stratum["holdout"] - SHARE * stratum["contacts"]) <= 2


async def test_who_was_decided_for_before_keeps_the_group_of_its_hash(practice):
    held, free = await practice.add_missed(held=True), await practice.add_missed()
    for contact in (held, free):
        await practice.decide(contact, as_of=MORNING)
    assert await drawn(practice) == 2
    later = practice.at(MORNING + timedelta(days=1))
    try:
        groups = [(await later.decide(each))["experiment_group"] for each in (held, free)]
        assert groups == ["holdout", "engine"]
    finally:
        await later.database.close()


async def test_a_drawn_number_decides_for_one_contact_for_all_and_at_the_gate_and_replays(practice):
    contact = await practice.add_missed()  # outside the holdout by its hash
    await practice.execute(
        "INSERT INTO keepwell.group_draws (tenant_id, contact_id, number, stratum, drawn_at) "
        "VALUES (:t, :c, 0.001, 'test', :at)",
        t=practice.tenant_id, c=contact, at=MORNING - timedelta(hours=1),
    )  # fmt: skip
    decision = await practice.decide(contact, as_of=MORNING)
    assert (decision["experiment_group"], decision["action"]) == ("holdout", None)
    _, recorded, _ = await practice.decide_all(dry_run=True)
    assert recorded[0].row["experiment_group"] == "holdout"
    assert (await practice.replay(decision["id"]))["verdict"] == "identical"
    # somebody writes all the same: the audit tells by the stored number
    sent = await practice.decide(await practice.add_missed(), as_of=MORNING)
    await practice.mark_sent(sent, MORNING + timedelta(hours=2))
    await practice.execute("UPDATE keepwell.sends SET contact_id = :c", c=contact)
    async with practice.transaction() as connection:
        audited = await audit_policy(connection, practice.tenant_id)
    assert audited.as_document()["violations"]["holdout"] == 1
