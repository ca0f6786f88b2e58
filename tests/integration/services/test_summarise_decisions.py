"""Decisions grouped: every contact is accounted for, and what stood in the way has a price."""

import pytest

from engine.errors import InvalidInput
from services.summarise_decisions import summarise_decisions
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration


async def summary(practice: Practice, **options):
    async with practice.transaction() as connection:
        return await summarise_decisions(connection, practice.runtime, **options)


async def test_who_is_left_with_nothing_is_told_by_stage_with_what_it_forgoes(practice):
    quiet = {"channels": [], "implied_consent": {"call_task:treatment": None,
                                                 "call_task:service": None}}  # fmt: skip
    await practice.set(**quiet | {"channels": ["email"]})
    for _ in range(3):
        await practice.add_missed(consented=False)
    reached = await practice.add_missed()
    await practice.add_contact()
    await practice.decide_all(as_of=MORNING)
    told = await summary(practice)
    assert (told["of"], told["decisions"]) == ("the newest run", 5)
    assert (told["with_action"], told["without_action"]) == (1, 4)
    consent = [s for s in told["stages"] if s["stage"] == "consent"]
    assert sum(s["left_with_nothing"] for s in consent) == 3
    document = await practice.decide(reached, as_of=MORNING, dry_run=True)
    winner = document["candidates"][0]
    # the three would have been worth what the one is worth, at the cheapest channel
    assert sum(s["forgone_cents"] for s in consent) == pytest.approx(3 * winner["score_cents"], 0.2)
    assert consent[0]["example"] != str(reached)
    assert sum(r["chosen"] for r in told["rules"]) == 1
    assert told["levers"] == []


async def test_a_lever_is_charged_with_what_the_best_choice_without_it_was_worth_more(practice):
    contact = await practice.add_missed()
    decision = await practice.decide(contact, as_of=MORNING)
    candidates = [c for c in decision["candidates"] if c["action"]]
    winner = candidates[0]
    # as if the winner had won by a lever of 3: without it, it would be worth a third
    practice.tamper(
        "UPDATE keepwell.candidates SET lever = 3, effect = effect / 3 "
        "WHERE decision_id = %s AND position = 0",
        decision["id"],
    )
    told = await summary(practice, since=MORNING)
    (lever,) = told["levers"]
    spent = winner["cost_cents"] + winner["fatigue_cents"]
    without = (winner["score_cents"] + spent) / 3 - spent
    rivals = [c["score_cents"] for c in candidates[1:] if c["reason"] == "lower_value"]
    best = max([0.0, without, *rivals])
    assert lever["cost_cents"] == pytest.approx(best - without)
    assert lever["decided_by_lever"] == int(best > without)


async def test_a_window_that_ends_before_it_begins_is_refused(practice):
    with pytest.raises(InvalidInput):
        await summary(practice, since=MORNING, until=MORNING)
