"""Rules over columns: which rules match, for a whole frame of feature rows at once."""

import operator
from collections.abc import Callable, Sequence
from functools import reduce

import polars as pl

from rules.expression import All, Expression, Leaf, LeafType, Tree, leaves

_COMPARE: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DTYPES: dict[LeafType, type[pl.DataType]] = {
    "number": pl.Float64,
    "text": pl.String,
    "flag": pl.Boolean,
}


def rule_columns(frame: pl.DataFrame, expressions: Sequence[Expression]) -> pl.DataFrame:
    """One boolean column per rule (named by its position), one row per row of `frame`, no nulls.

    A feature without a column, or with a column of another type than the rules compare, is
    unknown for every row. NaN counts as unknown. Each comparison is made once, however many rules
    make it; what remains is and and or of bits.
    """
    compared = dict.fromkeys(leaf for e in expressions for leaf in leaves(e.everything))
    used = dict.fromkeys((leaf.feature, leaf.type) for leaf in compared)
    rows = frame.select(pl.repeat(0, frame.height).alias(""), *frame.columns)
    known = rows.select("", *(_known(frame, feature, type_) for feature, type_ in used))
    held = known.select("", *(_leaf(leaf).alias(str(n)) for n, leaf in enumerate(compared)))
    trees: dict[Tree, pl.Series] = {leaf: held[str(n)] for n, leaf in enumerate(compared)}
    columns = [_rule(e, trees, frame.height) for e in expressions]
    return pl.DataFrame([column.alias(str(n)) for n, column in enumerate(columns)])


def _name(feature: str, type_: LeafType) -> str:
    return f"{type_} {feature}"


def _known(frame: pl.DataFrame, feature: str, type_: LeafType) -> pl.Expr:
    return _typed(frame, feature, type_).alias(_name(feature, type_))


def _typed(frame: pl.DataFrame, feature: str, type_: LeafType) -> pl.Expr:
    dtype = frame.schema.get(feature)
    column = pl.col(feature)
    if dtype is not None:
        if type_ == "number" and dtype.is_integer():
            return column.cast(pl.Int64)
        if type_ == "number" and dtype.is_numeric():
            # polars sorts NaN above every number, so NaN > 5 would hold
            return column.cast(pl.Float64).fill_nan(None)
        if type_ == "text" and dtype == pl.String:
            return column
        if type_ == "flag" and dtype == pl.Boolean:
            return column
    return pl.lit(None, dtype=_DTYPES[type_])


def _rule(expression: Expression, known: dict[Tree, pl.Series], height: int) -> pl.Series:
    applies = _column(expression.applies, known, height)
    blocked = expression.blocked
    return applies if blocked is None else applies & ~_column(blocked, known, height)


def _column(tree: Tree, known: dict[Tree, pl.Series], height: int) -> pl.Series:
    """Where the tree holds; `known` gathers the answers of all trees seen."""
    found = known.get(tree)
    if found is None:
        assert not isinstance(tree, Leaf)  # noqa: S101 - all leaves are known
        parts = [_column(part, known, height) for part in tree.parts]
        # a row of 'any' cells asks for nothing
        parts = parts or [pl.repeat(isinstance(tree, All), height, eager=True)]
        found = reduce(operator.and_ if isinstance(tree, All) else operator.or_, parts)
        known[tree] = found
    return found


def _leaf(leaf: Leaf) -> pl.Expr:
    column = pl.col(_name(leaf.feature, leaf.type))
    if leaf.op == "missing":
        return column.is_null()
    if leaf.op == "present":
        return column.is_not_null()
    if isinstance(leaf.value, tuple):
        parts = [column == pl.lit(value) for value in leaf.value]
        return pl.any_horizontal(parts).fill_null(value=False)
    return _COMPARE[leaf.op](column, pl.lit(leaf.value)).fill_null(value=False)
