"""Stored state: lossless, versioned, refused when damaged."""

import copy
import json

import numpy as np
import pytest

from bandits.effect import effect
from bandits.factor import FactorState
from bandits.hierarchy import Spreads
from bandits.rewards import REWARD_LADDER, reward_of
from bandits.state import ActionCount, PolicyState, dump_state, initial_state, load_state, with_arms
from engine.errors import InvalidInput, StateUnusable


def learned_state():
    rng = np.random.default_rng(3)
    x = rng.random((40, 4)) / 3
    fresh = initial_state({"channel": ["email", "sms"], "slot": ["mon_am"]})
    channel = fresh.factors["channel"]
    return PolicyState(
        factors={
            **fresh.factors,
            "channel": FactorState(
                channel.arms,
                channel.precision + np.stack([x.T @ x, x[:7].T @ x[:7]]),
                rng.normal(size=(2, 4)) * 1e-7,
                np.array([40, 7]),
                np.array([0.1 + 0.2, 1 / 3]),
                Spreads((0.03, 0.0, 0.01, 0.0), 0.1),
                np.array([0.01, -1 / 3]),
            ),
        },
        actions={"recall": ActionCount(47, 9)},
        floor=0.1,
    )


def test_a_state_survives_storage_to_the_bit():
    state = learned_state()
    back = load_state(json.loads(json.dumps(dump_state(state))))
    for name, factor in state.factors.items():
        other = back.factors[name]
        assert other.arms == factor.arms
        for key in ("precision", "xty", "observations", "reward_sum", "beta", "covariance"):
            assert getattr(other, key).tobytes() == getattr(factor, key).tobytes()
    assert back.actions == state.actions
    assert (back.alpha, back.floor, back.digest) == (state.alpha, state.floor, state.digest)


def test_a_state_of_the_first_version_is_read_as_the_policy_it_was():
    new = dump_state(learned_state())
    old = {
        "format": new["format"], "version": 1, "features": new["features"], "alpha": 0.3,
        "floor": 0.1, "actions": new["actions"],
        "factors": {
            name: [{k: v for k, v in arm.items() if k != "borrowed"} for arm in factor["arms"]]
            for name, factor in new["factors"].items()
        },
    }  # fmt: skip
    state = load_state(json.loads(json.dumps(old)))
    assert (state.policy, state.noise, state.as_of_day) == ("lints", 1.0, 0)
    channel = state.factors["channel"]
    assert channel.spreads is None
    np.testing.assert_allclose(
        channel.covariance, np.linalg.inv(learned_state().factors["channel"].precision), rtol=1e-9
    )
    assert load_state(dump_state(state)).digest == state.digest


def test_the_digest_changes_with_the_last_bit():
    state, other = learned_state(), learned_state()
    document = dump_state(other)
    xty = document["factors"]["channel"]["arms"][0]["xty"]
    xty[0] = np.nextafter(xty[0], 1.0).item()
    assert load_state(document).digest != state.digest


def test_new_arms_join_without_losing_what_the_others_learned():
    state = learned_state()
    more = with_arms(with_arms(state, "channel", ["sms", "letter"]), "variant:recall", ["brief"])
    assert more.factors["channel"].arms == ("email", "sms", "letter")
    assert more.factors["variant:recall"].arms == ("brief",)
    np.testing.assert_array_equal(
        more.factors["channel"].precision[:2], state.factors["channel"].precision
    )
    np.testing.assert_array_equal(more.factors["channel"].precision[2], np.eye(4))
    assert state.factors["channel"].arms == ("email", "sms")


def test_an_arm_nobody_tried_has_the_inverse_of_its_own_matrix():
    factor = initial_state({"slot": ["a"]}).factors["slot"]
    wide = FactorState(
        factor.arms, 4.0 * factor.precision, factor.xty, factor.observations, factor.reward_sum
    )
    np.testing.assert_array_equal(wide.covariance[0], 0.25 * np.eye(4))


