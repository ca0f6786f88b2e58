"""Decisions for a whole tenant at once against the obvious loop over three libraries."""

from collections import Counter

import numpy as np

from benchmarks.figures import Figure, Measured, median_seconds
from benchmarks.obvious_loop import ObviousLoop
from benchmarks.practice import Everybody, World
from services.evaluate import Evaluated, evaluate

CONTACTS = 100_000
SAMPLE = 1_500  # of the loop; its time per contact does not depend on how many there are
ROUNDS = 3
BAR = 20.0
AGREEMENT = 0.98  # least share of the sample in which both name the same action


def measure(world: World) -> Measured:
    """Decide for 100,000 contacts in memory, and for a sample of them one by one."""
    everybody = world.everybody.times(CONTACTS)
    loop = ObviousLoop(everybody.playbook)
    rows = everybody.tables.contacts.drop("contact_id").head(SAMPLE).to_dicts()
    sample = list(zip(rows, everybody.profiles[:SAMPLE], strict=True))

    def ours() -> Evaluated:
        return evaluate(
            everybody.playbook, everybody.profiles, everybody.tables, as_of=everybody.as_of
        )

    chosen = [loop.decide(row, profile) for row, profile in sample]
    agreed = _agreed(everybody, ours(), chosen)
    seconds = median_seconds(
        {
            "ours": ours,
            "loop": lambda: [loop.decide(row, profile) for row, profile in sample],
        },
        rounds=ROUNDS,
        warm_up=0,
    )
    acted = sum(action is not None for action in chosen) / SAMPLE
    return Measured(
        (
            Figure(
                area="decide",
                name=f"{CONTACTS:,} decisions in one batch",
                value=CONTACTS / seconds["ours"],
                unit="decisions/s",
                reference=SAMPLE / seconds["loop"],
                against="loop over durable_rules, MABWiser, LightGBM",
                bar=BAR,
            ),
        ),
        (
            f"decide: features in memory; {acted:.0%} get something; the loop ran over {SAMPLE:,} "
            f"contacts and named the same action for {agreed:.1%}. Health by "
            f"{'model' if everybody.playbook.model else 'scorecard'}.",
        ),
    )


def _agreed(everybody: Everybody, evaluated: Evaluated, chosen: list[str | None]) -> float:
    """The share of equal actions; the loop knows no caps, cooldowns and holdout.

    Raises:
        RuntimeError: too few are equal: the two would not be doing the same work.
    """
    decisions = evaluated.decisions
    names: list[str | None] = [a.id for a in everybody.playbook.actions.actions]
    winners = np.where(
        decisions.winner >= 0, decisions.candidates.action[decisions.winner], -1
    ).tolist()
    compared = [
        (None if winner < 0 else names[winner], theirs)
        for winner, theirs, held in zip(winners, chosen, decisions.held, strict=False)
        if not held
    ]
    share: float = sum(ours == theirs for ours, theirs in compared) / len(compared)
    if share < AGREEMENT:
        raise RuntimeError(f"The loop decides otherwise: {Counter(compared).most_common(5)}")
    return share
