"""Learning from outcomes against the arithmetic it contains."""

from uuid import UUID

import numpy as np

from bandits.learning import Observation, observe
from bandits.posterior import restore
from benchmarks.figures import Figure, Measured, median_seconds
from benchmarks.practice import SEED, World
from engine.actions import CHANNELS
from engine.ids import DecisionId
from engine.slots import SLOT_NAMES
from services.actions import prior_state

OUTCOMES = 10_000
FACTORS = {"channel": CHANNELS, "slot": SLOT_NAMES, "variant:recall": ("brief", "friendly")}


def measure(_world: World) -> Measured:
    """Observe 10,000 outcomes in one go."""
    rng = np.random.default_rng(SEED)
    contexts = np.column_stack([np.ones(OUTCOMES), rng.random((OUTCOMES, 3))])
    rewards = (rng.random(OUTCOMES) < 0.1).astype(np.float64)
    arms = {name: rng.choice(np.array(known), OUTCOMES) for name, known in FACTORS.items()}
    observations = [
        Observation(
            decision_id=DecisionId(UUID(int=number)),
            action="recall",
            arms={name: str(chosen[number]) for name, chosen in arms.items()},
            context=contexts[number],
            reward=float(rewards[number]),
        )
        for number in range(OUTCOMES)
    ]
    state = observe(prior_state(0.05), observations)
    bandits = {name: restore(state.factors[name], state.alpha) for name in FACTORS}

    def mabwiser() -> None:
        for name, bandit in bandits.items():
            bandit.partial_fit(decisions=arms[name], rewards=rewards, contexts=contexts)

    seconds = median_seconds({"ours": lambda: observe(state, observations), "mabwiser": mabwiser})
    return Measured(
        (
            Figure(
                area="learn",
                name=f"{OUTCOMES:,} outcomes into three factors",
                value=OUTCOMES / seconds["ours"],
                unit="outcomes/s",
                reference=OUTCOMES / seconds["mabwiser"],
                against="MABWiser's partial_fit of the same, alone",
            ),
        )
    )
