"""A sigmoid on the log-odds of a booster, fitted on origins the booster has not seen."""

import numpy as np
from numpy.typing import NDArray

from churn.artifact import Calibration
from churn.feature_rows import Array

# Two parameters from fewer events than this are noise; the booster then stands as it is.
MIN_EVENTS = 20
# Weight of the prior 'slope 1, intercept 0', in rows of one unit of information each.
_RIDGE = 1.0
_STEPS = 50


def fit_sigmoid(log_odds: Array, event: NDArray[np.bool_]) -> Calibration:
    """Maximum likelihood of slope and intercept with a weak pull towards 1 and 0 (Platt 1999).

    Two parameters on the hazard, not two per horizon: probabilities of longer horizons are products
    of the same hazards and can't fall below those of shorter ones. The uncalibrated state comes
    back where there are too few events or the slope is not positive (ranks would turn round).
    """
    events = int(event.sum())
    if events < MIN_EVENTS or event.size - events < MIN_EVENTS:
        return Calibration()
    design = np.column_stack([log_odds, np.ones(log_odds.size)])
    start = np.array([1.0, 0.0])
    weights = start.copy()
    for _ in range(_STEPS):
        chance = sigmoid(design @ weights)
        gradient = design.T @ (chance - event) + _RIDGE * (weights - start)
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    slope, intercept = (float(weight) for weight in weights)
    if not slope > 0:
        return Calibration()
    return Calibration(slope=slope, intercept=intercept, rows=event.size, events=events)


def sigmoid(log_odds: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -700.0, 700.0))))
