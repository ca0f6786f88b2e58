"""The judge: what a rule means, in plain Python. The other matchers have to agree with it."""

from collections.abc import Mapping

from engine.features.spec import Scalar
from rules.expression import All, Expression, Leaf, Tree


def matches(expression: Expression, row: Mapping[str, Scalar]) -> bool:
    """Whether the rule proposes for this row: all of when, none of unless."""
    blocked = expression.blocked
    return holds(expression.applies, row) and not (blocked is not None and holds(blocked, row))


def holds(tree: Tree, row: Mapping[str, Scalar]) -> bool:
    """Whether the tree holds for this row; a missing key is an unknown value."""
    if not isinstance(tree, Leaf):
        return (all if isinstance(tree, All) else any)(holds(part, row) for part in tree.parts)
    value = known(tree, row)
    if value is None or tree.op in {"missing", "present"}:
        return tree.op == ("missing" if value is None else "present")
    return _compare(tree, value)


def known(leaf: Leaf, row: Mapping[str, Scalar]) -> Scalar:
    """The leaf's value in the row; None if it is missing, not a number, or of another type."""
    value = row.get(leaf.feature)
    if isinstance(value, bool):
        return value if leaf.type == "flag" else None
    if isinstance(value, str):
        return value if leaf.type == "text" else None
    return value if leaf.type == "number" and value == value else None  # noqa: PLR0124 - NaN


def _compare(leaf: Leaf, value: Scalar) -> bool:  # noqa: PLR0911 - one line per operator
    constant = leaf.value
    if isinstance(constant, tuple):
        return value in constant
    if leaf.op in {"==", "!="}:
        return (value == constant) is (leaf.op == "==")
    if isinstance(value, str | None) or isinstance(constant, str | None):
        return False
    match leaf.op:
        case "<":
            return value < constant
        case "<=":
            return value <= constant
        case ">":
            return value > constant
        case _:
            return value >= constant
