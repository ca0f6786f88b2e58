"""Baselines without context: MABWiser's arithmetic, with probabilities over what is allowed."""

import numpy as np
import pytest
from mabwiser.mab import MAB, LearningPolicy

from bandits.context import CONTEXT_FEATURES
from bandits.counting import EPSILON, EPSILON_GREEDY, THOMPSON, UCB1, shares
from bandits.draw import uniforms
from bandits.factor import FactorState, untrained
from bandits.selection import choose, probabilities
from bandits.state import PolicyState, dump_state, load_state

ARMS = ("email", "sms", "call_task", "in_app")
D = len(CONTEXT_FEATURES)


def history(n=400, seed=0):
    """Decisions on the first three arms and whether each was answered."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(3, size=n)
    return chosen, (rng.random(n) < 0.1 + 0.05 * chosen).astype(np.float64)


def factor_of(chosen, rewards):
    fresh = untrained(ARMS, D)
    precision, xty = fresh.precision.copy(), fresh.xty.copy()
    n = np.bincount(chosen, minlength=len(ARMS))
    precision[:, 0, 0] += n
    xty[:, 0] += np.bincount(chosen, rewards, minlength=len(ARMS))
    return FactorState(ARMS, precision, xty, n.astype(np.int64), xty[:, 0].copy())


def library(policy, chosen, rewards):
    bandit = MAB(list(ARMS[:3]), policy, seed=1)
    bandit.fit(np.array(ARMS)[chosen], rewards)
    return bandit


ALL = np.array([True, True, True, False])


def test_thompson_s_shares_are_how_often_mabwiser_draws_each_arm():
    chosen, rewards = history(120)
    bandit = library(LearningPolicy.ThompsonSampling(), chosen, rewards)
    draws = 20_000
    drawn = bandit.predict(np.zeros((draws, 1)))
    played = np.array([drawn.count(arm) for arm in ARMS]) / draws
    told = shares(THOMPSON, factor_of(chosen, rewards), ALL)
    # four standard errors of a share, plus the 1e-4 of the integral
    assert (np.abs(played - told) <= 4 * np.sqrt(told * (1 - told) / draws) + 1e-4).all()


def test_ucb1_takes_the_arm_that_mabwiser_takes():
    for seed in range(8):
        chosen, rewards = history(60, seed)
        bandit = library(LearningPolicy.UCB1(alpha=1.0), chosen, rewards)
        told = shares(UCB1, factor_of(chosen, rewards), ALL)
        assert ARMS[told.argmax()] == bandit.predict()
        assert told.max() == 1.0


def test_ucb1_tries_an_arm_that_nobody_tried_where_mabwiser_never_starts_it():
    chosen, rewards = history()
    assert shares(UCB1, factor_of(chosen, rewards), np.ones(4, bool))[3] == 1.0


def test_epsilon_greedy_takes_the_highest_mean_and_any_arm_with_probability_epsilon():
    chosen, rewards = history()
    bandit = library(LearningPolicy.EpsilonGreedy(epsilon=0.0), chosen, rewards)
    told = shares(EPSILON_GREEDY, factor_of(chosen, rewards), ALL)
    assert ARMS[told.argmax()] == bandit.predict()
    assert told.max() == pytest.approx(1.0 - EPSILON + EPSILON / 3)
    assert told[3] == 0.0


@pytest.mark.parametrize("policy", [THOMPSON, UCB1, EPSILON_GREEDY])
def test_a_baseline_s_choices_carry_the_probability_they_were_drawn_with(policy):
    factor = factor_of(*history(80))
    state = PolicyState({"channel": factor}, policy=policy, floor=0.0)
    rng = np.random.default_rng(3)
    n = 4000
    contexts = np.column_stack([np.ones(n), rng.random((n, D - 1))])
    mask = np.repeat(np.array([[True, True, False, True], [True] * 4]), n // 2, axis=0)
    keys = np.arange(n, dtype=np.uint64)
    choice = choose(state, "channel", contexts, mask, uniforms(keys, 1, "channel"))
    told = probabilities(state, "channel", contexts, mask, share=0.0)
    np.testing.assert_allclose(told.sum(axis=1), 1.0, atol=1e-9)
    assert (told[: n // 2, 2] == 0.0).all()
    np.testing.assert_array_equal(choice.policy, told[np.arange(n), choice.index])
    one = choose(state, "channel", contexts[7:8], mask[7:8], uniforms(keys[7:8], 1, "channel"))
    assert (one.index[0], one.policy[0]) == (choice.index[7], choice.policy[7])


def test_a_baseline_s_state_is_stored_and_read_back():
    state = PolicyState({"channel": factor_of(*history())}, policy=THOMPSON)
    assert load_state(dump_state(state)).digest == state.digest
