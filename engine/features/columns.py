"""Features of many contacts at once, in polars: the batch interpreter of `spec.Feature`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.features.contact import ISO_DATE
from engine.features.spec import EVENT_COLUMNS, Feature, Kind
from engine.features.wall_clock import (
    DAY_US,
    instant_us,
    wall_us,
    wall_us_of,
    whole_months,
    zone_of,
)

# Kinds that are one aggregate over the events of a contact, computed together in one pass.
_AGGREGATES = frozenset({"count", "sum", "days_since_last", "days_since_first", "share", "trend"})
_LAST_AGE = frozenset({"months_since_last", "months_since_last_up", "interval_ratio"})
_INTERVALS = frozenset({"median_interval_days", "interval_ratio"})
_US = pl.Datetime("us", "UTC")
_Mask = Callable[[tuple[str, ...]], pl.Expr]


def feature_columns(
    contacts: pl.DataFrame, events: pl.DataFrame, specs: Sequence[Feature], *, as_of: datetime
) -> pl.DataFrame:
    """One row per contact, in the order of `contacts`: contact_id and one column per spec.

    Args:
        contacts: contact_id (String, unique), timezone (String, IANA; unknown or null is UTC) and
            one column per attribute read; an attribute without a column is null for everybody.
        events: `EVENT_COLUMNS`; events after `as_of` or of other contacts are left out.
        specs: what to compute; names are unique.
        as_of: aware moment of the question.

    Returns counts and sums as Int64 (never null), ages, shares and ratios as Float64, attributes
    in their own type. Null means 'not known', as None does in `contact.features_of`.
    """
    people = _people(contacts, as_of)
    past = _past(people, events, as_of)
    table = (
        people.lazy()
        .join(_aggregated(past, specs), on="row", how="left", maintain_order="left")
        .join(_since_anchors(past, specs), on="row", how="left", maintain_order="left")
        .join(_intervals(past, specs), on="row", how="left", maintain_order="left")
        .join(_next_bookings(past, specs), on="row", how="left", maintain_order="left")
        .collect()
    )
    finished = table.with_columns(_row_wise(table, spec) for spec in specs)
    return finished.select("contact_id", *(spec.name for spec in specs))


def _people(contacts: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Contacts with `row` (their order), `zone` (a known one) and `now` (local wall clock, us)."""
    names: list[str | None] = contacts["timezone"].cast(pl.String).unique().to_list()
    clocks = pl.DataFrame(
        {
            "timezone": names,
            "zone": [zone_of(name).key for name in names],
            "now": [wall_us(as_of, zone_of(name)) for name in names],
        },
        schema={"timezone": pl.String, "zone": pl.String, "now": pl.Int64},
    )
    attributes = {
        name: f"attribute {name}"
        for name in contacts.columns
        if name not in {"contact_id", "timezone"}
    }
    return (
        contacts.rename(attributes)
        .with_columns(pl.col("timezone").cast(pl.String))
        .with_row_index("row")
        .join(clocks, on="timezone", how="left", nulls_equal=True, maintain_order="left")
    )


