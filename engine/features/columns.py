"""Features of many contacts at once, as columns: the batch interpreter of `spec.Feature`."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime

import numpy as np
import polars as pl

from engine.features.column_dates import (
    days_until_anniversary,
    days_until_date,
    days_until_recall,
    holiday,
    local_month_day,
    local_weekday,
    members_due,
    months_since_date,
    months_since_first,
    months_since_last,
)
from engine.features.column_habits import (
    day_gaps,
    distinct_count,
    interval_spread,
    mean_change,
    median_lead_days,
    season_count,
    top_share,
)
from engine.features.column_history import (
    Batch,
    Flags,
    Floats,
    Ints,
    integers,
    past_of,
    people_of,
    quotients,
)
from engine.features.column_subjects import (
    days_until_next,
    given,
    median_latency_days,
    oldest_open_days,
    open_count,
    property_value,
)
from engine.features.contact_history import MILLION
from engine.features.spec import CONTACT, Feature, Kind
from engine.features.wall_clock import DAY_US


def feature_columns(
    contacts: pl.DataFrame,
    events: pl.DataFrame,
    specs: Sequence[Feature],
    *,
    as_of: datetime,
    holidays: frozenset[date] | None = None,
) -> pl.DataFrame:
    """One row per contact, in the order of `contacts`: contact_id and one column per spec.

    Args:
        contacts: contact_id (String, unique), timezone (String, IANA; unknown or null is UTC) and
            one column per attribute read; an attribute without a column is null for everybody.
            For members_due account_id too: all contacts with the same one are its members, so
            a frame that holds only part of an account counts only that part. A column as_of
            (Datetime) gives each row a moment of its own; then a contact may stand in several
            rows, and the members of an account are those asked for at the same moment.
        events: `spec.EVENT_COLUMNS`, of which value and properties may be absent; events after
            `as_of` or of other contacts are left out. With a column known_at (Datetime), so are
            those that were learnt of later; with forgotten_at, those no longer looked at then.
        specs: what to compute, names are unique; those about a subject are left to
            `subjects.subject_columns`.
        as_of: aware moment of the question, for rows without one of their own.
        holidays: the tenant's public holidays; None if they are not known.

    Returns counts, sums, whole days and months as Int64, ages, shares, ratios and numbers of
    events as Float64, attributes in their own type. Null means 'not known', as None does in
    `contact.features_of`.
    """
    people, clocks = people_of(contacts, as_of)
    past = past_of(people, clocks, events)
    batch = Batch(people, past, clocks, holidays)
    return columns_of(batch, (spec for spec in specs if spec.scope == CONTACT))


def columns_of(batch: Batch, specs: Iterable[Feature]) -> pl.DataFrame:
    """contact_id and the column of every spec, whatever its scope, computed from this batch."""
    columns = [_COLUMNS[spec.kind](batch, spec).alias(spec.name) for spec in specs]
    return pl.DataFrame([batch.people["contact_id"], *columns])


def _unknown(batch: Batch, dtype: type[pl.DataType]) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, batch.size)


def _attribute(batch: Batch, spec: Feature) -> pl.Series:
    column = batch.attribute(spec.attribute or spec.name)
    return _unknown(batch, pl.String) if column is None else column


def _has(batch: Batch, spec: Feature) -> pl.Series:
    column = given(batch, spec, "list")
    if column is None or column.dtype != pl.String:
        return _unknown(batch, pl.Boolean)
    items = pl.lit("\n") + column + pl.lit("\n")
    return pl.select(items.str.contains(f"\n{spec.value}\n", literal=True)).to_series()


def _count(batch: Batch, spec: Feature) -> pl.Series:
    return integers(batch.count(spec.types, spec.window_days))


def _sum(batch: Batch, spec: Feature) -> pl.Series:
    return integers(batch.sum_cents(spec.types, spec.window_days))


def _days_since_last(batch: Batch, spec: Feature) -> pl.Series:
    return quotients(batch.youngest(spec.types), DAY_US, batch.any_of(spec.types))


def _days_since_first(batch: Batch, spec: Feature) -> pl.Series:
    return quotients(batch.oldest(spec.types), DAY_US, batch.any_of(spec.types))


def _count_since_last(batch: Batch, spec: Feature) -> pl.Series:
    anchor = (spec.anchor or "",)
    family, anchors = batch.family(spec.types), batch.newest_instant(anchor)
    rows = family.rows[family.instants > anchors[family.rows]]
    return integers(np.bincount(rows, minlength=batch.size), batch.any_of(anchor))


def _median_interval_days(batch: Batch, spec: Feature) -> pl.Series:
    medians, known = _usual_interval(batch, spec.types)
    return quotients(medians, 1, known)


def _interval_ratio(batch: Batch, spec: Feature) -> pl.Series:
    medians, known = _usual_interval(batch, spec.types)
    return quotients(batch.youngest(spec.types) / DAY_US, medians, known)


def _usual_interval(batch: Batch, types: tuple[str, ...]) -> tuple[Floats, Flags]:
    """Median gap in days between distinct local days with an event; known if there is a gap."""
    return batch.once(("usual interval", types), lambda: batch.median(*day_gaps(batch, types)))


def _share(batch: Batch, spec: Feature) -> pl.Series:
    whole = batch.count(spec.of_types, spec.window_days)
    return quotients(batch.count(spec.types, spec.window_days), whole, whole > 0)


def _trend(batch: Batch, spec: Feature) -> pl.Series:
    window = spec.window_days or 0
    return integers(2 * batch.count(spec.types, window) - batch.count(spec.types, 2 * window))


def _last_value(batch: Batch, spec: Feature) -> pl.Series:
    values, ends, counts = _values(batch, spec.types)
    known = counts > 0
    return quotients(_taken(values, ends - 1, known), MILLION, known)


def _value_change(batch: Batch, spec: Feature) -> pl.Series:
    values, ends, counts = _values(batch, spec.types)
    known = counts > 1
    change = _taken(values, ends - 1, known) - _taken(values, ends - 2, known)
    return quotients(change, MILLION, known)


def _mean_value(batch: Batch, spec: Feature) -> pl.Series:
    family = batch.family(spec.types)
    carry = family.within(spec.window_days) & family.frame["value"].is_not_null().to_numpy()
    total = np.zeros(batch.size, dtype=np.int64)
    np.add.at(total, family.rows[carry], family.frame["value"].fill_null(0).to_numpy()[carry])
    counts = np.bincount(family.rows[carry], minlength=batch.size)
    return quotients(total, counts * MILLION, counts > 0)


def _values(batch: Batch, types: tuple[str, ...]) -> tuple[Ints, Ints, Ints]:
    """Numbers of events in millionths, by row and then oldest first; each row's end and count."""

    def compute() -> tuple[Ints, Ints, Ints]:
        carry = batch.family(types).frame.filter(pl.col("value").is_not_null())
        in_order = carry.select("row", "instant", "value").sort("row", "instant", "value")
        counts = np.bincount(carry["row"].to_numpy(), minlength=batch.size)
        return in_order["value"].to_numpy(), np.cumsum(counts), counts

    return batch.once(("values", types), compute)


