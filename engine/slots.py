"""Send slots: parts of the day in the contact's own wall-clock time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of the day, [start, end), minutes after local midnight."""

    name: str
    start: int
    end: int


SLOTS = (
    Slot("morning", 8 * 60, 12 * 60),
    Slot("midday", 12 * 60, 15 * 60),
    Slot("afternoon", 15 * 60, 18 * 60),
    Slot("evening", 18 * 60, 21 * 60),
)
SLOT_NAMES = tuple(slot.name for slot in SLOTS)
