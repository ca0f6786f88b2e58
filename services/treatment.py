"""Lets the bandits choose the treatment that the core asks for."""

from dataclasses import dataclass

import numpy as np

from bandits.selection import VARIANT_PREFIX, Choices, choose
from bandits.state import PolicyState
from engine.actions import CHANNELS, ActionColumns
from engine.columns import Bools, Ints
from engine.slots import SLOT_NAMES
from engine.treatment import TreatmentRequest, Treatments


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
        first = choose(
            self.state,
            request.context,
            {
                "channel": self._arms("channel", CHANNELS, request.channels),
                "slot": self._arms("slot", SLOT_NAMES, request.slots),
            },
            request.keys,
            self.seed,
        )
        channel = self._positions(first, "channel", CHANNELS)
        variant = [""] * len(channel)
        variant_probability = np.ones(len(channel))
        for action in np.unique(request.action):
            rows = np.flatnonzero(request.action == action)
            name = VARIANT_PREFIX + self.actions.actions[action].id
            picked = choose(
                self.state,
                request.context[rows],
                {name: self._variants(int(action), channel[rows])},
                request.keys[rows],
                self.seed,
            ).factors[name]
            variant_probability[rows] = picked.probability
            for row, chosen in zip(rows, picked.names(), strict=True):
                variant[row] = chosen or ""
        return Treatments(
            channel=channel,
            slot=self._positions(first, "slot", SLOT_NAMES),
            variant=tuple(variant),
            channel_probability=first.factors["channel"].probability,
            slot_probability=first.factors["slot"].probability,
            variant_probability=variant_probability,
        )

    def _arms(self, factor: str, names: tuple[str, ...], allowed: Bools) -> Bools:
        """The mask in the order of the state's arms; an arm no longer offered is never allowed."""
        arms = self.state.factors[factor].arms
        mask = np.zeros((len(allowed), len(arms)), dtype=np.bool_)
        for position, name in enumerate(names):
            mask[:, arms.index(name)] = allowed[:, position]
        return mask

    def _positions(self, choices: Choices, factor: str, names: tuple[str, ...]) -> Ints:
        arms = self.state.factors[factor].arms
        place = np.array([names.index(a) if a in names else -1 for a in arms], dtype=np.int64)
        return place[choices.factors[factor].index]

    def _variants(self, action: int, channel: Ints) -> Bools:
        offered = self.actions.actions[action]
        arms = self.state.factors[VARIANT_PREFIX + offered.id].arms
        by_channel = np.array(
            [[arm in offered.variants.get(c, ()) for arm in arms] for c in CHANNELS],
            dtype=np.bool_,
        )
        return by_channel[channel]
