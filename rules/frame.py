"""Rules as polars expressions: which rules match, for a whole frame of feature rows at once."""

import operator
from collections.abc import Callable, Sequence

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
    unknown for every row. NaN counts as unknown.
    """
    used = dict.fromkeys(
        (leaf.feature, leaf.type) for e in expressions for leaf in leaves(e.everything)
    )
    rows = frame.select(pl.repeat(0, frame.height).alias(""), *frame.columns).lazy()
    columns = [_rule(e).alias(str(position)) for position, e in enumerate(expressions)]
    known = rows.select("", *(_known(frame, feature, type_) for feature, type_ in used))
    return known.select("", *columns).collect().drop("")


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


def _rule(expression: Expression) -> pl.Expr:
    applies = _column(expression.applies)
    blocked = expression.blocked
    return applies if blocked is None else applies & ~_column(blocked)


def _column(tree: Tree) -> pl.Expr:
    if not isinstance(tree, Leaf):
        join = pl.all_horizontal if isinstance(tree, All) else pl.any_horizontal
        return join([_column(part) for part in tree.parts])
    column = pl.col(_name(tree.feature, tree.type))
    if tree.op == "missing":
        return column.is_null()
    if tree.op == "present":
        return column.is_not_null()
    if isinstance(tree.value, tuple):
        parts = [column == pl.lit(value) for value in tree.value]
        return pl.any_horizontal(parts).fill_null(value=False)
    return _COMPARE[tree.op](column, pl.lit(tree.value)).fill_null(value=False)
