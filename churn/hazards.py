"""Probabilities of churn within 30, 60, 90 and 120 days, and what speaks for and against."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from churn.feature_rows import Array

# Probabilities are compared to the bit in replays. Twelve decimals keep all that is meant and drop
# what two processors may compute differently in the last place.
_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Hazards:
    """P(churn date within the horizon), each (n,), in [0, 1], never falling with the horizon.

    NaN where the contact has no visit: nothing is known, and no default takes its place.
    1 where the limit has passed: the contact has churned.
    """

    hazard_30d: Array
    hazard_60d: Array
    hazard_90d: Array
    hazard_120d: Array

    @classmethod
    def from_period_hazards(cls, per_period: Array, days_to_limit: Array) -> Self:
        """From the chance (4, n) to churn in each 30-day period, given that one entered it."""
        staying = np.cumprod(1.0 - per_period, axis=0, dtype=np.float64)
        return cls.from_cumulative(np.subtract(1.0, staying, dtype=np.float64), days_to_limit)

    @classmethod
    def from_cumulative(cls, within: Array, days_to_limit: Array) -> Self:
        """From the chance (4, n) to churn within each horizon, rising; rounds to 12 decimals."""
        known = np.where(days_to_limit <= 0, 1.0, within)
        known[:, np.isnan(days_to_limit)] = np.nan
        return cls(*known.round(_DECIMALS))

    def within(self, horizon_days: int) -> Array:
        """The probabilities of one horizon: 30, 60, 90 or 120 days."""
        return {
            30: self.hazard_30d,
            60: self.hazard_60d,
            90: self.hazard_90d,
            120: self.hazard_120d,
        }[horizon_days]


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that goes with a higher or lower risk; an association, not a cause.

    Attributes:
        factor: stable name.
        value: the contact's value behind it; None if not known.
        text: for people.
        points: log-odds of churn in a 30-day period that go with it; positive = more risk; None
            where the contact has churned by definition and nothing is estimated.
    """

    factor: str
    value: float | None
    text: str
    points: float | None


def strongest_of(factors: Iterable[Factor], most: int) -> tuple[Factor, ...]:
    """At most `most` factors with points, strongest first; equal ones by name."""
    moving = [factor for factor in factors if factor.points]
    moving.sort(key=lambda factor: (-abs(factor.points or 0.0), factor.factor))
    return tuple(moving[:most])
