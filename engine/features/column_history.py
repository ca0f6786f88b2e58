"""The past of many contacts, converted once and indexed the ways `columns.py` asks.

Arrays hold one entry per contact, in the order of the contacts, and are computed once for all
features that read the same events.
"""

from collections.abc import Callable, Hashable, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.features.contact_history import MILLION
from engine.features.spec import EVENT_COLUMNS, LARGEST_VALUE
from engine.features.wall_clock import DAY_US, instant_us, wall_us_of, zone_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
T = TypeVar("T")

_US = pl.Datetime("us", "UTC")
_NEVER = np.iinfo(np.int64).max
EVENT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "contact_id": pl.String,
    "type": pl.String,
    "occurred_at": _US,
    "amount_cents": pl.Int64,
    "subject": pl.String,
    "starts_at": _US,
    "value": pl.Float64,
    "properties": pl.String,
}
_OPTIONAL = {name: EVENT_SCHEMA[name] for name in ("value", "properties")}


class Clocks:
    """Wall clocks of contacts: `code` says which of `zones` is a contact's."""

    def __init__(self, code: Ints, zones: Sequence[str]) -> None:
        self.code = code
        self.zones = zones

    def wall(self, instants: Ints, codes: Ints) -> Ints:
        """Wall-clock microseconds of instants, each in the zone of that code."""
        wall = np.empty_like(instants)
        for code in np.unique(codes):
            of_zone = np.flatnonzero(codes == code)
            wall[of_zone] = wall_us_of(instants[of_zone], zone_of(self.zones[int(code)]))
        return wall


