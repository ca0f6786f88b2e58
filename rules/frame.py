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
    known = rows.select("", *(_typed(frame, feature, type_) for feature, type_ in used))
    known = _without_nan(known)
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
        if type_ == "number" and dtype in {pl.Float64, pl.Int64}:
            return column
        if type_ == "number" and dtype.is_integer():
            return column.cast(pl.Int64)
        if type_ == "number" and dtype.is_numeric():
            return column.cast(pl.Float64)
        if type_ == "text" and dtype == pl.String:
            return column
        if type_ == "flag" and dtype == pl.Boolean:
            return column
    return pl.lit(None, dtype=_DTYPES[type_])


def _without_nan(known: pl.DataFrame) -> pl.DataFrame:
    """NaN as null: polars sorts NaN above every number, so NaN > 5 would hold."""
    floats = [name for name, dtype in known.schema.items() if dtype.is_float()]
    found = known.select(pl.col(floats).is_nan().any())
    return known.with_columns(pl.col(c.name).fill_nan(None) for c in found if c.any())


def _rule(expression: Expression, names: Mapping[Leaf, str]) -> pl.Expr:
    """Null stands for false until here: and and or give true only where they would for false."""
    applies = _column(expression.applies, names).fill_null(value=False)
    blocked = expression.blocked
    if blocked is None:
        return applies
    return applies & ~_column(blocked, names).fill_null(value=False)


def _column(tree: Tree, names: Mapping[Leaf, str]) -> pl.Expr:
    if isinstance(tree, Leaf):
        return pl.col(names[tree])
    parts = [_column(part, names) for part in tree.parts]
    if not parts:  # a row of 'any' cells asks for nothing
        return pl.lit(isinstance(tree, All))
    return pl.all_horizontal(parts) if isinstance(tree, All) else pl.any_horizontal(parts)


def _leaf(leaf: Leaf) -> pl.Expr:
    """Where the leaf holds; null where its value is unknown."""
    column = pl.col(_name(leaf.feature, leaf.type))
    if leaf.op == "missing":
        return column.is_null()
    if leaf.op == "present":
        return column.is_not_null()
    if isinstance(leaf.value, tuple):
        return pl.any_horizontal([column == pl.lit(value) for value in leaf.value])
    return _COMPARE[leaf.op](column, pl.lit(leaf.value))
