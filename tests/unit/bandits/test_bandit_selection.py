"""Choosing: exact probabilities, masks, and the same bits in every batch."""

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from bandits.context import CONTEXT_FEATURES, context_matrix
from bandits.draw import keys_of, uniforms
from bandits.factor import FactorState, untrained
from bandits.quadrature import probability_best
from bandits.sampled import drawn_arms
from bandits.selection import (
    VARIANT_PREFIX,
    choose,
    conditional_probability,
    explored,
    joint_probability,
    marginal_probability,
    probabilities,
    score_scale,
)
from bandits.state import LIN_GREEDY, LIN_TS, LIN_UCB, PolicyState, initial_state
from engine.errors import StateUnusable

D = len(CONTEXT_FEATURES)


def contexts(n, seed=0):
    rng = np.random.default_rng(seed)
    return context_matrix(rng.random(n), rng.random(n), 500 * rng.random(n))


def trained(arms, seed, rows_per_arm):
    """A factor whose arms have seen between 0 and `rows_per_arm` rewards each."""
    rng = np.random.default_rng(seed)
    fresh = untrained(arms, D)
    precision, xty = fresh.precision.copy(), fresh.xty.copy()
    for k in range(len(arms)):
        x = contexts(int(rng.integers(0, rows_per_arm + 1)), seed + k)
        y = (rng.random(len(x)) < 0.05 + 0.05 * k).astype(float)
        precision[k] += x.T @ x
        xty[k] += x.T @ y
    return FactorState(fresh.arms, precision, xty, fresh.observations, fresh.reward_sum)


def state_of(seed=1, rows_per_arm=300, floor=0.05):
    return PolicyState(
        factors={
            "channel": trained(("email", "sms", "call_task"), seed, rows_per_arm),
            "slot": trained(tuple(f"slot{i}" for i in range(8)), seed + 50, rows_per_arm),
            "variant:recall": trained(("friendly", "brief"), seed + 90, rows_per_arm),
            "variant:rescue": trained(("friendly", "brief"), seed + 95, rows_per_arm),
        },
        floor=floor,
        policy=LIN_TS,
    )


def choose_all(state, x, allowed, keys, seed):
    """Each factor on its own, by name."""
    return {
        name: choose(state, name, x, mask, uniforms(keys, seed, name))
        for name, mask in allowed.items()
    }


def everything_allowed(state, n):
    return {name: np.ones((n, len(f.arms)), bool) for name, f in state.factors.items()}


def keys(n):
    return np.arange(n, dtype=np.uint64) * np.uint64(7919)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0, 3, 40, 3000]), st.integers(0, 999))
def test_a_decision_alone_has_the_same_bits_as_in_a_batch_of_a_thousand(seed, rows_per_arm, at):
    state = state_of(seed, rows_per_arm)
    x = contexts(1000, seed)
    rng = np.random.default_rng(seed)
    allowed = {name: rng.random((1000, len(f.arms))) < 0.7 for name, f in state.factors.items()}
    many = choose_all(state, x, allowed, keys(1000), seed)
    one = choose_all(
        state,
        x[at : at + 1],
        {name: mask[at : at + 1] for name, mask in allowed.items()},
        keys(1000)[at : at + 1],
        seed,
    )
    for name, choice in one.items():
        assert choice.index[0] == many[name].index[at]
        assert choice.policy.tobytes() == many[name].policy[at].tobytes()
        assert choice.even.tobytes() == many[name].even[at].tobytes()


def test_every_single_decision_of_a_batch_can_be_drawn_again_alone():
    state = state_of(rows_per_arm=2000)
    x, n = contexts(100, 3), 100
    many = choose_all(state, x, everything_allowed(state, n), keys(n), 11)
    for at in range(n):
        row = slice(at, at + 1)
        one = choose_all(state, x[row], everything_allowed(state, 1), keys(n)[row], 11)
        for name, choice in one.items():
            assert choice.index[0] == many[name].index[at]
            assert choice.policy[0] == many[name].policy[at]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0, 5, 5000]))
