"""Bandits choose among what is allowed only, whatever arms their state knows."""

from dataclasses import replace

import numpy as np
import pytest

from bandits.selection import VARIANT_PREFIX
from bandits.state import with_arms
from engine.actions import CHANNELS
from engine.chance import contact_keys
from engine.slots import SLOT_NAMES
from engine.treatment import TreatmentRequest, Treatments
from services.treatment import BanditTreatment
from tests.factories.contacts import contact_id
from tests.factories.profiles import make_playbook

N = 600


@pytest.fixture(scope="module")
def playbook():
    return make_playbook(observations=200)


def request(playbook, seed: int = 1) -> TreatmentRequest:
    rng = np.random.default_rng(seed)
    action = rng.integers(len(playbook.actions.actions), size=N)
    channels = playbook.actions.channel[action] & (rng.random((N, len(CHANNELS))) < 0.6)
    channels[~channels.any(axis=1)] = playbook.actions.channel[action][~channels.any(axis=1)]
    slots = rng.random((N, len(SLOT_NAMES))) < 0.6
    slots[~slots.any(axis=1), 0] = True
    keys = contact_keys(contact_id(n) for n in range(N))
    return TreatmentRequest(action, channels, slots, rng.random((N, 4)), keys)


def choose(playbook, asked: TreatmentRequest) -> Treatments:
    return BanditTreatment(playbook.state, playbook.actions, playbook.seed)(asked)


def test_only_what_is_allowed_is_chosen_and_variants_are_the_channel_s_own(playbook):
    asked = request(playbook)
    chosen = choose(playbook, asked)
    rows = np.arange(N)
    assert asked.channels[rows, chosen.channel].all()
    assert asked.slots[rows, chosen.slot].all()
    for row in rows:
        action = playbook.actions.actions[asked.action[row]]
        assert chosen.variant[row] in action.variants[CHANNELS[chosen.channel[row]]]


def test_probabilities_lie_in_the_unit_interval_and_are_one_without_a_choice(playbook):
    asked = request(playbook)
    chosen = choose(playbook, asked)
    for part in (chosen.channel_probability, chosen.slot_probability, chosen.variant_probability):
        assert ((part > 0) & (part <= 1)).all()
    assert (chosen.channel_probability[asked.channels.sum(axis=1) == 1] == 1).all()
    assert (chosen.slot_probability[asked.slots.sum(axis=1) == 1] == 1).all()
    assert (chosen.channel_probability[asked.channels.sum(axis=1) > 1] < 1).all()
    # exploration is spent on one factor at a time: never more than each part, near their product
    parts = (chosen.channel_probability, chosen.slot_probability, chosen.variant_probability)
    assert (chosen.selection_probability <= np.min(parts, axis=0) + 1e-12).all()
    np.testing.assert_allclose(chosen.selection_probability, np.prod(parts, axis=0), atol=0.05)


def test_a_row_alone_is_treated_as_in_the_batch(playbook):
    asked = request(playbook)
    together = choose(playbook, asked)
    for row in range(0, N, 37):
        one = [row]
        alone = choose(
            playbook,
            TreatmentRequest(
                asked.action[one], asked.channels[one], asked.slots[one], asked.context[one],
                asked.keys[one],
            ),
        )  # fmt: skip
        assert alone.variant == (together.variant[row],)
        for name in ("channel", "slot", "selection_probability"):
            expected = getattr(together, name)[one]
            assert getattr(alone, name).tobytes() == expected.tobytes()


def test_arms_that_are_no_longer_offered_are_never_chosen(playbook):
    state = with_arms(with_arms(playbook.state, "channel", ["pigeon"]), "slot", ["night"])
    for action in playbook.actions.actions:
        state = with_arms(state, VARIANT_PREFIX + action.id, ["retired"])
    asked = request(playbook)
    chosen = choose(replace(playbook, state=state), asked)
    assert "retired" not in chosen.variant
    assert (chosen.channel >= 0).all()
    assert (chosen.slot >= 0).all()
    # two arms nobody offers change nothing for the others
    assert (chosen.channel == choose(playbook, asked).channel).all()


def test_another_seed_draws_other_treatments_with_the_same_probabilities(playbook):
    asked = request(playbook)
    one, other = choose(playbook, asked), choose(replace(playbook, seed=99), asked)
    assert not np.array_equal(one.slot, other.slot)
    same = (one.slot == other.slot) & (one.channel == other.channel)
    assert (one.slot_probability[same] == other.slot_probability[same]).all()


def test_no_request_no_treatment(playbook):
    nobody = TreatmentRequest(
        np.zeros(0, dtype=np.int64), np.zeros((0, len(CHANNELS)), dtype=np.bool_),
        np.zeros((0, len(SLOT_NAMES)), dtype=np.bool_), np.zeros((0, 4)),
        np.zeros(0, dtype=np.uint64),
    )  # fmt: skip
    chosen = choose(playbook, nobody)
    assert (len(chosen.channel), chosen.variant) == (0, ())
