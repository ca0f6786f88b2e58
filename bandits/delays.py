"""How much of a decision's reward has arrived by its age.

Counting what has not answered yet as a failure buries the arm that answers slowly (it lost three
quarters of the possible gain where the best arm took a week); waiting for the window to end learns
a month late. Instead a young decision counts for the share of its reward that should have arrived.
"""

import numpy as np
from numpy.typing import NDArray

from bandits.evidence import LAST_DELAY

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Before anything is known half of all answers come within two days.
_PRIOR_HALF_DAYS = 2.0
# Rewards that the tenant's curve has to bring against the prior's, and an arm's against the
# tenant's: a curve of a handful of answers says little.
_PRIOR_WEIGHT, _POOLED_WEIGHT = 10.0, 15.0
# A decision of today is believed to be worth at least this much of one, or a single early answer
# would count as a rate of 20.
_LEAST = 0.05


def prior_curve() -> FloatArray:
    """Share of the reward that arrives within 0, 1, ... LAST_DELAY days."""
    days = np.arange(LAST_DELAY + 1) + 1.0
    curve = 1.0 - 0.5 ** (days / _PRIOR_HALF_DAYS)
    return np.asarray(curve / curve[-1])


def arrived(trials: FloatArray, mass: FloatArray, age: IntArray) -> FloatArray:
    """Share of a decision's reward that has arrived, by arm and day of decision, (k, c).

    Args:
        trials: decisions, (k, c).
        mass: reward by days of delay, (k, c, LAST_DELAY + 1).
        age: of each day of decision, in days, (c,), at least 0.

    The curve is the mean cumulative reward per decision (Nelson 2003, Recurrent Events Data
    Analysis, section 3): what came at a delay, per decision old enough to have shown it. Young
    days count as far as they go, and rewards that were taken back count negative.
    """
    pooled = _blended(_curve(trials.sum(0), mass.sum(0), age), prior_curve(), mass.sum(),
                      _PRIOR_WEIGHT)  # fmt: skip
    shares = np.empty_like(trials)
    at = np.minimum(age, LAST_DELAY)
    for arm in range(len(trials)):
        own = _curve(trials[arm], mass[arm], age)
        curve = _blended(own, pooled, float(mass[arm].sum()), _POOLED_WEIGHT)
        shares[arm] = np.clip(curve, _LEAST, 1.0)[at]
    shares[:, age >= LAST_DELAY] = 1.0
    return shares


def _curve(trials: FloatArray, mass: FloatArray, age: IntArray) -> FloatArray | None:
    """One arm's curve, None while no reward has come; what is too late to know is the prior's."""
    delays = np.arange(LAST_DELAY + 1)
    old_enough = age[:, None] >= delays
    exposed = (trials[:, None] * old_enough).sum(axis=0)
    came = (mass * old_enough).sum(axis=0)
    seen = exposed > 0.0
    per_decision = np.where(seen, came / np.maximum(exposed, 1e-300), 0.0)
    reached = np.cumsum(per_decision)
    last = int(np.flatnonzero(seen)[-1]) if seen.any() else -1
    if last < 0 or reached[last] <= 0.0:
        return None
    prior = prior_curve()
    return np.asarray(np.where(delays <= last, reached / reached[last] * prior[last], prior))


def _blended(
    own: FloatArray | None, above: FloatArray, weight: float, against: float
) -> FloatArray:
    if own is None or weight <= 0.0:
        return above
    return np.asarray((own * weight + above * against) / (weight + against))
