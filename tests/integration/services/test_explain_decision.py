"""An explanation says what happened, and what it says would flip the choice does flip it."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from engine.errors import ContactNotFound
from services.counterfactual import World
from services.explain_decision import explain_contact, explain_decision
from services.explanation import rule_row
from services.explanation_words import explanation_lines
from services.flips import flips, path_to
from services.profiles import decision_inputs
from services.reason_words import reason_words
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration


async def explained(practice: Practice, contact: object, **options):
    async with practice.transaction() as connection:
        return await explain_contact(
            connection, practice.runtime, practice.tenant_id, str(contact), **options
        )


async def world_of(practice: Practice, contact) -> World:
    async with practice.transaction() as connection:
        playbook, profile, _ = await decision_inputs(
            connection, practice.tenant_id, contact, MORNING
        )
    return World(playbook, profile, MORNING)


async def test_a_chosen_action_is_told_with_its_conditions_stages_terms_and_runner_up(practice):
    contact = await practice.add_missed()
    document = await explained(practice, contact, as_of=MORNING)
    told = document["explanation"]
    winner = next(c for c in told["candidates"] if c["removed_by"] is None)
    assert winner["action"] == document["action"]
    assert {stage["verdict"] for stage in winner["stages"]} == {"passed"}
    assert winner["conditions"]
    assert all(c["held"] is (c["under"] == "when") for c in winner["conditions"])
    terms = winner["terms"]
    assert (
        terms["score_cents"]["low"] < terms["score_cents"]["value"] < terms["score_cents"]["high"]
    )
    assert told["runner_up"]["behind_cents"] > 0
    assert told["why_nothing"] is None
    assert document["id"] is None
    assert await practice.count("keepwell.decisions") == 0


async def test_each_change_that_is_told_to_flip_the_choice_flips_it(practice):
    contact = await practice.add_missed()
    world = await world_of(practice, contact)
    decided = world.decided()
    paths = flips(world, decided, rule_row(world))
    assert paths
    for path in paths:
        there = world
        for step in path.steps:
            there = step.apply(there)
        then = there.decided().row
        assert (then["action"], then["subject"]) == (path.then, path.subject)
        assert (then["rule"], then["subject"]) != (decided.row["rule"], decided.row["subject"])
    assert [p.size for p in paths] == sorted(p.size for p in paths)


@pytest.mark.parametrize(
    ("reason", "arrange"),
    [
        ("no_consent", {"consented": False}),
        ("do_not_contact_flag", {"do_not_email": True, "do_not_sms": True, "do_not_call": True}),
        ("no_reachable_channel", {"email": None, "mobile_phone": None, "phone": None}),
        ("holdout", {"held": True}),
    ],
)
async def test_what_stops_the_winner_is_what_would_have_to_be_different(practice, reason, arrange):
    await practice.set(channels=["email", "sms"], implied_consent={
        "call_task:treatment": None, "call_task:service": None,
    })  # fmt: skip
    contact = await practice.add_missed(**arrange)
    document = await explained(practice, contact, as_of=MORNING)
    assert document["action"] is None
    assert document["reason"] == reason
    smallest = document["explanation"]["smallest_change"]
    assert [step["kind"] for step in smallest["steps"]] == [reason]
    assert smallest["then"] is not None
    assert reason_words(reason).split(",")[0] in document["explanation"]["why_nothing"]


async def test_a_full_cap_tells_how_many_messages_fewer_there_would_have_to_be(practice):
    contact = await practice.add_missed()
    world = await world_of(practice, contact)
    winner = world.decided().candidates[0]
    full = tuple(cap.max_count + 1 for cap in world.playbook.policy.caps)
    capped = replace(world, profile=replace(world.profile, sends=full))
    assert capped.decided().row["reason"] == "frequency_cap"
    path = path_to(capped, winner)
    assert [step.kind for step in path.steps] == ["frequency_cap"]
    assert "2 fewer" in path.steps[0].words


async def test_a_contact_whom_no_rule_concerns_is_told_the_nearest_rule(practice):
    contact = await practice.add_contact()
    document = await explained(practice, contact, as_of=MORNING)
    assert document["reason"] == "no_rule_applies"
    told = document["explanation"]
    assert told["candidates"] == []
    assert told["smallest_change"]["steps"][0]["kind"] == "fact"
    assert told["smallest_change"]["then"]


async def test_a_stored_decision_is_explained_under_the_rules_of_its_time(practice):
    contact = await practice.add_missed()
    decision = await practice.decide(contact, as_of=MORNING)
    await practice.report(contact, "appointment.booked", MORNING + timedelta(minutes=1))
    async with practice.transaction() as connection:
        document = await explain_decision(connection, practice.tenant_id, UUID(decision["id"]))
    assert document["stored"]
    assert document["explanation_note"] is None
    assert document["explanation"]["candidates"][0]["action"] == decision["action"]
    lines = explanation_lines(document)
    assert decision["id"] in lines[0]
    assert any(line.startswith("smallest change") for line in lines)


async def test_another_tenants_contact_is_explained_like_none(practice, other_practice):
    contact = await other_practice.add_missed()
    with pytest.raises(ContactNotFound):
        await explained(practice, contact, as_of=MORNING)
