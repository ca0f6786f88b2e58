"""Which nights of its spells a rule's cooldown lets through."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Unit = tuple[str, str | None]  # contact id, subject (None: the contact itself)


@dataclass(frozen=True, slots=True)
class Occasions:
    """Proposals over a span of nights.

    Attributes:
        proposals: contact, subject, night; in the order of contacts, subjects and nights.
        kept_back: contact, subject, first night of spells that lie in the cooldown as a whole.
    """

    proposals: Sequence[tuple[str, str | None, int]]
    kept_back: Sequence[tuple[str, str | None, int]]


def occasions(spells: Iterable[tuple[str, str | None, int, int]], cooldown_days: int) -> Occasions:
    """Propose on the first night of each spell, then again whenever the cooldown is over.

    `spells` are contact, subject, first night and the night after the last, sorted. Nights are a
    day apart; a rule without cooldown proposes every night. Each proposal is taken to have led to
    a contact.
    """
    rest = max(1, cooldown_days)
    proposals: list[tuple[str, str | None, int]] = []
    kept_back: list[tuple[str, str | None, int]] = []
    unit: Unit | None = None
    free = 0
    for contact, subject, first, until in spells:
        if (contact, subject) != unit:
            unit, free = (contact, subject), 0
        if free >= until:
            kept_back.append((contact, subject, first))
        for night in range(max(first, free), until, rest):
            proposals.append((contact, subject, night))
            free = night + rest
    return Occasions(proposals, kept_back)
