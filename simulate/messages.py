"""Messages as the simulated people get them, and what comes of each."""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from engine.columns import Bools, Ints


class About(IntEnum):
    """What a message asks for."""

    VISIT = 0  # to book a visit that is due
    RENEWAL = 1  # to renew a contract
    CARE = 2  # nothing: how are you, we are sorry, thank you
    NEWS = 3  # a newsletter or an offer to everybody
    REMINDER = 4  # not to forget an appointment


@dataclass(frozen=True)
class Messages:
    """One row per message of one day, (m,) each.

    Attributes:
        contact: position of the person.
        about: one of About.
        channel, slot: positions in CHANNELS and SLOTS.
        variant: position of the wording, 0 to VARIANTS - 1.
        marketing: needs consent to marketing.
        key: the sender's own number for it.
    """

    contact: Ints
    about: Ints
    channel: Ints
    slot: Ints
    variant: Ints
    marketing: Bools
    key: Ints

    def __len__(self) -> int:
        return len(self.contact)

    def of(self, rows: Bools | Ints) -> "Messages":
        """The same of some rows."""
        return Messages(**{each.name: getattr(self, each.name)[rows] for each in fields(self)})


def messages_to(
    contact: Ints, *, about: int, channel: int, slot: int, variant: int = 0, marketing: bool = False
) -> Messages:
    """Return the same message to each of these people: a bulk send."""
    m = len(contact)

    def filled(value: int) -> Ints:
        return np.full(m, value, dtype=np.int64)

    return Messages(
        contact=np.asarray(contact, dtype=np.int64),
        about=filled(about),
        channel=filled(channel),
        slot=filled(slot),
        variant=filled(variant),
        marketing=np.full(m, marketing, dtype=np.bool_),
        key=filled(-1),
    )


def joined(parts: list[Messages]) -> Messages:
    """Return all of them as one."""
    if not parts:
        return NOTHING
    return Messages(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Messages)}
    )


NOTHING = messages_to(np.zeros(0, dtype=np.int64), about=0, channel=0, slot=0)


@dataclass(frozen=True)
class Answers:
    """What came of the messages of a day that were delivered; true, (d,) each.

    Attributes:
        messages: those delivered; who has left or revoked gets nothing.
        relevant: it concerned the person when it came.
        read: by the person.
        opened: as the sender sees it: reads of e-mail, and machines.
        machine: the open was no person's.
        clicked, replied: by the person.
        booked, soothed: it made the person book, or forgive.
        opted_out, complained: it was one too many.
    """

    messages: Messages
    relevant: Bools
    read: Bools
    opened: Bools
    machine: Bools
    clicked: Bools
    replied: Bools
    booked: Bools
    soothed: Bools
    opted_out: Bools
    complained: Bools