def test_probabilities_sum_to_one_and_a_masked_arm_has_none(seed, rows_per_arm):
    state = state_of(seed, rows_per_arm)
    rng = np.random.default_rng(seed)
    mask = rng.random((200, 8)) < 0.5
    p = probabilities(state, "slot", contexts(200, seed), mask)
    assert (p[~mask] == 0.0).all()
    some = mask.any(axis=1)
    np.testing.assert_allclose(p[some].sum(axis=1), 1.0, atol=1e-11)
    assert (p[~some] == 0.0).all()
    # Floor 0.05 over at most 8 arms.
    assert p[mask].min() >= 0.05 / 8 - 1e-12


@pytest.mark.parametrize("narrow", [1.0, 0.2, 0.03, 0.005])
def test_probability_of_being_best_agrees_with_drawing_scores(narrow):
    # One arm known `1/narrow` times better than the others: a new variant beside old ones.
    rng = np.random.default_rng(4)
    mean = np.array([0.10, 0.05, 0.0, 0.12])
    spread = np.array([0.3, 0.3 * narrow, 0.3, 0.3 * narrow])
    allowed = np.array([True, True, False, True])
    p = probability_best(mean[:, None], spread[:, None], allowed[:, None])[:, 0]
    draws = 200_000
    scores = mean + spread * rng.standard_normal((draws, 4))
    scores[:, ~allowed] = -np.inf
    share = np.bincount(scores.argmax(axis=1), minlength=4) / draws
    # Four standard errors of a share, plus the 1e-3 the quadrature claims.
    tolerance = 4 * np.sqrt(share * (1 - share) / draws) + 1e-3
    assert (np.abs(p - share) <= tolerance).all()
    assert p[2] == 0.0


@pytest.mark.parametrize("width", [1.5, 4.0, 60.0])
def test_unrounded_probabilities_do_not_depend_on_the_rows_beside(width):
    # Rounding to 12 decimals would hide most differences between batches, not all of them.
    rng = np.random.default_rng(9)
    mean, spread = rng.normal(size=(8, 500)) * 0.1, 0.3 / width ** rng.random((8, 500))
    allowed = rng.random((8, 500)) < 0.8
    many = probability_best(mean, spread, allowed)
    for at in range(0, 500, 5):
        row = slice(at, at + 1)
        one = probability_best(mean[:, row], spread[:, row], allowed[:, row])
        assert one[:, 0].tobytes() == many[:, at].tobytes()


def test_two_arms_agree_with_the_closed_form():
    # P(a > b) = Phi((ma - mb) / sqrt(sa^2 + sb^2)); 0.1 / hypot(0.3, 0.4) = 0.2: Phi = 0.5792597
    p = probability_best(np.array([[0.3], [0.2]]), np.array([[0.3], [0.4]]), np.ones((2, 1), bool))
    assert p[0, 0] == pytest.approx(0.5792597, abs=1e-5)


def test_arms_are_drawn_as_often_as_the_logged_probability_says():
    state = state_of(rows_per_arm=100)
    n = 40_000
    x = np.repeat(contexts(1), n, axis=0)
    choice = choose(state, "channel", x, np.ones((n, 3), bool), uniforms(keys(n), 3, "channel"))
    p = probabilities(state, "channel", x[:1], np.ones((1, 3), bool), share=0.0)[0]
    share = np.bincount(choice.index, minlength=3) / n
    assert (np.abs(share - p) <= 4 * np.sqrt(p * (1 - p) / n)).all()
    np.testing.assert_array_equal(choice.policy, p[choice.index])


def test_one_allowed_arm_is_certain_and_none_allowed_chooses_nothing():
    state = state_of()
    mask = np.array([[False, True, False], [False, False, False], [True, True, False]])
    choice = choose(state, "channel", contexts(3), mask, uniforms(keys(3), 1, "channel"))
    assert choice.names()[:2] == ["sms", None]
    assert choice.index[1] == -1
    assert choice.policy[:2].tolist() == [1.0, 1.0]
    assert choice.even.tolist() == [1.0, 1.0, 0.5]
    assert choice.index[2] in (0, 1)


