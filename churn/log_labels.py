"""What became of the customers of a transaction log after a moment."""

import numpy as np
from numpy.typing import NDArray

from churn.definition import HORIZON_DAYS
from churn.feature_rows import Array
from churn.labels import Outcomes
from churn.log_features import LogHistory, View


def silent_window(
    history: LogHistory, seen: View, *, after_days: int, for_days: int
) -> NDArray[np.bool_]:
    """Whether a customer has no visit in (origin + after, origin + after + for]."""
    start = seen.origin + after_days
    return np.asarray(history.visits(seen.customers, start, start + for_days) == 0)


def own_limits(seen: View, *, factor: float, shortest: float, longest: float) -> Array:
    """Days a customer may be silent: factor x its own median interval, within bounds."""
    usual = np.where(np.isnan(seen.median_gap_days), longest, seen.median_gap_days)
    return np.clip(factor * usual, shortest, longest)


def declared_churn(
    history: LogHistory, seen: View, limit_days: Array, *, until: int, most_days: int = HORIZON_DAYS
) -> Outcomes:
    """Days from the origin to the end of the first silence as long as the limit.

    Args:
        history: the log.
        seen: customers whose running silence is under their limit.
        limit_days: of each of them, as it stands at the origin.
        until: the last day that is known; visits after it are not looked at.
        most_days: what is later than this is not followed.
    """
    followed = float(min(until - seen.origin, most_days))
    row = history.place(seen.customers, seen.origin) - 1
    end = history.place(seen.customers, until)
    day = history.log.day
    churn_days = np.full(seen.customers.size, np.nan)
    open_rows = np.arange(seen.customers.size)
    while open_rows.size:
        here = row[open_rows]
        due = day[here] + limit_days[open_rows]
        has_next = here + 1 < end[open_rows]
        following = np.where(has_next, day[np.minimum(here + 1, day.size - 1)], np.inf)
        lapsed = due <= following
        days = due - seen.origin
        over = lapsed & (days <= followed)
        churn_days[open_rows[over]] = days[over]
        going_on = ~lapsed & has_next
        row[open_rows[going_on]] += 1
        open_rows = open_rows[going_on]
    return Outcomes(churn_days=churn_days, followed_days=followed)
