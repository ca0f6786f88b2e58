"""Judging a policy by a log: right where the log can tell, silent where it can't."""

import numpy as np
import pytest

from bandits.off_policy import (
    ANSWERS,
    SILENT,
    THIN,
    Log,
    cross_fitted,
    difference,
    evaluate,
    folds_of,
    interval,
    minus_logged,
)
from bandits.proposed import proposed
from benchmarks.coverage import ARMS, covered, simulated
from engine.errors import InvalidInput


def test_intervals_of_simulated_logs_cover_the_truth_about_as_often_as_they_say():
    # 300 logs: the standard error of 95 % is 1.3 points; four of them below and above
    shares = covered(logs=300, rows=1500, seed=1)
    for name, share in shares.items():
        assert 0.90 <= share <= 0.99, name


def test_the_logging_policy_is_worth_what_it_earned_and_its_weights_are_one():
    log, x, logging, _ = simulated(3000, seed=2)
    found = evaluate(log, logging, cross_fitted(x, log, np.arange(x.shape[1])))
    assert found.snips.value == pytest.approx(log.rewards.mean(), abs=1e-12)
    assert found.mean_weight == pytest.approx(1.0)
    assert found.effective_sample == pytest.approx(3000)
    assert found.verdict == ANSWERS
    minus = minus_logged(log, logging)
    assert minus.low <= 0.0 <= minus.high


def test_a_paired_difference_is_tighter_than_two_values_apart():
    log, _, logging, best = simulated(4000, seed=3)
    nearly = 0.9 * best + 0.1 * logging
    paired = difference(log, nearly, best)
    assert paired.half_width < 0.5 * evaluate(log, best).dr.half_width
    assert difference(log, best, best).half_width == 0.0


def test_arms_the_log_never_took_are_not_judged():
    log, _, _, _ = simulated(2000, seed=4)
    wider = Log(log.actions, log.rewards, log.probability, ARMS + 1)
    fixed = np.broadcast_to(np.eye(ARMS + 1)[ARMS], (2000, ARMS + 1))
    found = evaluate(wider, fixed)
    assert found.verdict == SILENT
    assert found.missing == 1.0
    assert "never took" in found.reasons[0]


def test_a_log_without_a_floor_is_told_to_be_thin_or_to_have_no_answer():
    rng = np.random.default_rng(5)
    n = 5000
    rare = 0.001
    actions = (rng.random(n) < rare).astype(np.int64)
    rewards = (rng.random(n) < 0.1).astype(float)
    log = Log(actions, rewards, np.where(actions == 1, rare, 1 - rare), 2)
    found = evaluate(log, np.full((n, 2), 0.5))
    assert found.verdict == SILENT
    assert any("worth" in reason for reason in found.reasons)
    often = (rng.random(n) < 0.03).astype(np.int64)
    log = Log(often, rewards, np.where(often == 1, 0.03, 0.97), 2)
    assert evaluate(log, np.broadcast_to([0.0, 1.0], (n, 2))).verdict == THIN


def test_probabilities_that_were_not_played_are_found_out():
    log, _, _, best = simulated(5000, seed=6)
    wrong = Log(log.actions, log.rewards, np.minimum(log.probability * 1.4, 1.0), ARMS)
    found = evaluate(wrong, best)
    assert found.verdict == SILENT
    assert any("not those that were played" in reason for reason in found.reasons)
    assert evaluate(log, best).verdict == ANSWERS


def test_rows_of_one_contact_stand_or_fall_together():
    rng = np.random.default_rng(7)
    own = np.repeat(rng.normal(size=200), 10)
    contacts = np.repeat(np.arange(200), 10)
    # ten rows a contact that are all alike are one row: root of ten wider
    ratio = interval(own, contacts).half_width / interval(own).half_width
    assert ratio == pytest.approx(10**0.5, rel=0.02)
    folds = folds_of(2000, contacts, folds=5, seed=0)
    assert all(len(set(folds[contacts == c])) == 1 for c in range(200))


@pytest.mark.parametrize(
    ("probability", "rewards", "actions"),
    [([0.0, 0.5], [0, 1], [0, 1]), ([0.5, 1.5], [0, 1], [0, 1]), ([0.5, np.nan], [0, 1], [0, 1]),
     ([0.5, 0.5], [0, np.inf], [0, 1]), ([0.5, 0.5], [0, 1], [0, 2]), ([0.5], [0, 1], [0, 1])],
)  # fmt: skip
def test_a_log_that_cannot_be_is_refused(probability, rewards, actions):
    with pytest.raises(InvalidInput):
        Log(np.array(actions), np.array(rewards, dtype=float), np.array(probability), 2)


def test_an_empty_log_and_a_policy_that_is_none_are_refused():
    nothing = Log(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), 2)
    with pytest.raises(InvalidInput):
        evaluate(nothing, np.zeros((0, 2)))
    log, _, _, _ = simulated(10, seed=1)
    for policy in (np.ones((10, ARMS)), np.zeros((10, 2))):
        with pytest.raises(InvalidInput):
            evaluate(log, policy)


def test_policies_are_proposed_among_what_was_allowed_only():
    log, x, _, _ = simulated(400, seed=8)
    allowed = np.ones((400, ARMS), dtype=bool)
    allowed[::2, 0] = log.actions[::2] == 0
    names = tuple(f"arm{k}" for k in range(ARMS))
    for policy in ("uniform", "fixed:arm0", "hierarchical", "lints", "linucb", "lingreedy"):
        shares = proposed(policy, log, names, x, allowed)
        np.testing.assert_allclose(shares.sum(axis=1), 1.0)
        assert (shares[~allowed] == 0.0).all()
    for policy in ("fixed:pigeon", "best"):
        with pytest.raises(InvalidInput):
            proposed(policy, log, names, x, allowed)