def treated(state, x, n, seed):
    """Channel and slot, one of them drawn evenly in a share `floor` of decisions."""
    which = explored(keys(n), seed, state.floor, 2)
    return [
        choose(
            state, name, x, np.ones((n, len(state.factors[name].arms)), bool),
            uniforms(keys(n), seed, name), which == number,
        )
        for number, name in enumerate(("channel", "slot"))
    ]  # fmt: skip


def test_the_logged_probabilities_are_those_that_were_played_with_one_factor_explored_at_a_time():
    state = state_of(rows_per_arm=100, floor=0.3)
    n = 60_000
    x = np.repeat(contexts(1), n, axis=0)
    channel, slot = treated(state, x, n, 3)
    joint = joint_probability((channel, slot), state.floor)
    pair = channel.index * 8 + slot.index
    played = np.bincount(pair, minlength=24) / n
    told = np.zeros(24)
    told[pair] = joint
    # five standard errors for each of 24 shares
    assert (np.abs(played - told) <= 5 * np.sqrt(told * (1 - told) / n) + 1e-9).all()
    for choice, k in ((channel, 3), (slot, 8)):
        marginal = np.zeros(k)
        marginal[choice.index] = marginal_probability(choice, state.floor, 2)
        share = np.bincount(choice.index, minlength=k) / n
        assert (np.abs(share - marginal) <= 5 * np.sqrt(marginal / n) + 1e-9).all()
        # a floor of 0.3 spent on one factor of two: 0.15 over its arms
        assert marginal.min() >= 0.15 / k - 1e-12
    np.testing.assert_allclose(
        marginal_probability(channel, 0.3, 2) * conditional_probability(slot, channel, 0.3, 2),
        joint, rtol=1e-12,
    )  # fmt: skip


def test_without_a_floor_nothing_is_explored_and_the_policy_is_what_is_logged():
    state = state_of(floor=0.0)
    assert (explored(keys(1000), 5, 0.0, 3) == -1).all()
    channel, slot = treated(state, contexts(50), 50, 5)
    np.testing.assert_array_equal(
        joint_probability((channel, slot), 0.0), channel.policy * slot.policy
    )


def test_actions_mixed_in_one_batch_choose_among_their_own_variants():
    state = state_of()
    actions = np.array(["recall", "rescue", "recall", "call"])
    masks = {
        VARIANT_PREFIX + action: np.repeat((actions == action)[:, None], 2, axis=1)
        for action in ("recall", "rescue")
    }
    choices = choose_all(state, contexts(4), masks, keys(4), 1)
    recall, rescue = choices["variant:recall"], choices["variant:rescue"]
    assert (recall.index >= 0).tolist() == [True, False, True, False]
    assert (rescue.index >= 0).tolist() == [False, True, False, False]


@pytest.mark.parametrize("policy", [LIN_UCB, LIN_GREEDY])
def test_a_policy_without_chance_is_certain_of_its_highest_score(policy):
    state = PolicyState(state_of(rows_per_arm=500).factors, policy=policy, alpha=0.4, floor=0.1)
    x = contexts(40)
    p = probabilities(state, "slot", x, np.ones((40, 8), bool))
    factor = state.factors["slot"]
    score = x @ factor.beta.T
    if policy == LIN_UCB:
        score += 0.4 * np.sqrt(np.einsum("ni,kij,nj->nk", x, factor.covariance, x))
    np.testing.assert_array_equal(p.argmax(axis=1), score.argmax(axis=1))
    np.testing.assert_allclose(p.max(axis=1), 0.9 + 0.1 / 8, atol=1e-9)
    nothing_known = initial_state({"slot": ["a", "b"]}).factors
    alike = PolicyState(nothing_known, policy=policy)
    np.testing.assert_allclose(
        probabilities(alike, "slot", x, np.ones((40, 2), bool)), 0.5, atol=1e-12
    )


def test_an_unknown_feature_counts_as_zero():
    state = state_of()
    x = contexts(5)
    unknown, zero = x.copy(), x.copy()
    unknown[:, 1], zero[:, 1] = np.nan, 0.0
    mask = np.ones((5, 3), bool)
    np.testing.assert_array_equal(
        probabilities(state, "channel", unknown, mask), probabilities(state, "channel", zero, mask)
    )
    nothing_known = probabilities(state, "channel", np.full((1, D), np.nan), mask[:1])
    np.testing.assert_allclose(nothing_known, 1 / 3, atol=1e-9)


