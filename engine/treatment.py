"""The treatment: channel × send slot × content variant, each with its selection probability."""

from dataclasses import dataclass
from typing import Protocol

from engine.columns import Bools, Floats, Ints, Keys


@dataclass(frozen=True, slots=True)
class TreatmentRequest:
    """What the treatment policy is asked; one row per winning candidate.

    Attributes:
        action: index into the actions, (w,).
        channels: allowed now, (w, channels).
        slots: allowed now, (w, slots).
        context: (w, d).
        keys: per decision, (w,).
    """

    action: Ints
    channels: Bools
    slots: Bools
    context: Floats
    keys: Keys


@dataclass(frozen=True, slots=True)
class Treatments:
    """What was chosen; one row per request.

    Attributes:
        channel, slot: positions in CHANNELS and SLOTS, (w,).
        variant: names, one per row.
        channel_probability, slot_probability, variant_probability: P(policy picks this arm |
            the arms allowed), in (0, 1], (w,).
    """

    channel: Ints
    slot: Ints
    variant: tuple[str, ...]
    channel_probability: Floats
    slot_probability: Floats
    variant_probability: Floats

    @property
    def selection_probability(self) -> Floats:
        """P(policy picks this treatment), (w,)."""
        return self.channel_probability * self.slot_probability * self.variant_probability


class TreatmentPolicy(Protocol):
    """Chooses treatments; the same request gives the same choice, row by row."""

    def __call__(self, request: TreatmentRequest) -> Treatments:
        """Return one treatment per row of the request."""
        ...