class Family:
    """The past events of some types, in no order; all microseconds.

    Attributes:
        frame: row, type, subject, amount_cents, instant, starts, age, value (millionths),
            properties; the last four may be null but for age.
        rows: the contact of each event, its place in the order of contacts.
        ages: on the contact's wall clock, 0 or more.
        instants: since 1970 UTC.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        self.rows: Ints = frame["row"].to_numpy()
        self.ages: Ints = frame["age"].to_numpy()
        self.instants: Ints = frame["instant"].to_numpy()

    def within(self, window_days: int | None) -> Flags:
        if window_days is None:
            return np.ones(len(self.ages), dtype=np.bool_)
        return self.ages <= window_days * DAY_US


class Batch:
    """Contacts, or subjects of contacts, one per row, with their past."""

    def __init__(
        self,
        people: pl.DataFrame,
        past: pl.DataFrame,
        clocks: Clocks,
        holidays: frozenset[date] | None = None,
    ) -> None:
        self.people = people
        self.size = people.height
        self.now: Ints = people["now"].to_numpy()
        self.as_of: Ints = people["as_of"].to_numpy()
        self.clocks = clocks
        self.holidays = holidays
        self._none = past.clear()
        parts = past.partition_by("type", as_dict=True)
        self._parts = {str(key[0]): part for key, part in parts.items()}
        self._kept: dict[Hashable, object] = {}

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` returns, computed the first time the key is asked for."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]  # type: ignore[return-value]

    @cached_property
    def day(self) -> Ints:
        """Days from 1970-01-01 to the local date."""
        return self.now // DAY_US

    def attribute(self, name: str) -> pl.Series | None:
        column = f"attribute {name}"
        return self.people[column] if column in self.people.columns else None

    @property
    def types(self) -> tuple[str, ...]:
        """All event types that occur."""
        return tuple(self._parts)

    def family(self, types: tuple[str, ...]) -> Family:
        return self.once(("family", types), lambda: self._family(types))

    def _family(self, types: tuple[str, ...]) -> Family:
        parts = [self._parts[one] for one in dict.fromkeys(types) if one in self._parts]
        return Family(pl.concat(parts) if parts else self._none)

    def count(self, types: tuple[str, ...], window_days: int | None) -> Ints:
        def compute() -> Ints:
            family = self.family(types)
            rows = family.rows[family.within(window_days)]
            return np.bincount(rows, minlength=self.size).astype(np.int64)

        return self.once(("count", types, window_days), compute)

    def sum_cents(self, types: tuple[str, ...], window_days: int | None) -> Ints:
        family, inside = self.family(types), self.family(types).within(window_days)
        total = np.zeros(self.size, dtype=np.int64)
        np.add.at(total, family.rows[inside], family.frame["amount_cents"].to_numpy()[inside])
        return total

    def youngest(self, types: tuple[str, ...]) -> Ints:
        """Age of the newest event, 0 where there is none (see `any_of`)."""
        return self.once(("youngest", types), lambda: self._youngest(types))

    def _youngest(self, types: tuple[str, ...]) -> Ints:
        family = self.family(types)
        return self.least(family.rows, family.ages)

    def oldest(self, types: tuple[str, ...]) -> Ints:
        """Age of the oldest event, 0 where there is none."""
        family = self.family(types)
        return self.once(("oldest", types), lambda: self.most(family.rows, family.ages))

    def newest_instant(self, types: tuple[str, ...]) -> Ints:
        """Instant of the newest event, 0 where there is none."""
        family = self.family(types)
        return self.once(("instant", types), lambda: self.most(family.rows, family.instants))

    def any_of(self, types: tuple[str, ...]) -> Flags:
        return self.count(types, None) > 0

    def least(self, rows: Ints, numbers: Ints) -> Ints:
        """Smallest number of each row; 0 for a row without one."""
        found = np.full(self.size, _NEVER, dtype=np.int64)
        np.minimum.at(found, rows, numbers)
        found[found == _NEVER] = 0
        return found

    def most(self, rows: Ints, numbers: Ints) -> Ints:
        """Largest number of each row; 0 for a row without one."""
        found = np.full(self.size, -_NEVER, dtype=np.int64)
        np.maximum.at(found, rows, numbers)
        found[found == -_NEVER] = 0
        return found

    def median(self, rows: Ints, numbers: Ints) -> tuple[Floats, Flags]:
        """Median of each row's numbers, and which rows have one."""
        in_order = numbers[np.lexsort((numbers, rows))]
        counts = np.bincount(rows, minlength=self.size)
        starts = np.cumsum(counts) - counts
        known = counts > 0
        below = in_order[(starts + (counts - 1) // 2)[known]]
        above = in_order[(starts + counts // 2)[known]]
        medians = np.zeros(self.size)
        medians[known] = (below + above) / 2
        return medians, known


def people_of(contacts: pl.DataFrame, as_of: datetime) -> tuple[pl.DataFrame, Clocks]:
    """The contacts with `row` (their order), `clock`, `as_of` (us UTC) and `now` (local, us)."""
    names: list[str | None] = contacts["timezone"].cast(pl.String).unique().to_list()
    zones = [zone_of(name).key for name in names]
    codes = pl.DataFrame(
        {"timezone": names, "clock": list(range(len(names)))},
        schema={"timezone": pl.String, "clock": pl.Int64},
    )
    attributes = {
        name: f"attribute {name}"
        for name in contacts.columns
        if name not in {"contact_id", "timezone", "as_of"}
    }
    moment = pl.col("as_of").cast(_US).dt.epoch("us")
    people = (
        contacts.rename(attributes)
        .with_columns(
            pl.col("timezone").cast(pl.String),
            as_of=moment if "as_of" in contacts.columns else pl.lit(instant_us(as_of)),
        )
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .join(codes, on="timezone", how="left", nulls_equal=True, maintain_order="left")
    )
    clocks = Clocks(people["clock"].to_numpy(), zones)
    now = clocks.wall(people["as_of"].to_numpy(), clocks.code)
    return people.with_columns(now=pl.Series(now, dtype=pl.Int64)), clocks


def past_of(people: pl.DataFrame, clocks: Clocks, events: pl.DataFrame) -> pl.DataFrame:
    """The events of each row up to its moment, with the columns of `Family.frame`."""
    absent = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in _OPTIONAL.items()
        if name not in events.columns
    ]
    number = pl.col("value").cast(pl.Float64)
    instant = pl.col("occurred_at").cast(_US).dt.epoch("us")
    newest = pl.lit(people["as_of"].max(), dtype=pl.Int64)
    known = (
        events.lazy()
        .with_columns(absent)
        .select(*EVENT_COLUMNS, instant=instant, seen=seen_from(events), kept=kept_until(events))
        .filter(pl.col("seen") <= newest)
        .join(people.lazy().select("contact_id", "row", "as_of"), on="contact_id")
        .filter(
            pl.col("seen") <= pl.col("as_of"),
            (pl.col("as_of") < pl.col("kept")).fill_null(value=True),
        )
        .select(
            "row",
            "type",
            pl.col("subject").cast(pl.String),
            pl.col("amount_cents").cast(pl.Int64).fill_null(0),
            "instant",
            starts=pl.col("starts_at").cast(_US).dt.epoch("us"),
            value=pl.when(number.is_finite() & (number.abs() <= LARGEST_VALUE)).then(number),
            properties=pl.col("properties").cast(pl.String),
        )
        .collect()
    )
    rows: Ints = known["row"].to_numpy()
    wall = clocks.wall(known["instant"].to_numpy(), clocks.code[rows])
    age = np.maximum(people["now"].to_numpy()[rows] - wall, 0)
    return known.with_columns(age=pl.Series(age, dtype=pl.Int64), value=_millionths(known["value"]))


def seen_from(events: pl.DataFrame) -> pl.Expr:
    """Since when an event is seen, microseconds UTC: it has happened and is known."""
    columns = [name for name in ("occurred_at", "known_at") if name in events.columns]
    return pl.max_horizontal(pl.col(name).cast(_US).dt.epoch("us") for name in columns)


def kept_until(events: pl.DataFrame) -> pl.Expr:
    """Until when an event is looked at, microseconds UTC; null for ever."""
    if "forgotten_at" not in events.columns:
        return pl.lit(None, dtype=pl.Int64)
    return pl.col("forgotten_at").cast(_US).dt.epoch("us")


def _millionths(values: pl.Series) -> pl.Series:
    """Rounded half to even, as Python does."""
    numbers: Floats = values.fill_null(0.0).to_numpy()
    rounded = pl.Series(np.rint(numbers * MILLION).astype(np.int64))
    return rounded if not values.null_count() else rounded.set(values.is_null(), None)


def integers(numbers: Ints, known: Flags | None = None) -> pl.Series:
    """An Int64 column, null where not known."""
    column = pl.Series(numbers, dtype=pl.Int64)
    return column if known is None or known.all() else column.set(pl.Series(~known), None)


def quotients(above: Ints | Floats, below: Ints | Floats | int, known: Flags) -> pl.Series:
    """A Float64 column of correctly rounded quotients, null where not known.

    In numpy, because polars multiplies by the reciprocal when the divisor is one value, which
    rounds differently from Python and from a longer column.
    """
    found = np.full(len(above), np.nan)
    np.divide(above, below, out=found, where=known)
    return pl.Series(found, dtype=pl.Float64).fill_nan(None)
