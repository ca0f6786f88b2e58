"""A rule as a union of boxes: exactly the rows for which it proposes something."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rules.boxes import Axis, Box, Space, Test
from rules.domains import domain_of
from rules.expression import Expression
from rules.ties import ties_between
from rules.trees import Any as AnyOf
from rules.trees import Leaf, Tree, leaves
from rules.vocabulary import Vocabulary

# Beyond it the parts that multiply the boxes are left out, and the region is called too wide.
_MOST_BOXES = 600
# Pairs of boxes are compared in blocks of this many rows: 64 MB for 60,000 boxes.
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Region:
    """Where a rule applies.

    Attributes:
        boxes: together all of it; each has a row in it, as far as the known ties say.
        exact: False if it may be wider than the rule, because the rule has too many alternatives.
    """

    boxes: tuple[Box, ...]
    exact: bool = True


class Regions:
    """Several rules in one space, so that they can be compared."""

    def __init__(self, rules: Sequence[tuple[Expression, Vocabulary]]) -> None:
        self._rules = rules  # the specs below are found by the identity of these expressions
        self._specs = {id(e): {spec.name: spec for spec in e.features} for e, _ in rules}
        domains, tests = {}, []
        for expression, vocabulary in rules:
            for leaf in leaves(expression.everything):
                axis = self._axis(expression, leaf)
                tests.append(Test(axis, leaf))
                if axis not in domains:
                    domains[axis] = domain_of(axis.feature, axis.type, vocabulary)
        constants: dict[Axis, set[float]] = {axis: set() for axis in domains}
        for test in tests:
            value = test.leaf.value
            several = value if isinstance(value, tuple) else (value,)
            constants[test.axis] |= {c for c in several if isinstance(c, int | float)}
        ties = ties_between({axis: sorted(found) for axis, found in constants.items()})
        self.space = Space(domains, tests, ties)

    def region(self, expression: Expression) -> Region:
        """Where the whole rule applies."""
        trees = [(part.tree, False) for part in expression.when]
        trees += [(part.tree, True) for part in expression.unless]
        return self._product([self._boxes(expression, tree, no) for tree, no in trees])

    def when(self, expression: Expression) -> Region:
        """Where all of `when` holds, whatever stands under unless."""
        return self._product([self._boxes(expression, p.tree, False) for p in expression.when])

    def part(self, expression: Expression, tree: Tree, *, negated: bool = False) -> Region:
        """Where one tree of the rule holds, or, negated, does not."""
        return self._product([self._boxes(expression, tree, negated)])

    def contains(self, outer: Region, inner: Region) -> bool:
        """Whether the inner lies in the outer; False also if that is not proven."""
        return outer.exact and all(self.space.covered(box, outer.boxes) for box in inner.boxes)

    def meet(self, one: Region, other: Region) -> bool:
        """Whether the two share a row, as far as the known ties say."""
        pairs = product(one.boxes, other.boxes)
        return any(self.space.both(box, another) is not None for box, another in pairs)

    def overlapping(self, regions: Sequence[Region]) -> NDArray[np.bool_]:
        """Which regions share a row, as far as the known ties say: (regions, regions), symmetric.

        Two boxes meet when they meet in every group of tied axes. Few sets of values are
        different in one group, so those are compared once and the pairs of boxes look it up.
        """
        boxes = [box for region in regions for box in region.boxes]
        sizes = [len(region.boxes) for region in regions]
        result = np.zeros((len(regions), len(regions)), dtype=np.bool_)
        filled = [position for position, size in enumerate(sizes) if size]
        if not filled:
            return result
        owners = np.repeat(np.arange(len(regions)), sizes)
        starts = np.cumsum([0, *(sizes[position] for position in filled)])[:-1]
        groups = self._group_columns(boxes)
        for top in range(0, len(boxes), _BLOCK):
            block = slice(top, min(top + _BLOCK, len(boxes)))
            meet = np.ones((block.stop - top, len(boxes)), dtype=np.bool_)
            for rows, kinds, table in groups:
                inside = (rows >= top) & (rows < block.stop)
                if inside.any():
                    meet[np.ix_(rows[inside] - top, rows)] &= table[np.ix_(kinds[inside], kinds)]
            by_rule = np.logical_or.reduceat(meet, starts, axis=1)
            columns = np.zeros((block.stop - top, len(regions)), dtype=np.bool_)
            columns[:, filled] = by_rule
            np.logical_or.at(result, owners[block], columns)
        return result

    def candidates(self, regions: Sequence[Region]) -> NDArray[np.bool_]:
        """Pairs (inner, outer) for which containment is not excluded feature by feature."""
        possible = np.ones((len(regions), len(regions)), dtype=np.bool_)
        shadows = [self._shadow(region) for region in regions]
        for axis, full in enumerate(self.space.full):
            masks = [shadow.get(axis, full) for shadow in shadows]
            known = list(dict.fromkeys(masks))
            number = {mask: position for position, mask in enumerate(known)}
            inside = np.array([[not inner & ~outer for outer in known] for inner in known])
            which = np.array([number[mask] for mask in masks], dtype=np.intp)
            possible &= inside[np.ix_(which, which)]
        return possible

    def _shadow(self, region: Region) -> dict[int, int]:
        """For each restricted axis the values that some row of the region has."""
        if not region.boxes:
            return dict.fromkeys(range(len(self.space.full)), 0)
        first, *rest = (self.space.narrowed(box) or {} for box in region.boxes)
        shadow = dict(first)
        for box in rest:
            shadow = {axis: mask | box[axis] for axis, mask in shadow.items() if axis in box}
        return shadow

    def _group_columns(
        self, boxes: Sequence[Box]
    ) -> list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]]:
        """For each group: the boxes that restrict it, what they leave, and what meets what."""
        used: dict[int, dict[int, tuple[tuple[int, int], ...]]] = {}
        for row, box in enumerate(boxes):
            parts: dict[int, list[tuple[int, int]]] = {}
            for axis, mask in sorted(box.items()):
                parts.setdefault(self.space.groups[axis], []).append((axis, mask))
            for group, part in parts.items():
                used.setdefault(group, {})[row] = tuple(part)
        columns = []
        for rows in used.values():
            kinds = list(dict.fromkeys(rows.values()))
            number = {kind: position for position, kind in enumerate(kinds)}
            table = np.ones((len(kinds), len(kinds)), dtype=np.bool_)
            for position, kind in enumerate(kinds):
                for other in range(position):
                    meets = self.space.both(dict(kind), dict(kinds[other])) is not None
                    table[position, other] = table[other, position] = meets
            numbers = np.array([number[kind] for kind in rows.values()], dtype=np.intp)
            columns.append((np.array(list(rows), dtype=np.intp), numbers, table))
        return columns

    def _axis(self, expression: Expression, leaf: Leaf) -> Axis:
        return Axis(self._specs[id(expression)][leaf.feature], leaf.type)

    def _boxes(self, expression: Expression, tree: Tree, negated: bool) -> Region:
        if isinstance(tree, Leaf):
            axis, mask = self.space.mask(self._axis(expression, tree), tree)
            full = self.space.full[axis]
            mask = full & ~mask if negated else mask
            boxes: tuple[Box, ...] = () if not mask else ({} if mask == full else {axis: mask},)
            return Region(boxes)
        parts = [self._boxes(expression, part, negated) for part in tree.parts]
        if isinstance(tree, AnyOf) is negated:
            return self._product(parts)
        boxes = self._merged(box for part in parts for box in part.boxes)
        return Region(boxes, all(part.exact for part in parts))

    def _product(self, parts: Iterable[Region]) -> Region:
        """Where all hold; the parts with fewest boxes first, so that they prune the others."""
        found: tuple[Box, ...] = ({},)
        exact = True
        for part in sorted(parts, key=lambda region: len(region.boxes)):
            if len(found) * len(part.boxes) > _MOST_BOXES * 8:
                exact = False
                continue
            exact = exact and part.exact
            met = (self.space.both(one, two) for one in found for two in part.boxes)
            wider = self._merged(box for box in met if box is not None)
            if len(wider) > _MOST_BOXES:
                exact = False
            else:
                found = wider
        return Region(found, exact)

    def _merged(self, boxes: Iterable[Box]) -> tuple[Box, ...]:
        """The boxes, with those united that differ on one axis only."""
        found = list(boxes)
        if any(not box for box in found):
            return ({},)
        for axis in {axis: None for box in found for axis in box}:
            by_rest: dict[tuple[bool, frozenset[tuple[int, int]]], dict[int, int]] = {}
            for box in found:
                rest = frozenset(item for item in box.items() if item[0] != axis)
                united = by_rest.setdefault((axis in box, rest), dict(box))
                if axis in box:
                    united[axis] |= box[axis]
            full = self.space.full[axis]
            found = [
                {key: mask for key, mask in box.items() if key != axis or mask != full}
                for box in by_rest.values()
            ]
        return tuple(found) if all(found) else ({},)
