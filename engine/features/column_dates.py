"""Features that go by the calendar, for many contacts: dates, anniversaries, recalls, holidays."""

import numpy as np
import polars as pl

from engine.features.column_history import Batch, Flags, Ints, integers
from engine.features.column_subjects import given
from engine.features.contact_dates import ISO_DATE, LONGEST_RECALL_MONTHS
from engine.features.spec import Feature
from engine.features.wall_clock import DAY_US, EPOCH_DAY, whole_months

_EPOCH_MONTH = 1970 * 12
_ACCOUNT = ["account", "as_of"]  # its members as they are asked for at one moment


def days_until_date(batch: Batch, spec: Feature) -> pl.Series:
    days, known = _dates(batch, spec)
    return integers(days - batch.day, known)


def months_since_last(batch: Batch, spec: Feature) -> pl.Series:
    return _months(
        batch.now - batch.youngest(spec.types), batch.now, batch.any_of(spec.types), spec
    )


def months_since_first(batch: Batch, spec: Feature) -> pl.Series:
    return _months(batch.now - batch.oldest(spec.types), batch.now, batch.any_of(spec.types), spec)


def months_since_date(batch: Batch, spec: Feature) -> pl.Series:
    days, known = _dates(batch, spec)
    return _months(days * DAY_US, batch.day * DAY_US, known & (days <= batch.day), spec)


def days_until_anniversary(batch: Batch, spec: Feature) -> pl.Series:
    days, known = _dates(batch, spec)
    year = batch.day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    this_year = _in_year(days, year) - batch.day
    next_year = _in_year(days, year + 1) - batch.day
    return integers(np.where(this_year >= 0, this_year, next_year), known)


def days_until_recall(batch: Batch, spec: Feature) -> pl.Series:
    last = _local_days(batch, batch.newest_instant(spec.types), batch.clocks.code, batch.now)
    months, own = _own_interval(batch, spec)
    due = np.where(own, months_later(last, months), _after_interval(last, spec))
    known = own | np.full(batch.size, _has_interval(spec))
    return integers(due - batch.day, known & batch.any_of(spec.types))


def members_due(batch: Batch, spec: Feature) -> pl.Series:
    """Members are the contacts with the same account_id; one without has only itself."""
    if not _has_interval(spec):
        return integers(np.zeros(batch.size, dtype=np.int64))
    people = batch.once("accounts", lambda: _accounts(batch))
    seen = batch.any_of(spec.types)
    last = people.filter(pl.Series(seen)).select(
        "account", "as_of", instant=pl.Series(batch.newest_instant(spec.types)[seen])
    )
    # What one sees of the others goes by one's own clock: each account once per clock in it.
    pairs = last.join(people.unique([*_ACCOUNT, "clock"]), on=_ACCOUNT)
    now: Ints = pairs["now"].to_numpy()
    days = _local_days(batch, pairs["instant"].to_numpy(), pairs["clock"].to_numpy(), now)
    due = _after_interval(days, spec) - now // DAY_US <= (spec.window_days or 0)
    counts = pairs.filter(pl.Series(due, dtype=pl.Boolean)).group_by(*_ACCOUNT, "clock").len("due")
    found = people.join(counts, on=[*_ACCOUNT, "clock"], how="left", maintain_order="left")
    return found["due"].fill_null(0).cast(pl.Int64)


def local_month_day(batch: Batch, spec: Feature) -> pl.Series:  # noqa: ARG001 - one shape for all
    today = pl.Series(batch.now, dtype=pl.Int64).cast(pl.Datetime("us")).dt
    return today.month().cast(pl.Int64) * 100 + today.day().cast(pl.Int64)


def local_weekday(batch: Batch, spec: Feature) -> pl.Series:  # noqa: ARG001 - one shape for all
    return integers((batch.day + 3) % 7 + 1)  # 1970-01-01 was a Thursday, day 4


def holiday(batch: Batch, spec: Feature) -> pl.Series:  # noqa: ARG001 - one shape for all
    if batch.holidays is None:
        return pl.Series([None], dtype=pl.Boolean).new_from_index(0, batch.size)
    days = [day.toordinal() - EPOCH_DAY for day in batch.holidays]
    return pl.Series(np.isin(batch.day, days), dtype=pl.Boolean)


def _dates(batch: Batch, spec: Feature) -> tuple[Ints, Flags]:
    """Days from 1970-01-01 to the date a spec reads, 0 where it is not known."""
    column = given(batch, spec)
    if column is None or column.dtype != pl.String:
        return np.zeros(batch.size, dtype=np.int64), np.zeros(batch.size, dtype=np.bool_)
    text = pl.when(column.str.contains(ISO_DATE)).then(column)
    day = pl.select(text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32)).to_series()
    return day.cast(pl.Int64).fill_null(0).to_numpy(), day.is_not_null().to_numpy()


def _months(then: Ints, now: Ints, known: Flags, spec: Feature) -> pl.Series:
    months = whole_months(then, now)
    return integers(months.up if spec.kind.endswith("_up") else months.down, known)


def _month_of(days: Ints) -> tuple[Ints, Ints]:
    """Months since 1970-01, and the day of the month from 0."""
    month = days.astype("datetime64[D]").astype("datetime64[M]")
    return month.astype(np.int64), days - month.astype("datetime64[D]").astype(np.int64)


def _day_of(month: Ints, day: Ints) -> Ints:
    """That day (from 0) of that month, or its last day if it has fewer."""
    first = month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (month + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    found: Ints = np.minimum(first + day, after - 1)
    return found


def months_later(days: Ints, months: Ints | int) -> Ints:
    month, day = _month_of(days)
    return _day_of(month + months, day)


def _in_year(days: Ints, year: Ints) -> Ints:
    month, day = _month_of(days)
    return _day_of(year * 12 - _EPOCH_MONTH + month % 12, day)


def _has_interval(spec: Feature) -> bool:
    return spec.every_months is not None or spec.every_days is not None


def _after_interval(days: Ints, spec: Feature) -> Ints:
    if spec.every_months is not None:
        return months_later(days, spec.every_months)
    return days + (spec.every_days or 0)


def _own_interval(batch: Batch, spec: Feature) -> tuple[Ints, Flags]:
    """The contact's own interval in months, 0 where it has none."""
    column = None if spec.attribute is None else batch.attribute(spec.attribute)
    if column is None or not column.dtype.is_numeric():
        return np.zeros(batch.size, dtype=np.int64), np.zeros(batch.size, dtype=np.bool_)
    months = column.cast(pl.Float64).fill_null(0.0).fill_nan(0.0).to_numpy()
    whole = (months >= 1) & (months <= LONGEST_RECALL_MONTHS) & (months == np.floor(months))
    return np.where(whole, months, 0).astype(np.int64), whole


def _local_days(batch: Batch, instants: Ints, clocks: Ints, now: Ints) -> Ints:
    """Local dates of past instants: a clock set back makes none of them tomorrow."""
    return np.minimum(batch.clocks.wall(instants, clocks), now) // DAY_US


def _accounts(batch: Batch) -> pl.DataFrame:
    """account, clock, as_of and now of each contact."""
    alone = pl.lit("row ") + pl.col("row").cast(pl.String)
    account = alone
    if batch.attribute("account_id") is not None:
        named = pl.lit("account ") + pl.col("attribute account_id").cast(pl.String)
        account = pl.coalesce(named, alone)
    return batch.people.select("clock", "as_of", "now", account=account)
