"""P(this arm has the highest score) when every arm's score is an independent normal.

P(k is best) is the integral over t of density_k(t) times the product of the other arms' F_j(t)
(Russo et al., A Tutorial on Thompson Sampling, 2018, section 3). Two sets of nodes are used:

- spreads alike (at most 2.5 : 1, or 5 : 1): 17 or 33 equal steps over the range where the best
  score can lie; total variation from the exact probabilities below 1e-5;
- spreads unlike (a new arm beside one with thousands of observations): equal steps would miss
  the narrow arm (measured: wrong by up to 0.9), so the range is cut at -3, -1, 1 and 3 standard
  deviations of every arm, with 3 Gauss-Legendre points in each piece; below 1e-3.

A row's result must not depend on the rows beside it, to the bit: sums run in a fixed order in
explicit loops, and functions other than + - * / see contiguous arrays only, because vectorised
reductions and strided calls round differently with the length of a batch.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bandits.linear import summed

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Widest to narrowest spread that a number of equal steps can resolve: the range is about 8.5
# spreads wide and a step may be 1.35 of the narrowest.
_EVEN: tuple[tuple[float, FloatArray], ...] = (
    (2.5, np.linspace(0.0, 1.0, 17)),
    (5.0, np.linspace(0.0, 1.0, 33)),
)
_CUTS = (-3.0, -1.0, 1.0, 3.0)
_LIMITS = np.array([limit for limit, _ in _EVEN])
# Gauss-Legendre with 3 points on [-1, 1]: Abramowitz and Stegun, table 25.4.
_POINTS = (-0.7745966692414834, 0.0, 0.7745966692414834)
_WEIGHTS = (0.5555555555555556, 0.8888888888888888, 0.5555555555555556)
# Below this many deviations an arm's own density adds less than 3e-5 to any probability.
_LOW, _HIGH = 4.0, 4.5


def probability_best(mean: FloatArray, spread: FloatArray, allowed: BoolArray) -> FloatArray:
    """P(arm is best) of n rows and k arms, all arguments and the result of shape (k, n).

    Each row has at least one allowed arm; an arm that is not allowed gets 0; a row sums to 1.
    """
    if not allowed.all():
        mean, spread = _out_of_reach(mean, spread, allowed)
    ratio = spread.max(axis=0) / spread.min(axis=0)
    kinds = np.searchsorted(_LIMITS, ratio)
    present = sorted(set(kinds.tolist()))
    if len(present) == 1:
        return _with_nodes(mean, spread, present[0])
    result = np.empty_like(mean)
    for kind in present:
        rows = kinds == kind
        result[:, rows] = _with_nodes(mean[:, rows], spread[:, rows], kind)
    return result


def _out_of_reach(
    mean: FloatArray, spread: FloatArray, allowed: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """The same arms, those not allowed put so low that their F is 1 and their density 0."""
    widest = np.where(allowed, spread, 0.0).max(axis=0)
    narrowest = np.where(allowed, spread, np.inf).min(axis=0)
    top = np.where(allowed, mean, -np.inf).max(axis=0)
    # 50 deviations: exp(-0.5 * 45^2) is 0 in float64.
    return np.where(allowed, mean, top - 50.0 * widest), np.where(allowed, spread, narrowest)


def _with_nodes(mean: FloatArray, spread: FloatArray, kind: int) -> FloatArray:
    # The best score lies above every arm's low end and below the highest high end.
    low = (mean - _LOW * spread).max(axis=0)
    high = (mean + _HIGH * spread).max(axis=0)
    if kind < len(_EVEN):
        nodes = low + (high - low) * _EVEN[kind][1][:, None]
        return _integrate(nodes, None, mean, spread)
    cuts = np.concatenate([mean + cut * spread for cut in _CUTS])
    edges = np.concatenate([np.clip(cuts, low, high), low[None], high[None]])
    edges.sort(axis=0)
    half = (edges[1:] - edges[:-1]) * 0.5
    middle = (edges[1:] + edges[:-1]) * 0.5
    nodes = np.concatenate([middle + half * point for point in _POINTS])
    weights = np.concatenate([half * weight for weight in _WEIGHTS])
    return _integrate(nodes, weights, mean, spread)


def _integrate(
    nodes: FloatArray,
    weights: FloatArray | None,
    mean: FloatArray,
    spread: FloatArray,
) -> FloatArray:
    """Integrals of density_k * product of the other F_j at (t, n) nodes, scaled to sum to 1."""
    z = np.ascontiguousarray((nodes[None] - mean[:, None]) / spread[:, None])
    below = ndtr(z)
    z *= z
    z *= -0.5
    parts = np.exp(z, out=z)
    parts /= spread[:, None]
    if weights is not None:
        parts *= weights
    _times_the_others(parts, below)
    areas = summed(parts, axis=1)
    areas /= summed(areas, axis=0)
    return areas


def _times_the_others(parts: FloatArray, below: FloatArray) -> None:
    """Multiply parts[k] by the product of below[j] over all j other than k, in place."""
    before, after = below[0].copy(), below[-1].copy()
    for arm in range(1, len(parts)):
        parts[arm] *= before
        before *= below[arm]
    for arm in range(len(parts) - 2, -1, -1):
        parts[arm] *= after
        after *= below[arm]
