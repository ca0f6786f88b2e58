"""What the bandits know about a contact when they choose: four numbers, named in this one place."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# All lie in [0, 1]: the ridge prior (identity) assumes features of one scale, and MABWiser's own
# scaling moves between partial fits (its coefficients then differ from a full fit).
CONTEXT_FEATURES: tuple[str, ...] = (
    "bias",  # always 1
    "hazard_60d",  # P(churn within 60 days)
    "response_rate_365d",  # answered sends / sends of the last 365 days; 0 if never contacted
    "recency",  # days since the last visit, at most 365, divided by 365
)

_RECENCY_CAP_DAYS = 365.0


def context_matrix(
    hazard_60d: FloatArray, response_rate_365d: FloatArray, days_since_last_visit: FloatArray
) -> FloatArray:
    """The contexts of n contacts, shape (n, 4), columns as in `CONTEXT_FEATURES`.

    All arguments have shape (n,). NaN means 'not known' and becomes 0; shares outside [0, 1] and
    negative days are clipped.
    """
    recency = np.clip(days_since_last_visit, 0.0, _RECENCY_CAP_DAYS) / _RECENCY_CAP_DAYS
    columns = (
        np.ones(len(hazard_60d)),
        np.clip(hazard_60d, 0.0, 1.0),
        np.clip(response_rate_365d, 0.0, 1.0),
        recency,
    )
    return known(np.column_stack(columns))


def known(contexts: FloatArray) -> FloatArray:
    """The same contexts as float64 with every NaN or infinity replaced by 0."""
    return np.nan_to_num(np.asarray(contexts, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