def _broken(change):
    document = copy.deepcopy(dump_state(learned_state()))
    change(document)
    return document


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(version=3),
        lambda d: d.update(version=None),
        lambda d: d.update(format="something"),
        lambda d: d.update(features=["bias", "age", "response_rate_365d", "recency"]),
        lambda d: d.update(alpha=0.0),
        lambda d: d.update(alpha=float("nan")),
        lambda d: d.update(floor=1.5),
        lambda d: d.update(policy="best"),
        lambda d: d.update(noise=0.0),
        lambda d: d.update(discount=1.1),
        lambda d: d.update(as_of_day=-1),
        lambda d: d["factors"]["channel"].update(spreads=[0.1]),
        lambda d: d["factors"]["channel"].update(spreads=[0.1, 0.0, 0.0, -1.0]),
        lambda d: d["factors"]["channel"].update(noise_variance=0.0),
        lambda d: d["factors"]["channel"]["arms"][1].update(borrowed=float("nan")),
        lambda d: d.pop("factors"),
        lambda d: d.update(factors=[]),
        lambda d: d["factors"]["channel"]["arms"][0].pop("A"),
        lambda d: d["factors"]["channel"]["arms"][0].update(A=[[1.0]]),
        lambda d: d["factors"]["channel"]["arms"][0].update(xty=[0.0, 0.0, 0.0]),
        lambda d: d["factors"]["channel"]["arms"][0].update(xty=[0.0, 0.0, 0.0, float("inf")]),
        lambda d: d["factors"]["channel"]["arms"][0].update(xty="abcd"),
        lambda d: d["factors"]["channel"]["arms"][0].update(A=(-np.eye(4)).tolist()),
        lambda d: d["factors"]["channel"]["arms"][0]["A"][0].__setitem__(1, 9.0),
        lambda d: d["factors"]["channel"]["arms"][0].update(observations=-1),
        lambda d: d["factors"]["channel"]["arms"][0].update(observations=1.5),
        lambda d: d["factors"]["channel"]["arms"][1].update(arm="email"),
        lambda d: d["actions"]["recall"].update(succeeded=48),
        lambda d: d["actions"].update(recall=3),
    ],
)
def test_a_damaged_or_unknown_state_is_refused(change):
    with pytest.raises(StateUnusable) as refused:
        load_state(_broken(change))
    assert refused.value.hint


@pytest.mark.parametrize("document", [None, [], "text", 3, {}])
def test_what_is_no_state_at_all_is_refused(document):
    with pytest.raises(StateUnusable):
        load_state(document)


def test_a_loaded_state_cannot_be_changed_in_place():
    state = load_state(dump_state(learned_state()))
    with pytest.raises(ValueError, match="read-only"):
        state.factors["channel"].xty[0, 0] = 1.0
    with pytest.raises(TypeError):
        state.factors["channel"] = state.factors["slot"]


def test_without_data_the_effect_is_the_prior_difference():
    mean, low, high = effect(0.2, 0.1, 50.0, 0, 0)
    assert mean == pytest.approx(0.1)
    # Beta(10, 40): 95 % interval 0.1024 to 0.3204 (tables of the beta distribution).
    assert (low + 0.1, high + 0.1) == pytest.approx((0.1024, 0.3204), abs=5e-4)


def test_many_outcomes_outweigh_the_prior_and_narrow_the_interval():
    mean, low, high = effect(0.2, 0.1, 50.0, 10_000, 1_000)
    assert mean == pytest.approx((10 + 1000) / 10_050 - 0.1)
    # About 2 * 1.96 * sqrt(0.1 * 0.9 / 10050) = 0.0117.
    assert high - low == pytest.approx(0.0117, abs=2e-4)


@pytest.mark.parametrize(
    "arguments", [(0.0, 0.1, 50, 0, 0), (1.0, 0.1, 50, 0, 0), (0.2, 0.1, 0, 0, 0),
                  (0.2, 1.1, 50, 0, 0), (0.2, 0.1, 50, 3, 4), (0.2, 0.1, 50, -1, -1)],
)  # fmt: skip
def test_impossible_priors_and_counts_are_refused(arguments):
    with pytest.raises(InvalidInput):
        effect(*arguments)


def test_the_highest_step_reached_is_the_reward():
    assert reward_of(["opened", "goal", "clicked"]) == 1.0
    assert reward_of(["opened_by_machine", "delivered"]) == 0.0
    assert list(REWARD_LADDER.values()) == sorted(REWARD_LADDER.values())
