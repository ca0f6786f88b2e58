"""Snapshots at rolling origins, and what became of each contact after them.

Nothing here looks past the moment it is given: an outcome sees visits up to `data_until`, and what
happens later is unknown (censored), never 'did not happen'.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from churn.definition import HORIZON_DAYS, HORIZONS, PERIOD_DAYS, PERIODS, ChurnDefinition
from churn.feature_rows import Array

# Before the first origin there must be something to see of a contact.
RUN_UP_DAYS = 90
STEP_DAYS = 30
SHORT_HISTORY_DAYS = 365
SHORT_HISTORY_STEP_DAYS = 14
CALIBRATION_ORIGINS = 2
_DAY_MICROSECONDS = 86_400_000_000
_PERIOD_ENDS = np.array(HORIZONS, dtype=np.float64)[:, None]


@dataclass(frozen=True, slots=True)
class Origins:
    """The moments at which contacts are looked at; all at 00:00 UTC.

    Attributes:
        training: ascending, all before `test`.
        calibration: the last two of `training` whose 120 days had passed at `test`; may be fewer.
        test: the last moment whose 120 days have passed at the end of the data. Nothing after it
            may influence the model that is tested there.
    """

    training: tuple[datetime, ...]
    calibration: tuple[datetime, ...]
    test: datetime


def rolling_origins(first_at: datetime, data_until: datetime) -> Origins:
    """Origins every 30 days backwards from the test origin; every 14 with under a year of history.

    Args:
        first_at: the oldest event, aware.
        data_until: the newest event, aware.
    """
    horizon = timedelta(days=HORIZON_DAYS)
    test = (data_until - horizon).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    short = data_until - first_at < timedelta(days=SHORT_HISTORY_DAYS)
    step = timedelta(days=SHORT_HISTORY_STEP_DAYS if short else STEP_DAYS)
    earliest = first_at + timedelta(days=RUN_UP_DAYS)
    training: list[datetime] = []
    origin = test - step
    while origin >= earliest:
        training.insert(0, origin)
        origin -= step
    closed = [origin for origin in training if origin + horizon <= test]
    return Origins(
        training=tuple(training), calibration=tuple(closed[-CALIBRATION_ORIGINS:]), test=test
    )


def visits_of(events: pl.DataFrame, definition: ChurnDefinition, until: datetime) -> pl.DataFrame:
    """Visits up to and including `until`: `contact_id`, `occurred_at`, sorted by both."""
    return (
        events.lazy()
        .filter(pl.col("type").is_in(definition.visit_types), pl.col("occurred_at") <= until)
        .select("contact_id", "occurred_at")
        .sort("contact_id", "occurred_at")
        .collect()
    )


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of contacts after an origin; arrays in the order asked for.

    Attributes:
        churn_days: days from the origin to the churn date; NaN where none was reached within the
            follow-up or the 120 days.
        followed_days: days of follow-up, at most 120; the same for all contacts of an origin.
    """

    churn_days: Array
    followed_days: float

    def churned_within(self, horizon_days: int) -> NDArray[np.bool_]:
        """Whether the churn date fell within the horizon; the horizon must be closed."""
        if horizon_days > self.followed_days:
            raise ValueError(f"{horizon_days} days asked, {self.followed_days} days followed")
        return self.churn_days <= horizon_days


def outcomes(
    snapshot: pl.DataFrame, visits: pl.DataFrame, *, origin: datetime, data_until: datetime
) -> Outcomes:
    """The churn date of each contact: end of the first silence as long as its limit.

    Args:
        snapshot: contacts at risk at the origin, one row each: `contact_id`, `limit_days`,
            `days_to_limit` (> 0).
        visits: as from `visits_of`.
        origin: the moment of the snapshot.
        data_until: end of what is known; later visits are not looked at.
    """
    followed = min((data_until - origin) / timedelta(days=1), float(HORIZON_DAYS))
    end = origin + timedelta(days=followed)
    later = (
        visits.lazy()
        .filter(pl.col("occurred_at") > origin, pl.col("occurred_at") <= end)
        .select(
            "contact_id",
            visit_days=(pl.col("occurred_at") - origin).dt.total_microseconds() / _DAY_MICROSECONDS,
        )
    )
    # The running silence ends at days_to_limit; seen from the origin it is a visit in the past.
    numbered = snapshot.lazy().select(
        "contact_id", "limit_days", "days_to_limit", row=pl.int_range(pl.len())
    )
    last_before = numbered.select(
        "row",
        visit_days=pl.col("days_to_limit") - pl.col("limit_days"),
        churn_days=pl.col("days_to_limit"),
    )
    after = numbered.join(later, on="contact_id", how="inner").select(
        "row", "visit_days", churn_days=pl.col("visit_days") + pl.col("limit_days")
    )
    silences = (
        pl.concat([last_before, after])
        .sort("row", "visit_days")
        .with_columns(next_days=pl.col("visit_days").shift(-1).over("row"))
        .filter(
            pl.col("churn_days") <= followed,
            # 'no visit before it': a visit at the very moment comes too late
            pl.col("next_days").is_null() | (pl.col("next_days") >= pl.col("churn_days")),
        )
        .group_by("row")
        .agg(pl.col("churn_days").min())
        .collect()
    )
    churn_days = np.full(snapshot.height, np.nan)
    churn_days[silences["row"].to_numpy()] = silences["churn_days"].to_numpy()
    return Outcomes(churn_days=churn_days, followed_days=followed)


@dataclass(frozen=True, slots=True)
class PersonPeriods:
    """One entry per contact and 30-day period it entered unchurned; arrays of one length.

    Attributes:
        row: the contact's row in the snapshot.
        period: 1 to 4.
        event: whether the contact churned in this period.
    """

    row: NDArray[np.int64]
    period: NDArray[np.int64]
    event: NDArray[np.bool_]


def person_periods(found: Outcomes, days_to_limit: Array) -> PersonPeriods:
    """The periods that can be learnt from.

    A period that the follow-up does not cover whole is censored and left out, also where the churn
    is already known: keeping only those would teach that new periods are all churn. A period that
    ends before the limit is left out as well, since nobody can churn in it.
    """
    rows, periods, events = [], [], []
    possible = reachable(days_to_limit)
    for period in range(1, PERIODS + 1):
        start, end = PERIOD_DAYS * (period - 1), PERIOD_DAYS * period
        if end > found.followed_days:
            break
        entered = ~(found.churn_days <= start) & possible[period - 1]
        row = np.flatnonzero(entered)
        rows.append(row)
        periods.append(np.full(row.size, period))
        events.append(found.churn_days[row] <= end)
    if not rows:
        nothing = np.zeros(0, dtype=np.int64)
        return PersonPeriods(nothing, nothing, nothing.astype(np.bool_))
    return PersonPeriods(np.concatenate(rows), np.concatenate(periods), np.concatenate(events))


def reachable(days_to_limit: Array) -> NDArray[np.bool_]:
    """(4, n): whether a limit falls before the end of each period; before it nobody can churn."""
    return np.asarray(days_to_limit <= _PERIOD_ENDS)