def _taken(values: Ints, at: Ints, known: Flags) -> Ints:
    """values[at] where known, else 0."""
    taken = np.zeros(len(at), dtype=np.int64)
    taken[known] = values[at[known]]
    return taken


_COLUMNS: dict[Kind, Callable[[Batch, Feature], pl.Series]] = {
    "attribute": _attribute,
    "has": _has,
    "count": _count,
    "sum": _sum,
    "days_since_last": _days_since_last,
    "days_since_first": _days_since_first,
    "months_since_last": months_since_last,
    "months_since_last_up": months_since_last,
    "months_since_first": months_since_first,
    "months_since_first_up": months_since_first,
    "count_since_last": _count_since_last,
    "median_interval_days": _median_interval_days,
    "days_until_next": days_until_next,
    "share": _share,
    "trend": _trend,
    "interval_ratio": _interval_ratio,
    "last_value": _last_value,
    "mean_value": _mean_value,
    "value_change": _value_change,
    "mean_change": mean_change,
    "interval_spread": interval_spread,
    "median_lead_days": median_lead_days,
    "season_count": season_count,
    "distinct_count": distinct_count,
    "top_share": top_share,
    "open_count": open_count,
    "oldest_open_days": oldest_open_days,
    "median_latency_days": median_latency_days,
    "days_until_date": days_until_date,
    "months_since_date": months_since_date,
    "months_since_date_up": months_since_date,
    "days_until_anniversary": days_until_anniversary,
    "days_until_recall": days_until_recall,
    "members_due": members_due,
    "property": property_value,
    "local_month_day": local_month_day,
    "local_weekday": local_weekday,
    "holiday": holiday,
}
