"""The treatment: channel × send slot × content variant, each with its selection probability."""

from dataclasses import dataclass, fields
from typing import Protocol, TypeVar

import numpy as np

from engine.actions import CHANNELS, ActionColumns
from engine.chance import salt, uniform
from engine.columns import Bools, Floats, Ints, Keys

Column = TypeVar("Column", Ints, Floats)


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

    def only(self, rows: Ints) -> "TreatmentRequest":
        """Return the request for some of its rows."""
        return TreatmentRequest(*(getattr(self, each.name)[rows] for each in fields(self)))


@dataclass(frozen=True, slots=True)
class Treatments:
    """What was chosen; one row per request.

    Attributes:
        channel, slot: positions in CHANNELS and SLOTS, (w,).
        variant: names, one per row.
        channel_probability, slot_probability, variant_probability: P(policy picks this arm |
            the arms allowed), in (0, 1], (w,); a variant's given its channel.
        selection_probability: P(policy picks this treatment), (w,); not the product of the three
            where exploration is spent on one of them at a time.
    """

    channel: Ints
    slot: Ints
    variant: tuple[str, ...]
    channel_probability: Floats
    slot_probability: Floats
    variant_probability: Floats
    selection_probability: Floats


class TreatmentPolicy(Protocol):
    """Chooses treatments; the same request gives the same choice, row by row."""

    def __call__(self, request: TreatmentRequest) -> Treatments:
        """Return one treatment per row of the request."""
        ...


@dataclass(frozen=True, slots=True)
class Offered:
    """What a choice without learning goes by.

    Attributes:
        opens: when each slot opens, (w, slots).
    """

    actions: ActionColumns
    opens: Ints

    def only(self, rows: Ints) -> "Offered":
        """Return the same for some rows."""
        return Offered(self.actions, self.opens[rows])


def plain(request: TreatmentRequest, offered: Offered) -> Treatments:
    """Choose as a rule alone would: its first channel, the first slot to open, the first wording.

    Certain: the selection probability is 1.
    """
    wish = _channel_wishes(offered.actions)[request.action]
    channel = np.argmin(np.where(request.channels, wish, len(CHANNELS) + 1), axis=1)
    never = np.iinfo(np.int64).max
    slot = np.argmin(np.where(request.slots, offered.opens, never), axis=1)
    listed = _variants(request, offered, channel)
    sure = np.ones(len(channel))
    return Treatments(
        channel.astype(np.int64),
        slot.astype(np.int64),
        tuple(names[0] if names else "" for names in listed),
        sure,
        sure,
        sure,
        sure,
    )


def drawn_evenly(request: TreatmentRequest, offered: Offered) -> Treatments:
    """Draw among the allowed arms with equal chances."""
    channel, channel_chance = _drawn(request.channels, request.keys, "channel")
    slot, slot_chance = _drawn(request.slots, request.keys, "slot")
    listed = _variants(request, offered, channel)
    count = np.array([max(len(names), 1) for names in listed], dtype=np.int64)
    place = (uniform(request.keys, salt("even variant")) * count).astype(np.int64)
    return Treatments(
        channel,
        slot,
        tuple(names[n] if names else "" for names, n in zip(listed, place, strict=True)),
        channel_chance,
        slot_chance,
        1.0 / count,
        channel_chance * slot_chance / count,
    )


def merged(treatments: Treatments, rows: Ints, others: Treatments) -> Treatments:
    """Return the treatments with those of some rows replaced."""
    names = list(treatments.variant)
    for row, name in zip(rows, others.variant, strict=True):
        names[row] = name
    return Treatments(
        _replaced(treatments.channel, rows, others.channel),
        _replaced(treatments.slot, rows, others.slot),
        tuple(names),
        _replaced(treatments.channel_probability, rows, others.channel_probability),
        _replaced(treatments.slot_probability, rows, others.slot_probability),
        _replaced(treatments.variant_probability, rows, others.variant_probability),
        _replaced(treatments.selection_probability, rows, others.selection_probability),
    )


def _replaced(column: Column, rows: Ints, others: Column) -> Column:
    changed = column.copy()
    changed[rows] = others
    return changed


def _drawn(allowed: Bools, keys: Keys, word: str) -> tuple[Ints, Floats]:
    count = allowed.sum(axis=1)
    nth = (uniform(keys, salt("even", word)) * count).astype(np.int64)
    index = np.argmax(np.cumsum(allowed, axis=1) > nth[:, None], axis=1)
    return index.astype(np.int64), 1.0 / np.maximum(count, 1)


def _channel_wishes(actions: ActionColumns) -> Ints:
    """The place of each channel in its author's list; later than all where it is not there."""
    wishes = [
        [a.channels.index(c) if c in a.channels else len(CHANNELS) for c in CHANNELS]
        for a in actions.actions
    ]
    return np.array(wishes, dtype=np.int64).reshape(len(wishes), len(CHANNELS))


def _variants(request: TreatmentRequest, offered: Offered, channel: Ints) -> list[tuple[str, ...]]:
    listed = offered.actions.actions
    return [
        listed[action].variants.get(CHANNELS[n], ())
        for action, n in zip(request.action, channel, strict=True)
    ]
