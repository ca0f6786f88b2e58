"""MABWiser's bandits without context, with their exact probabilities: shares by allowed arms.

Thompson sampling draws each arm's rate from Beta(1 + rewards, 1 + decisions - rewards); UCB1 takes
the highest `mean + alpha sqrt(2 log N / n)`; epsilon-greedy takes the highest mean, or with
probability epsilon any arm. The arithmetic is MABWiser's, held equal to it by tests. Two things
differ knowingly: an arm that was never tried is tried first by UCB1 (the library gives it 0 and
never starts it), and only arms that are allowed compete.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln, xlog1py, xlogy

from bandits.factor import RIDGE_PENALTY, FactorState

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

THOMPSON, UCB1, EPSILON_GREEDY = "thompson", "ucb1", "epsilon_greedy"
COUNTING = (THOMPSON, UCB1, EPSILON_GREEDY)

# MABWiser's own defaults.
UCB_ALPHA, EPSILON = 1.0, 0.1

# Where each arm's distribution is cut for the integral, in shares of it; 6 Gauss-Legendre points
# in each piece. Total variation from the exact probabilities below 1e-4.
_CUTS = (1e-6, 1e-3, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.999, 1.0 - 1e-6)
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(6)


def shares(policy: str, factor: FactorState, allowed: BoolArray) -> FloatArray:
    """P(the policy picks this arm), (k,), among the allowed arms (k,), of which there is one."""
    n = factor.precision[allowed, 0, 0] - RIDGE_PENALTY
    earned = np.clip(factor.xty[allowed, 0], 0.0, n)
    if policy == THOMPSON:
        found = _thompson(1.0 + earned, 1.0 + n - earned)
    elif policy == UCB1:
        found = _even_among(_bounds(n, earned))
    else:
        mean = np.divide(earned, n, out=np.zeros_like(n), where=n > 0.0)
        found = (1.0 - EPSILON) * _even_among(mean) + EPSILON / len(n)
    result = np.zeros(len(allowed))
    result[allowed] = found
    return result


def _bounds(n: FloatArray, earned: FloatArray) -> FloatArray:
    tried = n > 0.0
    total = max(float(n.sum()), 1.0)
    found = np.full(len(n), np.inf)
    found[tried] = earned[tried] / n[tried] + UCB_ALPHA * np.sqrt(2.0 * np.log(total) / n[tried])
    return found


def _even_among(scores: FloatArray) -> FloatArray:
    top = scores == scores.max()
    return np.asarray(top / top.sum())


def _thompson(a: FloatArray, b: FloatArray) -> FloatArray:
    """P(arm k's Beta(a, b) is the highest), by the integral of density times the others' F."""
    edges = np.unique(betaincinv(a[:, None], b[:, None], np.array(_CUTS)).ravel())
    edges = np.concatenate([[0.0], edges, [1.0]])
    half = (edges[1:] - edges[:-1]) * 0.5
    nodes = ((edges[1:] + edges[:-1]) * 0.5)[:, None] + half[:, None] * _POINTS
    t, weight = nodes.ravel(), (half[:, None] * _WEIGHTS).ravel()
    below = betainc(a[:, None], b[:, None], t)
    log = xlogy(a[:, None] - 1.0, t) + xlog1py(b[:, None] - 1.0, -t) - betaln(a, b)[:, None]
    density = np.exp(log) * weight
    areas = np.array(
        [(density[k] * np.delete(below, k, axis=0).prod(axis=0)).sum() for k in range(len(a))]
    )
    return np.asarray(areas / areas.sum())
