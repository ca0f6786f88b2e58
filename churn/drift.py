"""Has the world moved away from what the model learnt? Inputs, scores, and outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import binom

from churn.closed_windows import closed_only
from churn.feature_rows import Array
from churn.features import is_clock, label

# Of fewer rows the index is noise: with 10 bins and 500 rows its own spread is about 0.04.
MIN_ROWS = 500
BINS = 10
WARN, ACT = 0.1, 0.25
# one false alarm in a hundred looks
BAND = 0.99
_SMALLEST_SHARE = 1e-4


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one input, or the score, lies from where it was.

    Attributes:
        name: of the feature; 'P(churn within 90 days)' for the score.
        psi: population stability index; None with under 500 rows on either side.
        psi_before: of the same time before the training, while the model was learning; None where
            the history doesn't reach so far, or with too few rows.
        null_before, null_now: shares that are not known.
    """

    name: str
    psi: float | None
    null_before: float
    null_now: float
    psi_before: float | None = None

    @property
    def moved(self) -> bool:
        """Whether this is another population than the model learnt from.

        Clocks run on in every business: tenure, days since a contract began, counts over a window
        that the history had not filled. What moved as far while the model was learning is no news,
        so the index must be clearly above that; where that can't be told, clocks are passed over.
        """
        if self.psi is None or self.psi < ACT:
            return False
        if self.psi_before is None:
            return not is_clock(self.name)
        return self.psi > self.psi_before + WARN


@dataclass(frozen=True, slots=True)
class Agreement:
    """Predictions of one month and horizon beside what happened.

    Attributes:
        month: of the origin, e.g. 2011-08.
        expected, observed: mean prediction, share that left.
        low, high: shares between which 99 of 100 months lie if the predictions are right.
    """

    month: str
    horizon_days: int
    n: int
    expected: float
    observed: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        """Whether what happened lies in the band."""
        return self.low <= self.observed <= self.high


def psi(before: Array, now: Array) -> float | None:
    """Population stability index over tenths of `before`, what is not known as a bin of its own.

    Sum over bins of (q - p) ln(q / p): 0 if nothing moved, above 0.1 worth a look, above 0.25 not
    the same population any more. None with under 500 values on either side.
    """
    if min(before.size, now.size) < MIN_ROWS:
        return None
    known = before[~np.isnan(before)]
    edges = (
        np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
        if known.size
        else np.zeros(0)
    )
    shares = []
    for values in (before, now):
        null = np.isnan(values)
        place = np.searchsorted(edges, values[~null], side="left")
        counts = np.append(np.bincount(place, minlength=edges.size + 1), null.sum())
        shares.append(np.maximum(counts / values.size, _SMALLEST_SHARE))
    was, is_now = shares
    return float(((is_now - was) * np.log(is_now / was)).sum())


def shifts(
    before: pl.DataFrame,
    now: pl.DataFrame,
    names: Sequence[str],
    *,
    earlier: pl.DataFrame | None = None,
) -> list[Shift]:
    """The shift of each column, largest first; columns that can't be told last.

    `earlier` is the population as long before `before` as `now` is after it; None where there is
    no history so old.
    """
    found = [
        _shift(
            name,
            _numbers(before[name]),
            _numbers(now[name]),
            None if earlier is None else _numbers(earlier[name]),
        )
        for name in names
    ]
    return sorted(found, key=lambda each: (-(-1.0 if each.psi is None else each.psi), each.name))


def _shift(name: str, before: Array, now: Array, earlier: Array | None) -> Shift:
    lacking = [float(np.isnan(v).mean()) if v.size else 0.0 for v in (before, now)]
    usual = None if earlier is None else psi(earlier, before)
    return Shift(name, psi(before, now), lacking[0], lacking[1], usual)


def _numbers(column: pl.Series) -> Array:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def agreements(windows: pl.DataFrame, scorer: str, horizons: Sequence[int]) -> list[Agreement]:
    """By month and horizon of `closed_windows`, where the windows have closed; oldest first."""
    found = []
    for days in horizons:
        closed = closed_only(windows, days)
        if not closed.height:
            continue
        months = closed.group_by(pl.col("origin").dt.strftime("%Y-%m").alias("month")).agg(
            n=pl.len(),
            expected=pl.col(f"{scorer}_{days}").mean(),
            observed=pl.col(f"churned_{days}").mean(),
        )
        for month, n, expected, observed in months.sort("month").iter_rows():
            low, high = binom.interval(BAND, n, expected)
            found.append(
                Agreement(month, days, n, expected, observed, float(low) / n, float(high) / n)
            )
    return found


def alerts(
    inputs: Sequence[Shift], score: Shift | None, calibration: Sequence[Agreement]
) -> list[str]:
    """What a person has to know, in words; empty if the model still fits."""
    told = [
        f"{label(each.name)}: PSI {each.psi:.2f}, not the population that was learnt from"
        + (
            f" (not known: {each.null_before:.0%} then, {each.null_now:.0%} now; is its source"
            " still connected?)"
            if each.null_now > each.null_before + 0.2
            else ""
        )
        for each in inputs
        if each.moved
    ]
    if score is not None and score.moved:
        told.append(f"risk itself: PSI {score.psi:.2f} against the time of the training")
    told += [
        f"{each.month}, {each.horizon_days} days: {each.observed:.1%} left, "
        f"{each.expected:.1%} were expected ({each.low:.1%} to {each.high:.1%})"
        for each in calibration
        if not each.agrees
    ]
    return told
