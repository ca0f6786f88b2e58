"""Predicted against observed: by tenth of the predictions, by segment, by month."""

from dataclasses import dataclass

import polars as pl
from scipy.stats import binom

from churn.closed_windows import SEGMENTS, closed_only
from churn.drift import BAND

TENTHS = 10


@dataclass(frozen=True, slots=True)
class Point:
    """One group of contacts.

    Attributes:
        name: of the group.
        n: rows in it.
        predicted, observed: mean P(churn), share that left.
        low, high: shares between which 99 of 100 such groups lie if the predictions are right.
        learnt_from: whether the model had seen these windows.
    """

    name: str
    n: int
    predicted: float
    observed: float
    low: float
    high: float
    learnt_from: bool = False


def by_tenth(windows: pl.DataFrame, scorer: str, days: int) -> list[Point]:
    """Ten groups of one size, lowest predictions first; equal predictions may share a group."""
    closed = closed_only(windows, days)
    if closed.height < TENTHS:
        return []
    place = (pl.col(f"{scorer}_{days}").rank("ordinal") - 1) * TENTHS // pl.len()
    named = closed.with_columns(place.alias("group"))
    found = _points(named, "group", scorer, days).sort("group")
    return [_point(f"{row[0] + 1}", *row[1:]) for row in found.iter_rows()]


def by_segment(windows: pl.DataFrame, scorer: str, days: int) -> list[Point]:
    """By visits so far."""
    closed = closed_only(windows, days)
    if not closed.height:
        return []
    found = {row[0]: row[1:] for row in _points(closed, "segment", scorer, days).iter_rows()}
    return [_point(name, *found[name]) for _, name in SEGMENTS if name in found]


def by_month(
    windows: pl.DataFrame, scorer: str, days: int, *, unseen_from: str | None
) -> list[Point]:
    """By month of the prediction; months before `unseen_from` (YYYY-MM) were learnt from."""
    closed = closed_only(windows, days)
    if not closed.height:
        return []
    named = closed.with_columns(month=pl.col("origin").dt.strftime("%Y-%m"))
    found = _points(named, "month", scorer, days).sort("month")
    return [
        _point(row[0], *row[1:], learnt_from=unseen_from is not None and row[0] < unseen_from)
        for row in found.iter_rows()
    ]


def _points(rows: pl.DataFrame, by: str, scorer: str, days: int) -> pl.DataFrame:
    return rows.group_by(by).agg(
        pl.len().cast(pl.Int64),
        pl.col(f"{scorer}_{days}").mean(),
        pl.col(f"churned_{days}").cast(pl.Float64).mean().alias("observed"),
    )


def _point(
    name: str, n: int, predicted: float, observed: float, *, learnt_from: bool = False
) -> Point:
    low, high = binom.interval(BAND, n, min(max(predicted, 0.0), 1.0))
    return Point(name, n, predicted, observed, float(low) / n, float(high) / n, learnt_from)