def test_a_new_policy_gives_every_arm_the_same_chance():
    state = initial_state({"channel": ["email", "sms", "call_task"]})
    p = probabilities(state, "channel", contexts(10), np.ones((10, 3), bool))
    np.testing.assert_allclose(p, 1 / 3, atol=1e-9)


def test_another_seed_or_key_or_factor_draws_anew():
    drawn = [
        uniforms(keys(1000), 1, "slot"),
        uniforms(keys(1000), 2, "slot"),
        uniforms(keys(1000), 1, "channel"),
        uniforms(keys(1000) + np.uint64(1), 1, "slot"),
    ]
    # Correlation of independent numbers: within 5 / sqrt(1000).
    off_diagonal = np.abs(np.corrcoef(drawn) - np.eye(4))
    assert off_diagonal.max() < 5 / np.sqrt(1000)


def test_the_draws_are_the_ones_decisions_were_logged_with():
    # Changing the generator would make every stored decision impossible to replay.
    ids = [UUID("00000000-0000-0000-0000-000000000001"), UUID(int=2**128 - 1)]
    assert keys_of(ids).tolist() == [1, 0]
    assert uniforms(keys_of(ids), 42, "channel").tolist() == PINNED


PINNED = [0.15227466640816878, 0.06561133520338236]


@pytest.mark.parametrize(
    ("columns", "factor", "arms"), [(3, "channel", 3), (4, "weekday", 3), (4, "channel", 2)]
)
def test_contexts_and_masks_that_do_not_fit_the_state_are_refused(columns, factor, arms):
    with pytest.raises(StateUnusable):
        choose(state_of(), factor, np.ones((2, columns)), np.ones((2, arms), bool), np.zeros(2))


@pytest.mark.parametrize("arms", [2, 4, 8, 10, 56])
@pytest.mark.parametrize("unlike", [1.0, 2.5, 5.0])
def test_probabilities_are_those_of_a_fine_integral(arms, unlike):
    rng = np.random.default_rng(arms)
    mean = rng.normal(size=(arms, 60)) * rng.choice([0.2, 1.0, 3.0], size=60)
    spread = unlike ** -rng.random((arms, 60))
    told = probability_best(mean, spread, np.ones((arms, 60), bool))
    t = np.linspace((mean - 8 * spread).max(axis=0), (mean + 8 * spread).max(axis=0), 1501)
    z = (t[None] - mean[:, None]) / spread[:, None]
    below = ndtr(z)
    areas = np.array(
        [
            (np.exp(-0.5 * z[k] ** 2) / spread[k] * np.delete(below, k, axis=0).prod(axis=0)).sum(0)
            for k in range(arms)
        ]
    )
    distance = np.abs(told - areas / areas.sum(axis=0)).sum(axis=0) / 2
    # what the module claims
    assert distance.max() < 2e-4
    assert distance.mean() < 4e-5


def test_scores_drawn_for_a_look_ahead_win_as_often_as_the_exact_probability_says():
    state = state_of(rows_per_arm=300)
    n = 60_000
    x = np.repeat(contexts(1), n, axis=0)
    mask = np.ones((n, 8), bool)
    mask[:, 3] = False
    slot = state.factors["slot"]
    drawn = drawn_arms(slot, x, keys(n), 5, score_scale(state, slot), mask)
    told = probabilities(state, "slot", x[:1], mask[:1], share=0.0)[0]
    played = np.bincount(drawn, minlength=8) / n
    # five standard errors for each of 8 shares, and what single precision and the integral leave
    assert (np.abs(played - told) <= 5 * np.sqrt(told * (1 - told) / n) + 3e-4).all()
    assert (drawn == drawn_arms(slot, x, keys(n), 5, score_scale(state, slot), mask)).all()
    alone = drawn_arms(slot, x[9:10], keys(n)[9:10], 5, score_scale(state, slot), mask[9:10])
    assert alone[0] == drawn[9]
