"""How far a rule is from proposing for a row of features, and the least that would have to change.

A condition compares one feature with constants, so between two neighbouring constants nothing can
tell two values of a feature apart: a few values stand for all. Conditions that share no feature
don't meet, so the search for the least change is exact and short. The features of one contact are
taken as independent: that a change of one may bring another with it is not looked at here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

from engine.features.spec import Feature, Scalar
from rules import reference
from rules.domains import Domain, domain_of
from rules.expression import Expression, Part
from rules.trees import Leaf, LeafType, leaves
from rules.vocabulary import Vocabulary

_SOMETHING_ELSE = "something else"
_MOST_TRIED = 20_000


@dataclass(frozen=True, slots=True)
class Change:
    """One feature's value, and the nearest one that would do.

    Attributes:
        leaf: the comparison that asks for it.
    """

    feature: str
    was: Scalar
    to: Scalar
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class Nearest:
    """How near a rule is.

    Attributes:
        rule_id: the rule.
        missing: parts of `when` that do not hold and of `unless` that do, in the rule's order.
        changes: the fewest features that would have to differ for the rule to propose, each by as
            little as can be; empty if it proposes. None if no values would do, or more were to be
            tried than is reasonable.
        distance: 0 if it proposes; grows with the number of changes, then with their size.
    """

    rule_id: str
    missing: tuple[Part, ...]
    changes: tuple[Change, ...] | None
    distance: float


def nearest(expression: Expression, row: Mapping[str, Scalar], vocabulary: Vocabulary) -> Nearest:
    """The least change of this row that makes the rule propose, judged by the reference."""
    missing = tuple(
        [part for part in expression.when if not reference.holds(part.tree, row)]
        + [part for part in expression.unless if reference.holds(part.tree, row)]
    )
    found: list[Change] = []
    for group in _groups(expression):
        if reference.matches(group, row):
            continue
        changes = _least(group, row, _domains(group, vocabulary))
        if changes is None:
            return Nearest(expression.rule_id, missing, None, float(len(missing) + 1))
        found += changes
    return Nearest(expression.rule_id, missing, tuple(found), _distance(found))


def changed(row: Mapping[str, Scalar], changes: Sequence[Change]) -> dict[str, Scalar]:
    """The row with these changes."""
    return {**row, **{change.feature: change.to for change in changes}}


def _groups(expression: Expression) -> Iterator[Expression]:
    """The rule as conditions that share no feature with those of another group."""
    parts = [(part, False) for part in expression.when]
    parts += [(part, True) for part in expression.unless]
    groups: list[tuple[set[str], list[tuple[Part, bool]]]] = []
    for part, unless in parts:
        named = {leaf.feature for leaf in leaves(part.tree)}
        met = [group for group in groups if group[0] & named]
        groups = [group for group in groups if not group[0] & named]
        together = [each for group in met for each in group[1]]
        groups.append((named.union(*(group[0] for group in met)), [*together, (part, unless)]))
    for named, members in groups:
        yield Expression(
            expression.rule_id,
            tuple(part for part, unless in members if not unless),
            tuple(part for part, unless in members if unless),
            tuple(spec for spec in expression.features if spec.name in named),
            expression.kind,
        )


def _domains(group: Expression, vocabulary: Vocabulary) -> dict[str, tuple[Feature, Domain]]:
    types: dict[str, LeafType] = {leaf.feature: leaf.type for leaf in leaves(group.everything)}
    return {
        spec.name: (spec, domain_of(spec, types[spec.name], vocabulary))
        for spec in group.features
        if spec.name in types
    }


def _least(
    group: Expression, row: Mapping[str, Scalar], domains: Mapping[str, tuple[Feature, Domain]]
) -> list[Change] | None:
    asked: dict[str, list[Leaf]] = {}
    for leaf in leaves(group.everything):
        asked.setdefault(leaf.feature, []).append(leaf)
    tried = 0
    for size in range(1, len(asked) + 1):
        found: list[list[Change]] = []
        for features in combinations(asked, size):
            options = [_values(asked[name], row.get(name), domains[name][1]) for name in features]
            tried += math.prod(len(values) for values in options)
            if tried > _MOST_TRIED:
                break
            for values in product(*options):
                new = dict(zip(features, values, strict=True))
                if reference.matches(group, {**row, **new}):
                    found.append([_change(asked[n], row.get(n), new[n]) for n in features])
        if found or tried > _MOST_TRIED:
            return min(found, key=_distance, default=None)
    return None


def _change(asked: Sequence[Leaf], was: Scalar, to: Scalar) -> Change:
    """The change with the comparison that it turns, or the nearest to what it becomes."""
    name = asked[0].feature
    turned = [
        leaf
        for leaf in asked
        if reference.holds(leaf, {name: was}) != reference.holds(leaf, {name: to})
    ]
    return Change(name, was, to, min(turned or asked, key=lambda leaf: _apart(leaf.value, to)))


def _apart(constant: object, value: Scalar) -> float:
    if isinstance(constant, int | float) and isinstance(value, int | float):
        return abs(constant - value)
    return 0.0 if constant == value else math.inf


def _values(asked: Sequence[Leaf], was: Scalar, domain: Domain) -> list[Scalar]:
    """A value for each class that the comparisons can tell apart, nearest to what it is first."""
    constants = [
        constant
        for leaf in asked
        for constant in (leaf.value if isinstance(leaf.value, tuple) else (leaf.value,))
        if constant is not None
    ]
    found: list[Scalar] = [None] if domain.unknown else []
    if domain.type == "flag":
        found += [True, False]
    elif domain.type == "text":
        found += [*constants, *domain.texts, _SOMETHING_ELSE]
    else:
        found += _numbers([c for c in constants if isinstance(c, int | float)], domain)
    possible = [value for value in dict.fromkeys(found) if value != was and domain.has(value)]
    return sorted(possible, key=lambda value: _size(was, value))


def _numbers(constants: Sequence[float], domain: Domain) -> Iterator[float]:
    for constant in constants:
        step = 1.0 if domain.numbers != "real" else _step(constant)
        for value in (constant, constant - step, constant + step):
            yield int(value) if domain.numbers != "real" else value
    for low, high in pairwise(sorted(set(constants))):
        between = domain.between(low, high)
        if between is not None:
            yield between
    if domain.numbers == "day_of_year":
        for constant in constants:
            yield from (day for day in _neighbours(int(constant)) if domain.has(day))
    if not constants:
        yield max(0.0, domain.low) if domain.has(max(0.0, domain.low)) else domain.low


def _neighbours(month_day: int) -> tuple[int, ...]:
    """Candidates for the days beside one, as month * 100 + day; not all of them exist."""
    month = month_day // 100
    before, after = (month - 2) % 12 + 1, month % 12 + 1
    ends = tuple(before * 100 + day for day in (31, 30, 29))
    return (*ends, after * 100 + 1)


def _step(constant: float) -> float:
    """One in the last decimal of the constant."""
    decimals = f"{constant:.9f}".rstrip("0").partition(".")[2]
    return float(10 ** -len(decimals))


def _size(was: Scalar, to: Scalar) -> float:
    """Below 1: how far a number moves, as a share of the larger one; 1 for anything else."""
    if isinstance(was, bool | str | None) or isinstance(to, bool | str | None):
        return 1.0
    moved = abs(to - was)
    return moved / (moved + max(abs(to), abs(was), 1.0))


def _distance(changes: Sequence[Change]) -> float:
    sizes = [_size(change.was, change.to) for change in changes]
    return len(sizes) + sum(sizes) / (len(sizes) + 1) if sizes else 0.0
