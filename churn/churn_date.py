"""When a contact is expected to be lost: the middle of its survival curve, with an interval.

All of it given that it is lost within 120 days.

A contact that doesn't come back before its limit is lost on the day of the limit, which is known;
the model only says whether it comes back. So where the period of the limit holds the middle of the
curve, the date is the limit's; else it lies between the ends of the period that holds it.

Nobody is lost before the limit, so the interval begins there and ends where four fifths of the
chance are over. It can't be made shorter than a day, and that day often holds more than four
fifths: `share` says how much.
"""

from dataclasses import dataclass

import numpy as np

from churn.definition import HORIZON_DAYS, HORIZONS, PERIOD_DAYS, PERIODS
from churn.feature_rows import Array
from churn.hazards import Hazards

HORIZON_ENDS = np.array(HORIZONS, dtype=np.float64)
# A date is told only to whom the model calls more likely lost than not within the horizon.
LIKELY = 0.5
# Of the chance within the horizon lies in the interval, at least.
INTERVAL = 0.8


@dataclass(frozen=True, slots=True)
class ChurnDate:
    """Days from the moment of the question; arrays (n,).

    Attributes:
        expected_days: NaN where churn within 120 days is not likely.
        earliest_days, latest_days: at least four fifths of the chance within 120 days lie between,
            both included; NaN as for `expected_days`.
        share: of that chance that lies between, in [0.8, 1]; NaN as for `expected_days`.
    """

    expected_days: Array
    earliest_days: Array
    latest_days: Array
    share: Array


def churn_date(hazards: Hazards, days_to_limit: Array) -> ChurnDate:
    """The expected date of each contact, from its chances and its limit."""
    within = np.stack([hazards.within(days) for days in HORIZONS])
    told = within[-1] >= LIKELY
    middle, latest = (_quantile(within, days_to_limit, share) for share in (0.5, INTERVAL))
    earliest = np.clip(days_to_limit, 0.0, middle)
    found = middle, earliest, latest, _share(within, days_to_limit, latest)
    return ChurnDate(*(np.where(told, days, np.nan) for days in found))


def _share(within: Array, days_to_limit: Array, latest: Array) -> Array:
    """Of the chance within the horizon that is over by the last day of the interval.

    Where that is the day of the limit, all of its period: who comes back before it has a new limit
    that is rarely as near.
    """
    place = np.minimum((latest[:, None] > HORIZON_ENDS).sum(axis=1), PERIODS - 1)
    whole = np.take_along_axis(within, place[None], axis=0)[0] / np.maximum(within[-1], 1e-12)
    return np.where(latest == days_to_limit, np.maximum(whole, INTERVAL), INTERVAL)


def _quantile(within: Array, days_to_limit: Array, share: float) -> Array:
    """The day by which `share` of the chance within the horizon has come about."""
    wanted = share * within[-1]
    place = np.minimum((within < wanted).sum(axis=0), PERIODS - 1)
    here = np.take_along_axis(within, place[None], axis=0)[0]
    before = np.where(
        place > 0, np.take_along_axis(within, np.maximum(place - 1, 0)[None], axis=0)[0], 0.0
    )
    inside = np.clip((wanted - before) / np.maximum(here - before, 1e-12), 0.0, 1.0)
    day = PERIOD_DAYS * (place + inside)
    limit_here = (days_to_limit > PERIOD_DAYS * place) & (
        days_to_limit <= PERIOD_DAYS * (place + 1)
    )
    return np.clip(np.where(limit_here, days_to_limit, day), 0.0, float(HORIZON_DAYS))
