"""A seeded world with known truth: the policy must find the better arms and keep exploring."""

from uuid import UUID

import numpy as np
import pytest

from bandits.context import context_matrix
from bandits.learning import Observation, observe
from bandits.selection import choose, probabilities
from bandits.state import initial_state
from engine.ids import DecisionId

pytestmark = pytest.mark.statistical

CHANNEL_RATES = {"email": 0.08, "sms": 0.16, "call_task": 0.10}
SLOT_BONUS = {"am": 0.0, "pm": 0.06}


def live(weeks, sends_per_week, seed):
    rng = np.random.default_rng(seed)
    state = initial_state({"channel": list(CHANNEL_RATES), "slot": list(SLOT_BONUS)})
    weights, rewards = [], []
    for week in range(weeks):
        n = sends_per_week
        x = context_matrix(rng.random(n), rng.random(n), 365 * rng.random(n))
        masks = {f: np.ones((n, len(s.arms)), bool) for f, s in state.factors.items()}
        keys = np.arange(week * n, (week + 1) * n, dtype=np.uint64)
        choices = choose(state, x, masks, keys, seed)
        channels, slots = choices.factors["channel"].names(), choices.factors["slot"].names()
        rate = np.array(
            [CHANNEL_RATES[c] + SLOT_BONUS[s] for c, s in zip(channels, slots, strict=True)]
        )
        reward = (rng.random(n) < rate).astype(float)
        weights.append(1 / 6 / choices.selection_probability)
        rewards.append(reward)
        state = observe(
            state,
            [
                Observation(
                    DecisionId(UUID(int=i)),
                    "recall",
                    {"channel": channels[i], "slot": slots[i]},
                    x[i],
                    float(reward[i]),
                )
                for i in range(n)
            ],
        )
    return state, np.array(weights), np.array(rewards)


def test_the_better_channel_and_slot_win_and_the_log_values_another_policy():
    weeks, sends = 20, 300
    state, weights, rewards = live(weeks, sends, seed=7)

    x = context_matrix(np.full(1, 0.3), np.full(1, 0.5), np.full(1, 100.0))
    channel = probabilities(state, "channel", x, np.ones((1, 3), bool))[0]
    slot = probabilities(state, "slot", x, np.ones((1, 2), bool))[0]
    assert channel[1] > 0.8
    assert slot[1] > 0.8
    # Best pair 0.22, all six alike 0.143; the last quarter must have most of the difference.
    # Standard error of 1,500 rewards: sqrt(0.2 * 0.8 / 1500) = 0.010, three of them below 0.20.
    assert rewards[-5:].mean() > 0.17

    # Importance weights of the uniform policy average 1 if the logged probabilities are the ones
    # that were played; a policy that logged others was off by 50 %.
    n = weights.size
    assert abs(weights.mean() - 1.0) < 4 * weights.std() / np.sqrt(n)
    value = weights * rewards
    assert abs(value.mean() - 0.1433) < 4 * value.std() / np.sqrt(n)
