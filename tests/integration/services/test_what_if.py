"""A past week under other rules: the same rules change nothing, other ones what they say."""

from datetime import timedelta

import pytest

from engine.errors import InvalidInput
from engine.policy.settings import Lever
from services.what_if import Proposed, what_if
from tests.factories.practice import MORNING, Practice
from tests.factories.rule_files import rule_text, rules_file

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)


async def asked(practice: Practice, proposed: Proposed, **options):
    window = {"since": MORNING - 4 * DAY, "until": MORNING} | options
    async with practice.transaction() as connection:
        return await what_if(connection, practice.runtime, practice.tenant_id, proposed, **window)


async def test_the_same_rules_give_the_same_week_and_store_nothing(practice):
    for days in (4.0, 5.5, 3.0):
        await practice.add_no_show(await practice.add_contact(), days)
    told = await asked(practice, Proposed())
    assert told["in_force"] == told["proposed"]
    assert told["in_force"]["sends"] > 0
    assert [told[name]["contacts"] for name in ("gained", "lost", "changed")] == [0, 0, 0]
    assert sum(day["in_force"]["sends"] for day in told["by_day"]) == told["in_force"]["sends"]
    assert await practice.count("keepwell.decisions") == 0


async def test_a_new_rule_gains_those_whom_nothing_else_would_reach(practice):
    # two minutes after the no-show no shipped rule speaks; this one does
    contact = await practice.add_contact()
    await practice.add_event(contact, "appointment.no_show", MORNING - DAY - timedelta(hours=1))
    told = await asked(practice, Proposed(rules_file("own", rule_text("own.at_once"))))
    assert told["gained"]["contacts"] == 1
    (named,) = told["gained"]["named"]
    assert named["contact_id"] == str(contact)
    assert named["in_force"] == []
    assert {"rule": "own.at_once", "in_force": 0, "proposed": 1} in told["by_rule"]


async def test_a_lever_to_nothing_takes_an_action_out_of_the_week(practice):
    await practice.add_no_show(await practice.add_contact(), 4.0)
    plain = await asked(practice, Proposed())
    rule = plain["by_rule"][0]["rule"]
    told = await asked(practice, Proposed(levers=[Lever(rule, -100.0, "", "")]))
    assert next(r for r in told["by_rule"] if r["rule"] == rule)["proposed"] == 0
    with pytest.raises(InvalidInput, match="which is no rule"):
        await asked(practice, Proposed(levers=[Lever("nothing.at.all", 5.0, "", "")]))


async def test_what_was_really_sent_in_the_week_is_taken_out_and_before_it_counts(practice):
    contact = await practice.add_missed()
    decision = await practice.decide(contact)
    await practice.mark_sent(decision, practice.now())
    later = practice.at(practice.now() + 2 * DAY)
    try:
        inside = await asked(later, Proposed(), since=MORNING - DAY, until=MORNING + DAY)
        assert inside["in_force"]["sends"] > 0
        after = await asked(
            later, Proposed(), since=practice.now() + timedelta(hours=1), until=later.now()
        )
        assert after["in_force"]["by_action"].get(decision["action"]) is None
    finally:
        await later.database.close()


@pytest.mark.parametrize(("since", "until"), [(0, 0), (0, -1), (-200, 0), (0, 3)])
async def test_an_empty_endless_or_future_window_is_refused(practice, since, until):
    with pytest.raises(InvalidInput):
        await asked(practice, Proposed(), since=MORNING + since * DAY, until=MORNING + until * DAY)


async def test_a_section_of_the_policy_is_tried_and_tells_what_budgets_would_give(practice):
    for _ in range(3):
        await practice.add_no_show(await practice.add_contact(), 4.0)
    gift = {"budgets": [{"name": "g", "limit": "5.00 USD", "per": "month",
                         "gives": {"*": "2.00 USD"}}]}  # fmt: skip
    told = await asked(practice, Proposed(sections=gift))
    (budget,) = told["budgets"]
    assert (budget["budget"], budget["in_force_cents"]) == ("g", 0)
    assert budget["proposed_cents"] == 200 * told["proposed"]["sends"] <= 500
    none = {"caps": [{"purpose": "any", "in": "7 days", "at_most": "0"}]}
    told = await asked(practice, Proposed(sections=none))
    assert told["proposed"]["sends"] == 0
    assert told["lost"]["contacts"] == told["in_force"]["contacts"] > 0
