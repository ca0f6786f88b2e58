"""Any table with one row per customer, as numbers: which columns mean what, and how they are coded.

Nothing is learnt outside the rows that `TableCode.learn` is given: levels, knots, rates and means
of a training fold come from that fold.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from churn.feature_rows import Array
from churn.logistic import NormalScores
from engine.errors import InvalidInput

MIN_ROWS = 20
# A text column is numeric where nearly all that is not blank reads as a number.
_NUMERIC_SHARE = 0.95
_BLANKS = ("", "na", "n/a", "nan", "null", "none", "?", "-")
_ID_NAME = re.compile(
    r"(^|[_\s.-])(id|ids|uuid|guid|index|key|row|rownumber|row_number|phone|e-?mail|account_?number|"
    r"unnamed.*)$|^$|(?<=[a-z])I[Dd]$|^rownumber$|^unnamed.*$|^(customer|client|user|row|account|"
    r"member|subscriber|policy|loan|invoice|order)[\s_-]*(id|no|nr|num|number)$|^msisdn$"
)
# A column per level for the most frequent: a split takes a level, a line adds them up, so that the
# logistic can take more. A column with more levels than a few has the levels' event rates as well.
_MOST_LEVELS_OF_TREES = 30
_MOST_LEVELS = 120
_FEW_LEVELS = 12
_LEAST_ROWS_OF_LEVEL = 5
_RATE_PRIOR_ROWS = 8.0
_RATE_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Table:
    """A table, sorted into what a model may read.

    Attributes:
        numbers: float64 by column name, NaN = blank or not finite.
        categories: level codes by column name, -1 = blank; a code means nothing but equality.
        event: whether the target has the positive value.
        left_out: columns not read, and why.
        rows_read, duplicates: rows of the file with a target, and exact repeats removed.
    """

    numbers: dict[str, Array]
    categories: dict[str, NDArray[np.int64]]
    event: NDArray[np.bool_]
    left_out: dict[str, str]
    rows_read: int
    duplicates: int


def read_frame(path: Path) -> pl.DataFrame:
    """A CSV (also .gz, any of , ; tab |) or Parquet file; every CSV column as text."""
    if not path.exists():
        raise InvalidInput(f"There is no file {path}.")
    try:
        if path.suffix in {".parquet", ".pq"}:
            return pl.read_parquet(path)
        head = pl.read_csv(
            path, has_header=False, separator="\x01", n_rows=1, encoding="utf8-lossy",
            quote_char=None, infer_schema=False,
        )  # fmt: skip
        line = str(head.item(0, 0))
        separator = max(",;\t|", key=line.count)
        return pl.read_csv(path, separator=separator, encoding="utf8-lossy", infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(
            f"{path} can't be read as a table: {error}.",
            hint="A CSV with a header line, or Parquet.",
        ) from error


def table_of(frame: pl.DataFrame, target: str, positive: str) -> Table:
    """The table without rows that lack a target or repeat another row, identifiers left out.

    A repeat is dropped only where chance can't make one: the table names its customers, or its
    columns are too many for two customers to agree in all. Two customers with the same contract and
    the same gender are two customers.

    Raises:
        InvalidInput: no such column, under 20 rows, one class only, or nothing to learn from.
    """
    if target not in frame.columns:
        raise InvalidInput(
            f"The table has no column {target!r}.", hint=f"It has {', '.join(frame.columns)}."
        )
    said = frame[target].cast(pl.String).str.strip_chars()
    frame = frame.filter(said.is_not_null() & ~said.is_in(["", "NaN"]))
    rows_read = frame.height
    unique = frame.unique(maintain_order=True)
    if unique.height < rows_read and _repeats_are_copies(frame):
        frame = unique
    event = _event(frame, target, positive)
    numbers: dict[str, Array] = {}
    categories: dict[str, NDArray[np.int64]] = {}
    left_out: dict[str, str] = {}
    for name in frame.columns:
        if name == target:
            continue
        column = frame[name]
        why = _why_left_out(column)
        if why:
            left_out[name] = why
            continue
        values = _numbers(column)
        if values is None:
            categories[name] = _codes(column)
        else:
            numbers[name] = values
    if not numbers and not categories:
        raise InvalidInput(
            "The table has no column to learn from.",
            hint="; ".join(f"{name}: {why}" for name, why in left_out.items()),
        )
    return Table(numbers, categories, event, left_out, rows_read, rows_read - frame.height)


def _event(frame: pl.DataFrame, target: str, positive: str) -> NDArray[np.bool_]:
    said = frame[target].cast(pl.String).str.strip_chars()
    values = said.unique().sort().to_list()
    matching = [value for value in values if _same(value, positive)]
    shown = ", ".join(repr(value) for value in values[:8])
    if frame.height < MIN_ROWS:
        raise InvalidInput(
            f"The table has {frame.height} rows with a value in {target!r}; it takes {MIN_ROWS}."
        )
    if not matching:
        raise InvalidInput(
            f"No row of the table has {positive!r} in {target!r}.", hint=f"It has {shown}."
        )
    event = said.is_in(matching).to_numpy()
    smaller = int(min(event.sum(), (~event).sum()))
    if smaller < 2:
        raise InvalidInput(
            f"{target!r} is {shown}: {int(event.sum())} rows with {positive!r} of {event.size}; "
            "it takes two of each class.",
            hint="A model learns what tells those who left from those who stayed.",
        )
    return np.asarray(event)


def _same(value: str, positive: str) -> bool:
    """Whether the text means the positive value: 1, 1.0 and '1' are the same, and so is case."""
    if value.casefold() == positive.strip().casefold():
        return True
    try:
        return float(value) == float(positive)
    except ValueError:
        return False


def _is_blank(column: pl.Series) -> pl.Series:
    if column.dtype != pl.String:
        return column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
    return column.is_null() | column.str.strip_chars().str.to_lowercase().is_in(_BLANKS)


def _repeats_are_copies(frame: pl.DataFrame) -> bool:
    """Whether under one row in a hundred would repeat another if columns were independent."""
    shares = (
        float((frame[name].value_counts()["count"] / frame.height).pow(2).sum())
        for name in frame.columns
    )
    agreeing = float(np.prod(np.fromiter(shares, dtype=np.float64)))
    return agreeing * frame.height < 0.01


def _why_left_out(column: pl.Series) -> str | None:
    """Why a column tells nothing of a customer nobody has seen; None where it may."""
    known = column.filter(~_is_blank(column))
    distinct = known.n_unique()
    if not len(known):
        return "blank"
    if distinct < 2 and len(known) == len(column):
        return "constant"
    if distinct >= 0.95 * len(known) and len(known) >= MIN_ROWS and _is_identifier(column):
        return "names a customer: nearly all values differ"
    return None


def _is_identifier(column: pl.Series) -> bool:
    """Whether a column whose values nearly all differ is a name or a running number."""
    values = _numbers(column)
    if values is None:
        return True
    known = values[~np.isnan(values)]
    if (known % 1 != 0).any():
        return False
    name = column.name.strip()
    counts_rows = bool((np.diff(np.sort(known)) == 1).all())
    return counts_rows or bool(_ID_NAME.search(name) or _ID_NAME.search(name.lower()))


def _numbers(column: pl.Series) -> Array | None:
    """The column as numbers, dates as days; None where it is a category."""
    if column.dtype == pl.Boolean or column.dtype.is_numeric():
        values = column.cast(pl.Float64)
    elif column.dtype.is_temporal():
        values = column.cast(pl.Date).cast(pl.Int32).cast(pl.Float64)
    else:
        text = column.cast(pl.String).str.strip_chars()
        known = ~_is_blank(text)
        values = text.cast(pl.Float64, strict=False)
        if int((values.is_not_null() & known).sum()) < _NUMERIC_SHARE * int(known.sum()):
            return _days(column)
    found = values.fill_null(np.nan).to_numpy().astype(np.float64, copy=True)
    found[~np.isfinite(found)] = np.nan
    return found


def _days(column: pl.Series) -> Array | None:
    """Texts that are dates, as days since 1970."""
    if column.dtype != pl.String:
        return None
    known = int((~_is_blank(column)).sum())
    day = column.str.strip_chars().str.slice(0, 10)
    for form in ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d"):
        dates = day.str.to_date(form, strict=False)
        if int(dates.is_not_null().sum()) >= _NUMERIC_SHARE * known:
            return dates.cast(pl.Int32).cast(pl.Float64).fill_null(np.nan).to_numpy()
    return None


def _codes(column: pl.Series) -> NDArray[np.int64]:
    text = column.cast(pl.String).str.strip_chars()
    blank = _is_blank(text)
    codes = text.rank("dense").cast(pl.Int64).fill_null(0) - 1
    return (
        codes.to_frame("code").select(pl.when(~blank).then("code").otherwise(-1))["code"].to_numpy()
    )


@dataclass(frozen=True, slots=True)
class Coded:
    """Rows for trees, for logistic regression, and for trees that split sets of levels.

    Attributes:
        native: numbers, then each category as its code, NaN = blank.
        categories: which columns of `native` are codes.
    """

    trees: Array
    linear: Array
    native: Array
    categories: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Levels:
    """How a category is coded: its own columns for frequent levels, a rate for wide ones."""

    own: NDArray[np.int64]
    rates: dict[int, float]
    base: float


def has_wide_categories(table: Table) -> bool:
    """Whether a category has more levels than a few: a set of them may be worth a split."""
    return any(np.unique(codes).size > _FEW_LEVELS for codes in table.categories.values())


@dataclass(frozen=True, slots=True)
class TableCode:
    """How the columns of a table become numbers, learnt from training rows."""

    normal: NormalScores
    hats: tuple[Array, ...]
    mean: Array
    spread: Array
    levels: dict[str, _Levels]

    @classmethod
    def learn(cls, table: Table, rows: NDArray[np.int64]) -> Self:
        """From the training rows alone."""
        numbers = _stacked(table, rows)
        known = np.where(np.isnan(numbers), 0.0, 1.0)
        count = np.maximum(known.sum(axis=0), 1.0)
        mean = np.nan_to_num(numbers).sum(axis=0) / count
        spread = np.sqrt((np.square(np.nan_to_num(numbers - mean)) * known).sum(axis=0) / count)
        return cls(
            normal=NormalScores.of(numbers),
            hats=tuple(_hat_knots(column) for column in numbers.T),
            mean=mean,
            spread=np.where(spread > 0, spread, 1.0),
            levels={
                name: _learn_levels(codes[rows], table.event[rows])
                for name, codes in table.categories.items()
            },
        )

    def training(self, table: Table, rows: NDArray[np.int64], seed: int) -> Coded:
        """The rows it was learnt from; a wide category's rate comes from the other fifths of them.

        Coded with its own outcome, a customer alone in a level would give itself away.
        """
        fold = np.random.default_rng(seed).permutation(rows.size) % _RATE_FOLDS
        rates = {}
        for name in self._wide():
            codes, event = table.categories[name][rows], table.event[rows]
            told = np.zeros(rows.size)
            for number in range(_RATE_FOLDS):
                rest = _learn_levels(codes[fold != number], event[fold != number])
                told[fold == number] = _rate(rest, codes[fold == number])
            rates[name] = told
        return self._coded(table, rows, rates)

    def unseen(self, table: Table, rows: NDArray[np.int64]) -> Coded:
        """Rows it was not learnt from."""
        rates = {
            name: _rate(self.levels[name], table.categories[name][rows]) for name in self._wide()
        }
        return self._coded(table, rows, rates)

    def _wide(self) -> list[str]:
        return [name for name, levels in self.levels.items() if levels.rates]

    def _coded(self, table: Table, rows: NDArray[np.int64], rates: dict[str, Array]) -> Coded:
        numbers = _stacked(table, rows)
        own = [
            (table.categories[name][rows][:, None] == levels.own[None, :]).astype(np.float64)
            for name, levels in self.levels.items()
        ]
        told_codes = (table.categories[name][rows].astype(np.float64) for name in self.levels)
        codes = [np.where(each < 0, np.nan, each) for each in told_codes]
        frequent = [columns[:, :_MOST_LEVELS_OF_TREES] for columns in own]
        told = [rate[:, None] for rate in rates.values()]
        standard = np.clip(np.nan_to_num((numbers - self.mean) / self.spread), -4.0, 4.0)
        hats = [_hats(column, knots) for column, knots in zip(numbers.T, self.hats, strict=True)]
        return Coded(
            trees=np.column_stack([numbers, *frequent, *told]),
            native=np.column_stack([numbers, *codes]),
            categories=tuple(range(numbers.shape[1], numbers.shape[1] + len(codes))),
            linear=np.column_stack([standard, self.normal.design(numbers), *hats, *own, *told]),
        )


def _stacked(table: Table, rows: NDArray[np.int64]) -> Array:
    if not table.numbers:
        return np.zeros((rows.size, 0))
    return np.column_stack([values[rows] for values in table.numbers.values()])


def _hat_knots(column: Array) -> Array:
    known = column[~np.isnan(column)]
    knots = np.unique(np.quantile(known, np.linspace(0, 1, 8))) if known.size else np.zeros(0)
    return knots if knots.size > 2 else np.zeros(0)


def _hats(column: Array, knots: Array) -> Array:
    """Piecewise linear between the knots: one column per knot, 1 there and 0 at the others."""
    if not knots.size:
        return np.zeros((column.size, 0))
    made = np.column_stack([np.interp(column, knots, row) for row in np.eye(knots.size)])
    return np.where(np.isnan(column)[:, None], 0.0, made)


def _learn_levels(codes: NDArray[np.int64], event: NDArray[np.bool_]) -> _Levels:
    levels, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    base = float(np.clip(event.mean(), 1e-6, 1 - 1e-6))
    order = np.argsort(-counts, kind="stable")[:_MOST_LEVELS]
    own = levels[order[counts[order] >= _LEAST_ROWS_OF_LEVEL]]
    rates: dict[int, float] = {}
    if levels.size > _FEW_LEVELS:
        hits = np.bincount(place, weights=event)
        shrunk = (hits + _RATE_PRIOR_ROWS * base) / (counts + _RATE_PRIOR_ROWS)
        rates = dict(zip(levels.tolist(), shrunk.tolist(), strict=True))
    return _Levels(own, rates, base)


def _rate(levels: _Levels, codes: NDArray[np.int64]) -> Array:
    """Log-odds of the level's shrunken event rate against the base rate; 0 where it is new."""
    unique, place = np.unique(codes, return_inverse=True)
    rate = np.array([levels.rates.get(int(code), levels.base) for code in unique])
    odds = np.log(rate / (1 - rate)) - np.log(levels.base / (1 - levels.base))
    return np.asarray(odds[place])
