"""The rows the booster sees: a contact's features beside the 30-day period that is asked about."""

import numpy as np

from churn.definition import PERIOD_DAYS, PERIODS
from churn.feature_rows import Array

# Behind the contact's own features: 1 to 4, days to the limit at the start of the period, the
# limit, and the share of it that was used up at the moment of the question.
PERIOD_COLUMNS = ("period", "days_to_limit_then", "limit_days", "silence_share")
PERIOD_FAMILY = "silence"


_PERIODS = np.arange(1.0, PERIODS + 1)[:, None]
_STARTS = PERIOD_DAYS * (_PERIODS - 1)


def period_rows(features: Array, silence_days: Array, days_to_limit: Array) -> Array:
    """(4, n, f + 4): the rows of all contacts (n, f), once per period."""
    n, f = features.shape
    limit = silence_days + days_to_limit
    rows = np.empty((PERIODS, n, f + len(PERIOD_COLUMNS)))
    rows[:, :, :f] = features
    rows[:, :, f] = _PERIODS
    rows[:, :, f + 1] = days_to_limit - _STARTS
    rows[:, :, f + 2] = limit
    rows[:, :, f + 3] = silence_days / limit
    return rows
