"""Lets the bandits choose the treatment that the core asks for."""

from dataclasses import dataclass

import numpy as np

from bandits.draw import uniforms
from bandits.selection import (
    VARIANT_PREFIX,
    FactorChoice,
    choose,
    conditional_probability,
    explored,
    joint_probability,
    marginal_probability,
)
from bandits.state import PolicyState
from engine.actions import CHANNELS, ActionColumns
from engine.columns import Bools, Ints
from engine.slots import SLOT_NAMES
from engine.treatment import TreatmentRequest, Treatments

_FACTORS = 3  # channel, slot, variant: exploration is spent on one of them at a time


@dataclass(frozen=True, slots=True)
class BanditTreatment:
    """A treatment policy: channel, then slot, then a variant that the channel has.

    Attributes:
        state: with an arm for everything that may be chosen (`actions.arms_known`).
        seed: salts the draws.
    """

    state: PolicyState
    actions: ActionColumns
    seed: int

    def __call__(self, request: TreatmentRequest) -> Treatments:
        """Return one treatment per row; see `engine.treatment.TreatmentPolicy`."""
        state, seed = self.state, self.seed
        explore = explored(request.keys, seed, state.floor, _FACTORS)
        channels = self._arms("channel", CHANNELS, request.channels)
        slots = self._arms("slot", SLOT_NAMES, request.slots)
        first = choose(
            state, "channel", request.context, channels,
            uniforms(request.keys, seed, "channel"), explore == 0,
        )  # fmt: skip
        second = choose(
            state, "slot", request.context, slots,
            uniforms(request.keys, seed, "slot"), explore == 1,
        )  # fmt: skip
        channel = self._positions(first, "channel", CHANNELS)
        variant, third = self._variant(request, channel, explore == 2)
        return Treatments(
            channel=channel,
            slot=self._positions(second, "slot", SLOT_NAMES),
            variant=variant,
            channel_probability=marginal_probability(first, state.floor, _FACTORS),
            slot_probability=marginal_probability(second, state.floor, _FACTORS),
            variant_probability=conditional_probability(third, first, state.floor, _FACTORS),
            selection_probability=joint_probability((first, second, third), state.floor),
        )

    def _variant(
        self, request: TreatmentRequest, channel: Ints, evenly: Bools
    ) -> tuple[tuple[str, ...], FactorChoice]:
        """Each row's variant, and the choices of all actions as those of one factor."""
        names = [""] * len(channel)
        index = np.full(len(channel), -1)
        policy, even = np.ones(len(channel)), np.ones(len(channel))
        for action in np.unique(request.action):
            rows = np.flatnonzero(request.action == action)
            name = VARIANT_PREFIX + self.actions.actions[action].id
            picked = choose(
                self.state,
                name,
                request.context[rows],
                self._variants(int(action), channel[rows]),
                uniforms(request.keys[rows], self.seed, name),
                evenly[rows],
            )
            index[rows], policy[rows], even[rows] = picked.index, picked.policy, picked.even
            for row, chosen in zip(rows, picked.names(), strict=True):
                names[row] = chosen or ""
        return tuple(names), FactorChoice((), index, policy, even)

    def _arms(self, factor: str, names: tuple[str, ...], allowed: Bools) -> Bools:
        """The mask in the order of the state's arms; an arm no longer offered is never allowed."""
        arms = self.state.factors[factor].arms
        mask = np.zeros((len(allowed), len(arms)), dtype=np.bool_)
        for position, name in enumerate(names):
            mask[:, arms.index(name)] = allowed[:, position]
        return mask

    def _positions(self, choice: FactorChoice, factor: str, names: tuple[str, ...]) -> Ints:
        arms = self.state.factors[factor].arms
        place = np.array([names.index(a) if a in names else -1 for a in arms], dtype=np.int64)
        return place[choice.index]

    def _variants(self, action: int, channel: Ints) -> Bools:
        offered = self.actions.actions[action]
        arms = self.state.factors[VARIANT_PREFIX + offered.id].arms
        by_channel = np.array(
            [[arm in offered.variants.get(c, ()) for arm in arms] for c in CHANNELS],
            dtype=np.bool_,
        )
        return by_channel[channel]
