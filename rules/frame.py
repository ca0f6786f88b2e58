"""Rules over columns: which rules match, for a whole frame of feature rows at once."""

import operator
from collections.abc import Callable, Mapping, Sequence

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
    # What compares the same column stands together: it is then still in the processor's cache.
    names = {leaf: str(n) for n, leaf in enumerate(sorted(compared, key=lambda leaf: leaf.feature))}
    used = dict.fromkeys((leaf.feature, leaf.type) for leaf in names)
    rows = frame.select(pl.repeat(0, frame.height).alias(""), *frame.columns)
    typed = rows.select("", *(_typed(frame, feature, type_) for feature, type_ in used))
    known = typed.with_columns(_known(typed, feature, type_) for feature, type_ in used)
    held = known.select("", *(_leaf(leaf).alias(name) for leaf, name in names.items()))
    found = held.select("", *(_rule(e, names).alias(str(n)) for n, e in enumerate(expressions)))
    return found.drop("")


def _name(feature: str, type_: LeafType) -> str:
    return f"{type_} {feature}"


def _typed(frame: pl.DataFrame, feature: str, type_: LeafType) -> pl.Expr:
    return _of_type(frame, feature, type_).alias(_name(feature, type_))


def _of_type(frame: pl.DataFrame, feature: str, type_: LeafType) -> pl.Expr:
    dtype = frame.schema.get(feature)
    column = pl.col(feature)
    if dtype is not None:
        if type_ == "number" and dtype.is_integer():
            return column.cast(pl.Int64)
        if type_ == "number" and dtype.is_numeric():
            return column.cast(pl.Float64)
        if type_ == "text" and dtype == pl.String:
            return column
        if type_ == "flag" and dtype == pl.Boolean:
            return column
    return pl.lit(None, dtype=_DTYPES[type_])


def _known(typed: pl.DataFrame, feature: str, type_: LeafType) -> pl.Expr:
    """Where the value is known, without nulls: one bit a row, cheaper than a column without NaN."""
    name = _name(feature, type_)
    column = pl.col(name)
    # polars sorts NaN above every number, so NaN > 5 would hold
    known = (
        column.is_not_nan().fill_null(value=False)
        if typed.schema[name].is_float()
        else column.is_not_null()
    )
    return known.alias(f"known {name}")


def _rule(expression: Expression, names: Mapping[Leaf, str]) -> pl.Expr:
    applies = _column(expression.applies, names)
    blocked = expression.blocked
    return applies if blocked is None else applies & ~_column(blocked, names)


def _column(tree: Tree, names: Mapping[Leaf, str]) -> pl.Expr:
    if isinstance(tree, Leaf):
        return pl.col(names[tree])
    parts = [_column(part, names) for part in tree.parts]
    if not parts:  # a row of 'any' cells asks for nothing
        return pl.lit(isinstance(tree, All))
    return pl.all_horizontal(parts) if isinstance(tree, All) else pl.any_horizontal(parts)


def _leaf(leaf: Leaf) -> pl.Expr:
    name = _name(leaf.feature, leaf.type)
    column, known = pl.col(name), pl.col(f"known {name}")
    if leaf.op == "missing":
        return ~known
    if leaf.op == "present":
        return known
    if isinstance(leaf.value, tuple):
        return known & pl.any_horizontal([column == pl.lit(value) for value in leaf.value])
    return known & _COMPARE[leaf.op](column, pl.lit(leaf.value))
