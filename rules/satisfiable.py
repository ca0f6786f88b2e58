"""Whether comparisons of the same features can hold together, feature by feature."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from engine.features.spec import Scalar
from rules.reference import holds
from rules.trees import Leaf


def contradicting(leaves: Sequence[Leaf]) -> str:
    """A feature whose leaves no single value fits; empty if there is none."""
    for feature in sorted({leaf.feature for leaf in leaves}):
        if _contradict([leaf for leaf in leaves if leaf.feature == feature]):
            return feature
    return ""


def _contradict(leaves: Sequence[Leaf]) -> bool:
    """Whether no value of the one feature makes all leaves hold: tries one of every kind."""
    feature = leaves[0].feature
    return not any(
        all(holds(leaf, {feature: value}) for leaf in leaves) for value in _one_of_each(leaves)
    )


def _one_of_each(leaves: Sequence[Leaf]) -> Iterator[Scalar]:
    """Unknown, every constant, and something between and beyond the constants."""
    yield None
    yield from (True, False)
    constants: list[Scalar] = []
    for leaf in leaves:
        constants += leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    texts = [value for value in constants if isinstance(value, str)]
    yield from (*texts, "\N{REPLACEMENT CHARACTER}")
    numbers = sorted({float(value) for value in constants if isinstance(value, int | float)})
    yield from numbers
    yield from ((low + high) / 2 for low, high in pairwise(numbers))
    yield from (float("-inf"), float("inf"))