def _past(people: pl.DataFrame, events: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Events known at `as_of` of these contacts, with instants and wall-clock age, all in us."""
    known = (
        events.lazy()
        .select(EVENT_COLUMNS)
        .filter(pl.col("occurred_at") <= pl.lit(as_of.astimezone(UTC), dtype=_US))
        .join(people.lazy().select("contact_id", "row", "zone", "now"), on="contact_id")
        .select(
            "row",
            "zone",
            "now",
            "type",
            "subject",
            pl.col("amount_cents").cast(pl.Int64).fill_null(0),
            instant=pl.col("occurred_at").cast(_US).dt.epoch("us"),
            starts=pl.col("starts_at").cast(_US).dt.epoch("us"),
        )
        .collect()
    )
    wall = pl.lit(_wall(known["instant"], known["zone"]))
    return known.with_columns(
        age=(pl.col("now") - wall).clip(lower_bound=0),
        after=pl.col("starts") > instant_us(as_of),
    )


def _wall(instants: pl.Series, zones: pl.Series) -> pl.Series:
    at = instants.to_numpy()
    codes = zones.cast(pl.Categorical).to_physical().to_numpy()
    wall = np.empty(len(at), dtype=np.int64)
    for code in np.unique(codes):
        of_zone = np.flatnonzero(codes == code)
        wall[of_zone] = wall_us_of(at[of_zone], zone_of(zones[int(of_zone[0])]))
    return pl.Series(wall, dtype=pl.Int64)


def _is_any(types: Sequence[str]) -> pl.Expr:
    return pl.col("type").is_in(list(types))


def _aggregated(past: pl.DataFrame, specs: Sequence[Feature]) -> pl.LazyFrame:
    """Per contact every aggregate of `specs`: one pass over the events."""
    masks: dict[tuple[str, ...], str] = {}

    def mask(types: tuple[str, ...]) -> pl.Expr:
        return pl.col(masks.setdefault(types, f"is {len(masks)}"))

    wanted = [part for spec in specs for part in _aggregates(spec, mask)]
    flags = [_is_any(types).alias(name) for types, name in masks.items()]
    return past.lazy().with_columns(flags).group_by("row").agg(wanted)


def _aggregates(spec: Feature, mask: _Mask) -> list[pl.Expr]:  # noqa: PLR0911 - one per kind
    if spec.kind not in _AGGREGATES | _LAST_AGE:
        return []
    hit, age, window = mask(spec.types), pl.col("age"), spec.window_days
    inside = hit if window is None else hit & (age <= window * DAY_US)
    ages = pl.when(hit).then(age)
    match spec.kind:
        case "count":
            return [inside.sum().cast(pl.Int64).alias(spec.name)]
        case "sum":
            return [pl.when(inside).then("amount_cents").otherwise(0).sum().alias(spec.name)]
        case "days_since_first":
            return [ages.max().alias(spec.name)]
        case "share":
            whole = mask(spec.of_types)
            whole = whole if window is None else whole & (age <= window * DAY_US)
            return [
                inside.sum().cast(pl.Int64).alias(spec.name),
                whole.sum().cast(pl.Int64).alias(f"of {spec.name}"),
            ]
        case "trend":
            last = hit & (age <= (window or 0) * DAY_US)
            both = hit & (age <= 2 * (window or 0) * DAY_US)
            trend = 2 * last.sum().cast(pl.Int64) - both.sum().cast(pl.Int64)
            return [trend.alias(spec.name)]
        case _:
            return [ages.min().alias(spec.name)]


def _since_anchors(past: pl.DataFrame, specs: Sequence[Feature]) -> pl.LazyFrame:
    """Per contact with any event: events since the newest anchor, null without an anchor."""
    wanted = [spec for spec in specs if spec.kind == "count_since_last"]
    anchors = {anchor: f"anchor {n}" for n, anchor in enumerate({s.anchor: 0 for s in wanted})}
    newest = [
        pl.col("instant").filter(pl.col("type") == anchor).max().alias(name)
        for anchor, name in anchors.items()
    ]
    counts = [
        (_is_any(spec.types) & (pl.col("instant") > pl.col(anchors[spec.anchor])))
        .sum()
        .cast(pl.Int64)
        .alias(spec.name)
        for spec in wanted
    ]
    found = [pl.col(name).first() for name in anchors.values()]
    blank = [
        pl.when(pl.col(anchors[spec.anchor]).is_not_null()).then(spec.name).alias(spec.name)
        for spec in wanted
    ]
    if not wanted:
        return past.lazy().select("row").clear()
    per_contact = past.lazy().group_by("row").agg(newest)
    return (
        past.lazy()
        .join(per_contact, on="row")
        .group_by("row")
        .agg(counts + found)
        .select("row", *blank)
    )


def _intervals(past: pl.DataFrame, specs: Sequence[Feature]) -> pl.LazyFrame:
    """Per contact: median gap in days between distinct local days with an event."""
    tables = past.lazy().select("row").unique()
    for types in {spec.types: 0 for spec in specs if spec.kind in _INTERVALS}:
        names = [s.name for s in specs if s.kind in _INTERVALS and s.types == types]
        days = (
            past.lazy()
            .filter(_is_any(types))
            .select("row", day=(pl.col("now") - pl.col("age")) // DAY_US)
            .unique()
            .sort("row", "day")
            .with_columns(gap=pl.col("day").diff(), same=pl.col("row").diff() == 0)
            .filter("same")
            .group_by("row")
            .agg(pl.col("gap").median().alias(f"usual {name}") for name in names)
        )
        tables = tables.join(days, on="row", how="left")
    return tables


def _next_bookings(past: pl.DataFrame, specs: Sequence[Feature]) -> pl.LazyFrame:
    """Per contact: wall clock (us) of the earliest open booking after `as_of`."""
    tables = past.lazy().select("row").unique()
    for spec in specs:
        if spec.kind != "days_until_next":
            continue
        closed = (
            past.lazy()
            .filter(_is_any(spec.closed_by) & pl.col("subject").is_not_null())
            .group_by("row", "subject")
            .agg(closed=pl.col("instant").max())
        )
        opened = (
            past.lazy()
            .filter(_is_any(spec.types) & pl.col("after"))
            .join(closed, on=["row", "subject"], how="left")
            .filter((pl.col("closed") <= pl.col("instant")).fill_null(value=True))
            .select("row", "zone", "starts")
            .collect()
        )
        starts = opened.with_columns(at=_wall(opened["starts"], opened["zone"]))
        earliest = starts.lazy().group_by("row").agg(pl.col("at").min().alias(f"next {spec.name}"))
        tables = tables.join(earliest, on="row", how="left")
    return tables


def _row_wise(table: pl.DataFrame, spec: Feature) -> pl.Expr:
    """The finished column of one spec, from the aggregates beside it."""
    return _FINISH[spec.kind](table, spec).alias(spec.name)


def _attribute(table: pl.DataFrame, spec: Feature) -> pl.Expr:
    column = f"attribute {spec.attribute or spec.name}"
    return pl.col(column) if column in table.columns else pl.lit(None, dtype=pl.String)


def _days_until_date(table: pl.DataFrame, spec: Feature) -> pl.Expr:
    column = f"attribute {spec.attribute or spec.name}"
    if table.schema.get(column) != pl.String:
        return pl.lit(None, dtype=pl.Int64)
    text = pl.when(pl.col(column).str.contains(ISO_DATE)).then(column)
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Int64)
    return day - pl.col("now") // DAY_US


def _months_since_last(table: pl.DataFrame, spec: Feature) -> pl.Expr:
    now, ages = table["now"].to_numpy(), table[spec.name]
    months = whole_months(now - ages.fill_null(0).to_numpy(), now)
    whole = months.down if spec.kind == "months_since_last" else months.up
    return pl.when(pl.lit(ages).is_not_null()).then(pl.lit(pl.Series(whole, dtype=pl.Int64)))


def _local_month_day(_table: pl.DataFrame, _spec: Feature) -> pl.Expr:
    today = pl.col("now").cast(pl.Datetime("us")).dt
    return today.month().cast(pl.Int64) * 100 + today.day().cast(pl.Int64)


def _or_zero(_table: pl.DataFrame, spec: Feature) -> pl.Expr:
    return pl.col(spec.name).fill_null(0)


def _in_days(table: pl.DataFrame, spec: Feature) -> pl.Expr:
    return pl.lit(_quotient(table[spec.name], DAY_US))


def _days_until_next(table: pl.DataFrame, spec: Feature) -> pl.Expr:
    return pl.lit(_quotient((table[f"next {spec.name}"] - table["now"]).clip(0), DAY_US))


def _share(table: pl.DataFrame, spec: Feature) -> pl.Expr:
    whole = table[f"of {spec.name}"]
    return pl.lit(_quotient(table[spec.name], whole.set(whole == 0, None)))


def _interval_ratio(table: pl.DataFrame, spec: Feature) -> pl.Expr:
    days = _quotient(table[spec.name], DAY_US)
    return pl.lit(_quotient(days, table[f"usual {spec.name}"]))


def _quotient(above: pl.Series, below: pl.Series | int) -> pl.Series:
    """Correctly rounded Float64 division, null where either side is.

    In numpy, because polars multiplies by the reciprocal when the divisor is one value, which
    rounds differently from Python and from a longer column.
    """
    divisor = float(below) if isinstance(below, int) else _floats(below)
    return pl.Series(_floats(above) / divisor, dtype=pl.Float64).fill_nan(None)


def _floats(series: pl.Series) -> NDArray[np.float64]:
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


_FINISH: dict[Kind, Callable[[pl.DataFrame, Feature], pl.Expr]] = {
    "attribute": _attribute,
    "count": _or_zero,
    "sum": _or_zero,
    "trend": _or_zero,
    "days_since_last": _in_days,
    "days_since_first": _in_days,
    "months_since_last": _months_since_last,
    "months_since_last_up": _months_since_last,
    "count_since_last": lambda _, spec: pl.col(spec.name),
    "median_interval_days": lambda _, spec: pl.col(f"usual {spec.name}"),
    "interval_ratio": _interval_ratio,
    "days_until_next": _days_until_next,
    "share": _share,
    "days_until_date": _days_until_date,
    "local_month_day": _local_month_day,
}
