"""Values as ranks among the constants of the rules: what durable_rules is told of a contact."""

import operator
from bisect import bisect_left
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import cast

from engine.features.spec import Scalar
from rules.trees import Leaf, LeafType

UNKNOWN = -1
_HOLDS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Ranks:
    """A feature's values as small integers, which enter the engine as field `name`.

    An integer gives the same answer to every comparison with the constants as the value does.

    Ranks of numbers: 2 * i + 1 for the i-th constant, 2 * i for what lies just below it. Ranks
    of texts and flags: the constant's position, 0 for any other value.
    """

    name: str
    feature: str
    type: LeafType
    constants: tuple[Scalar, ...]

    @property
    def all(self) -> range:
        """Every rank that a known value may have."""
        return range((2 if self.type == "number" else 1) * len(self.constants) + 1)

    def of(self, value: Scalar) -> int:
        """The rank; -1 for an unknown value."""
        if isinstance(value, bool):
            return self._position(value) if self.type == "flag" else UNKNOWN
        if isinstance(value, str):
            return self._position(value) if self.type == "text" else UNKNOWN
        if self.type != "number" or value is None or value != value:  # noqa: PLR0124 - NaN
            return UNKNOWN
        constants = self.constants
        position = bisect_left(constants, value)  # type: ignore[type-var] # all numbers
        if position < len(constants) and constants[position] == value:
            return 2 * position + 1
        return 2 * position

    def holds(self, leaf: Leaf, rank: int) -> bool:
        """Whether a leaf on this feature holds at a rank."""
        if rank == UNKNOWN or leaf.op in {"missing", "present"}:
            return leaf.op == ("missing" if rank == UNKNOWN else "present")
        return _HOLDS[leaf.op](rank, self.of(cast("Scalar", leaf.value)))

    def share(self, leaf: Leaf) -> float:
        """Of how many of the known ranks a leaf holds: what is rare is asked first."""
        if leaf.op == "missing":
            return 1.0
        return sum(self.holds(leaf, rank) for rank in self.all) / len(self.all)

    def part(self, rank: int, compared: Collection[Leaf]) -> str:
        """Its part of a fact for rules with these leaves.

        A value that answers all of them as an unknown one does is left out: the engine then
        passes over every condition on it.
        """
        if all(self.holds(leaf, rank) == self.holds(leaf, UNKNOWN) for leaf in compared):
            return ""
        return f',"{self.name}":{rank}'

    def _position(self, value: Scalar) -> int:
        return self.constants.index(value) + 1 if value in self.constants else 0
