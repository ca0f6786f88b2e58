"""Conditions as typed trees over flat features: and, or, and leaves; there is no not.

A leaf compares one feature with one constant. Unknown is never true: a leaf on a missing value,
or on a value of another type than its own, does not hold, except `missing`.
"""

from dataclasses import dataclass
from typing import Literal

from engine.features.spec import Scalar

Op = Literal["==", "!=", "<", "<=", ">", ">=", "in", "missing", "present"]
LeafType = Literal["number", "text", "flag"]

# durable_rules holds 64 alternatives that are true at once; beyond it nothing fires.
MOST_ALTERNATIVES = 48
# It refuses facts of more than 251 fields, its own among them.
MOST_FIELDS = 200
_OPPOSITE: dict[Op, Op] = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "missing": "present",
    "present": "missing",
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """`feature op value`; value is a tuple for in and None for missing and present."""

    feature: str
    type: LeafType
    op: Op
    value: Scalar | tuple[Scalar, ...] = None


@dataclass(frozen=True, slots=True)
class All:
    """Holds when every part holds."""

    parts: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Any:
    """Holds when one part holds."""

    parts: tuple["Tree", ...]


Tree = Leaf | All | Any


def alternatives(tree: Tree) -> int:
    """How many and-only alternatives a tree expands to (product over and, sum over or)."""
    if isinstance(tree, Leaf):
        return len(tree.value) if isinstance(tree.value, tuple) else 1
    counts = [alternatives(part) for part in tree.parts]
    if isinstance(tree, Any):
        return sum(counts)
    product = 1
    for count in counts:
        product *= count
    return product


def leaves(tree: Tree) -> tuple[Leaf, ...]:
    """The leaves, left to right."""
    if isinstance(tree, Leaf):
        return (tree,)
    return tuple(leaf for part in tree.parts for leaf in leaves(part))


def joined(parts: tuple[Tree, ...]) -> Tree:
    """The and of the parts; a single one stands for itself."""
    return parts[0] if len(parts) == 1 else All(parts)


def negated(tree: Tree) -> Tree:
    """A tree that holds exactly where this one does not, unknown values included."""
    if isinstance(tree, All):
        return Any(tuple(negated(part) for part in tree.parts))
    if isinstance(tree, Any):
        return All(tuple(negated(part) for part in tree.parts))
    if tree.op in {"missing", "present"}:
        return Leaf(tree.feature, tree.type, _OPPOSITE[tree.op])
    unknown = Leaf(tree.feature, tree.type, "missing")
    if isinstance(tree.value, tuple):
        others = tuple(Leaf(tree.feature, tree.type, "!=", value) for value in tree.value)
        return Any((joined(others), unknown))
    return Any((Leaf(tree.feature, tree.type, _OPPOSITE[tree.op], tree.value), unknown))
