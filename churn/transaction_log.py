"""Any transaction log (customer, time, amount) as visit days, ready to be looked at from any day.

A visit is a day on which a customer paid something: several receipts of a day are one visit, and an
amount of zero or less is a return, not a visit. Days count from the log's first day, in the log's
own local time.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from churn.feature_rows import Array
from churn.tabular import read_frame
from engine.errors import InvalidInput

_TIMES = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y%m%d",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
)
_DAY_SECONDS = 86_400
# No receipt of a service business is larger; more is a fault of the file, and totals in
# ten-thousandths of it would not fit.
_LARGEST_AMOUNT = 1e9


@dataclass(frozen=True, slots=True)
class TransactionLog:
    """Visits and returns by customer; rows sorted by customer, then day.

    Attributes:
        customers: the customers' names, sorted; a row names one by place.
        customer, day, spend, receipts: of each visit day; `day` whole, from 0.
        returned_customer, returned_day, returned_amount: of each return; amounts not negative.
        days: one more than the last day of the log.
        first_weekday, first_day_of_year: of day 0: 0 = Monday, 1 = 1 January.
        rows_read, rows_left_out: of the file; left out were those without a customer or time, with
            an amount that is no number, or in the future.
    """

    customers: tuple[str, ...]
    customer: NDArray[np.int64]
    day: NDArray[np.int64]
    spend: Array
    receipts: Array
    returned_customer: NDArray[np.int64]
    returned_day: NDArray[np.int64]
    returned_amount: Array
    days: int
    first_weekday: int
    first_day_of_year: int
    rows_read: int
    rows_left_out: int


def read_log(path: Path, *, customer: str, time: str, amount: str) -> TransactionLog:
    """The log of a CSV or Parquet file."""
    return log_of(read_frame(path), customer=customer, time=time, amount=amount)


def log_of(frame: pl.DataFrame, *, customer: str, time: str, amount: str) -> TransactionLog:
    """The log of a frame, repeated rows once.

    Raises:
        InvalidInput: a column is missing, times can't be read, or there is no visit at all.
    """
    missing = [name for name in (customer, time, amount) if name not in frame.columns]
    if missing:
        raise InvalidInput(
            f"The log has no column {', '.join(map(repr, missing))}.",
            hint=f"It has {', '.join(frame.columns)}.",
        )
    told = pl.DataFrame(
        {
            "customer": frame[customer].cast(pl.String).str.strip_chars(),
            "at": _times(frame[time], time),
            "amount": frame[amount].cast(pl.Float64, strict=False),
        }
    )
    known = told.filter(
        pl.col("customer").is_not_null()
        & (pl.col("customer") != "")
        & pl.col("at").is_not_null()
        & pl.col("amount").is_finite()
        & (pl.col("amount").abs() < _LARGEST_AMOUNT)
    )
    if not (known["amount"] > 0).any():
        raise InvalidInput(
            "The log has no visit: no row with a customer, a time and an amount above zero.",
            hint=f"{frame.height} rows were read, {known.height} of them complete.",
        )
    return _sorted(known, rows_read=frame.height)


def _times(column: pl.Series, name: str) -> pl.Series:
    """Local time without zone."""
    if column.dtype == pl.Datetime:
        return column.dt.replace_time_zone(None).dt.cast_time_unit("us")
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    if column.dtype.is_numeric():
        column = column.cast(pl.Int64).cast(pl.String)
    text = column.cast(pl.String).str.strip_chars().str.strip_suffix("Z").str.slice(0, 19)
    known = int((text.is_not_null() & (text != "")).sum())
    best, read = None, 0
    for form in _TIMES:
        if "H" in form:
            times = text.str.to_datetime(form, strict=False, time_unit="us")
        else:
            times = text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
        count = int(times.is_not_null().sum())
        if count > read:
            best, read = times, count
    if best is None or read < 0.9 * known:
        raise InvalidInput(
            f"The times in {name!r} can't be read: {text.drop_nulls().head(3).to_list()}.",
            hint="ISO 8601, for example 2011-08-11 14:03:00.",
        )
    return best


def _sorted(known: pl.DataFrame, *, rows_read: int) -> TransactionLog:
    first = known["at"].dt.date().min()
    since = (pl.col("at").dt.date() - pl.lit(first)).dt.total_days().alias("day")
    rows = known.with_columns(since)
    visits = (
        rows.filter(pl.col("amount") > 0)
        .group_by("customer", "day")
        .agg(spend=pl.col("amount").sum(), receipts=pl.len())
        .sort("customer", "day")
    )
    names = visits["customer"].unique().sort()
    place = pl.DataFrame({"customer": names, "place": np.arange(len(names))})
    visits = visits.join(place, on="customer", how="left", maintain_order="left")
    returns = (
        rows.filter(pl.col("amount") <= 0)
        .join(place, on="customer", how="inner")
        .sort("place", "day", "amount")
    )
    return TransactionLog(
        customers=tuple(names),
        customer=visits["place"].to_numpy().astype(np.int64),
        day=visits["day"].to_numpy().astype(np.int64),
        spend=visits["spend"].to_numpy().astype(np.float64),
        receipts=visits["receipts"].to_numpy().astype(np.float64),
        returned_customer=returns["place"].to_numpy().astype(np.int64),
        returned_day=returns["day"].to_numpy().astype(np.int64),
        returned_amount=-returns["amount"].to_numpy().astype(np.float64),
        days=int(visits["day"].max()) + 1,  # type: ignore[arg-type]
        first_weekday=first.weekday(),  # type: ignore[union-attr]
        first_day_of_year=first.timetuple().tm_yday,  # type: ignore[union-attr]
        rows_read=rows_read,
        rows_left_out=rows_read - known.height,
    )
