"""Boxes: for each feature a set of values that are all alike to every condition in question.

Between two neighbouring constants of the rules nothing can tell two values apart. So the values of
a feature fall into a few classes (unknown, each constant, each gap), a set of values is a bit mask
over them, a conjunction of conditions is a box, and questions about meaning are questions about
masks. Whether a class satisfies a condition is asked of the judge, `reference.holds`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from engine.features.spec import Feature, Scalar
from rules.domains import Domain
from rules.reference import holds
from rules.trees import Leaf, LeafType

# Enough for any rule a person writes; a question that takes more is answered 'not proven'.
_MOST_STEPS = 4000


class TooManySteps(Exception):
    """The question was given up; caught where it is asked, never seen outside."""


Box = Mapping[int, int]
"""Mask by position of the axis; an axis that is not in it may have any value."""


class Axis(NamedTuple):
    """A feature as leaves of one type see it."""

    feature: Feature
    type: LeafType


@dataclass(frozen=True, slots=True)
class Test:
    """A condition on one axis."""

    axis: Axis
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class Implies:
    """Whatever satisfies the first satisfies the second."""

    first: Test
    second: Test


@dataclass(frozen=True, slots=True)
class Below:
    """The first axis never ranks above the second.

    Unknown ranks lowest; numbers rank by size, or, with `newest_first`, the smaller the higher.
    """

    first: Axis
    second: Axis
    newest_first: bool = False


Tie = Implies | Below


class _Force(NamedTuple):
    """Once none of `needed` is left on its axis, `other` keeps only what is in `left`."""

    needed: int
    other: int
    left: int


class Space:
    """The axes of some rules, their classes of values, and the ties between them.

    Attributes:
        full: for each axis the mask of all its values.
        groups: for each axis the number of its group; axes of two groups are not tied.
    """

    def __init__(
        self, domains: Mapping[Axis, Domain], leaves: Iterable[Test], ties: Sequence[Tie]
    ) -> None:
        self._axes = {axis: position for position, axis in enumerate(domains)}
        self._domains = list(domains.values())
        self._masks: dict[tuple[int, Leaf], int] = {}
        constants = self._constants(leaves, ties)
        orders = {self._axes[t.first]: t.newest_first for t in ties if isinstance(t, Below)}
        orders |= {self._axes[t.second]: t.newest_first for t in ties if isinstance(t, Below)}
        families = _united(len(self._axes), self._pairs(ties, Below))
        shared: dict[int, set[Scalar]] = {}
        for position, family in enumerate(families):
            shared.setdefault(family, set()).update(constants[position])
        self._classes = [
            _classes(self._domains[position], shared[family], orders.get(position, False))
            for position, family in enumerate(families)
        ]
        self.full = [
            sum(
                (1 << n for n, value in enumerate(classes) if not isinstance(value, _Nothing)),
                start=0,
            )
            for classes in self._classes
        ]
        self.groups = _united(len(self._axes), self._pairs(ties, Tie))
        self._forces: list[list[_Force]] = [[] for _ in self.full]
        self._above: list[list[int]] = [[] for _ in self.full]
        self._below: list[list[int]] = [[] for _ in self.full]
        for tie in ties:
            self._add(tie)

    def mask(self, axis: Axis, leaf: Leaf) -> tuple[int, int]:
        """Position of the axis, and which of its values satisfy the leaf."""
        position = self._axes[axis]
        found = self._masks.get((position, leaf))
        if found is None:
            found = sum(
                1 << n
                for n, value in enumerate(self._classes[position])
                if not isinstance(value, _Nothing) and holds(leaf, {leaf.feature: value})
            )
            self._masks[position, leaf] = found
        return position, found

    def narrowed(self, box: Box) -> dict[int, int] | None:
        """The box without the values that the ties rule out; None if nothing is left.

        Exact as long as every tie couples thresholds of two axes in one direction, which makes
        propagation over pairs complete (such constraints are closed under the minimum: the least
        value left on each axis is a solution); else it may leave too much, never too little.
        """
        tight = dict(box)
        if not all(tight.values()):
            return None
        waiting = dict.fromkeys(tight)
        while waiting:
            changed, _ = waiting.popitem()
            for other, left in self._forced(changed, tight[changed]):
                before = tight.get(other, self.full[other])
                if not before & left:
                    return None
                if before & left != before:
                    tight[other] = before & left
                    waiting[other] = None
        return tight

    def _forced(self, axis: int, mask: int) -> Iterator[tuple[int, int]]:
        """What the values left on one axis leave on the axes tied to it."""
        for force in self._forces[axis]:
            if not mask & force.needed:
                yield force.other, force.left
        for other in self._above[axis]:
            yield other, -(mask & -mask)  # no class below the lowest
        for other in self._below[axis]:
            yield other, (1 << mask.bit_length()) - 1  # no class above the highest

    def both(self, one: Box, other: Box) -> dict[int, int] | None:
        """The box of what lies in both; None if that is nothing."""
        together = dict(one)
        for position, mask in other.items():
            together[position] = together.get(position, mask) & mask
            if not together[position]:
                return None
        return None if self.narrowed(together) is None else together

    def covered(self, box: Box, by: Sequence[Box]) -> bool:
        """Whether all of a box lies in the others together; False also if that is not proven."""
        try:
            return self.uncovered(box, by) is None
        except TooManySteps:
            return False

    def uncovered(self, box: Box, by: Sequence[Box]) -> Box | None:
        """A part of the box that lies in none of the others; None if there is none.

        Raises TooManySteps where neither was found within reasonable work.
        """
        return self._uncovered(box, by, [_MOST_STEPS])

    def _uncovered(self, box: Box, by: Sequence[Box], steps: list[int]) -> Box | None:
        steps[0] -= 1
        if steps[0] < 0:
            raise TooManySteps
        rest = self.narrowed(box)
        if rest is None:
            return None
        meeting = [other for other in by if self.both(rest, other) is not None]
        if not meeting:
            return rest
        first = min(meeting, key=len)
        others = [other for other in meeting if other is not first]
        for position, mask in first.items():
            outside = rest.get(position, self.full[position]) & ~mask
            if outside:
                found = self._uncovered({**rest, position: outside}, others, steps)
                if found is not None:
                    return found
            rest[position] = rest.get(position, self.full[position]) & mask
        return None

    def example(self, box: Box) -> dict[Axis, Scalar]:
        """A value for every axis that the box restricts, none of them contradicting a tie."""
        tight = self.narrowed(box) or {}
        axes = list(self._axes)
        found: dict[Axis, Scalar] = {}
        for position, mask in tight.items():
            value = self._classes[position][(mask & -mask).bit_length() - 1]
            if not isinstance(value, _Nothing):
                found[axes[position]] = value
        return found

    def _constants(self, leaves: Iterable[Test], ties: Sequence[Tie]) -> list[set[Scalar]]:
        constants: list[set[Scalar]] = [set(domain.texts) for domain in self._domains]
        tests = list(leaves)
        for tie in ties:
            if isinstance(tie, Implies):
                tests += (tie.first, tie.second)
        for test in tests:
            value = test.leaf.value
            constants[self._axes[test.axis]].update(value if isinstance(value, tuple) else (value,))
        return constants

    def _pairs(self, ties: Sequence[Tie], kind: object) -> list[tuple[int, int]]:
        return [
            (self._axes[tie.first], self._axes[tie.second])
            if isinstance(tie, Below)
            else (self._axes[tie.first.axis], self._axes[tie.second.axis])
            for tie in ties
            if kind is not Below or isinstance(tie, Below)
        ]

    def _add(self, tie: Tie) -> None:
        if isinstance(tie, Below):
            first, second = self._axes[tie.first], self._axes[tie.second]
            self._above[first].append(second)
            self._below[second].append(first)
            return
        first, premise = self.mask(tie.first.axis, tie.first.leaf)
        second, conclusion = self.mask(tie.second.axis, tie.second.leaf)
        outside = self.full[first] & ~premise
        self._forces[first].append(_Force(outside, second, conclusion))
        self._forces[second].append(_Force(conclusion, first, outside))


class _Nothing:
    """Stands for a class without values, which keeps the classes of tied axes aligned."""


_NONE = _Nothing()


def _classes(domain: Domain, constants: set[Scalar], newest_first: bool) -> list[Scalar | _Nothing]:
    """One value of each class in rank order, unknown first."""
    found: list[Scalar | _Nothing] = []
    if domain.type == "flag":
        found = [False, True]
    elif domain.type == "text":
        texts = sorted(c for c in constants if isinstance(c, str))
        other = () if domain.texts else ("\N{REPLACEMENT CHARACTER}" + "".join(texts),)
        found = [*texts, *other]
    else:
        found = _numbers(domain, constants)
        if newest_first:
            found.reverse()
    known = [v if isinstance(v, _Nothing) or domain.has(v) else _NONE for v in found]
    return [None if domain.unknown else _NONE, *known]


def _numbers(domain: Domain, constants: set[Scalar]) -> list[Scalar | _Nothing]:
    numbers = sorted(
        {c for c in constants if isinstance(c, int | float) and not isinstance(c, bool)}
    )
    bounds = [float("-inf"), *numbers, float("inf")]
    found: list[Scalar | _Nothing] = []
    for low, high in pairwise(bounds):
        between = domain.between(low, high)
        found += [_NONE if between is None else between, high]
    return found[:-1]


def _united(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `count` things the number of its group, where pairs belong together."""
    parent = list(range(count))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for first, second in pairs:
        parent[root(first)] = root(second)
    return [root(one) for one in range(count)]
