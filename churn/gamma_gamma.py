"""Gamma-Gamma: what a customer spends on a visit, from few visits and everybody else's.

Fader and Hardie, 'The Gamma-Gamma Model of Monetary Value', 2013: the mean over a customer's visits
is drawn towards the population's mean, the more the fewer the visits.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

from churn.bg_nbd import PENALTIES
from churn.feature_rows import Array
from engine.errors import TooFewData

MIN_CUSTOMERS = 20


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """Fitted parameters; `unit` is the money that counts as 1."""

    p: float
    q: float
    v: float
    unit: float

    def spend(self, visits: Array, mean: Array) -> Array:
        """Expected spend on a visit, in the money of `mean`; the population's without visits.

        A mean that is not positive or not finite says nothing and counts as no visits.
        """
        known = (visits > 0) & np.isfinite(mean) & (mean > 0)
        count = np.where(known, visits, 0.0)
        told = np.where(known, mean, 0.0) / self.unit
        return np.asarray(
            self.unit * self.p * (self.v + count * told) / (self.p * count + self.q - 1)
        )


def fit_gamma_gamma(visits: Array, mean: Array) -> GammaGamma:
    """Penalised maximum likelihood over customers with a positive mean.

    Raises:
        TooFewData: under 20 such customers, or no penalty gives finite values.
    """
    sound = (visits > 0) & np.isfinite(mean) & (mean > 0)
    visits, mean = visits[sound], mean[sound]
    if visits.size < MIN_CUSTOMERS:
        raise TooFewData(f"Too little to fit spend: {visits.size} customers with a positive mean.")
    unit = float(np.median(mean))
    told = mean / unit
    for penalty in PENALTIES:
        found = minimize(
            _loss,
            np.array([0.5, 0.5, 0.5]),
            args=(visits, told, penalty),
            method="L-BFGS-B",
            # q above 1, or the population would have no mean
            bounds=[(-5.0, 6.0), (np.log(1.05), 6.0), (-5.0, 6.0)],
            options={"maxiter": 500},
        )
        p, q, v = (float(value) for value in np.exp(found.x))
        if found.success and np.isfinite([p, q, v, found.fun]).all():
            return GammaGamma(p, q, v, unit)
    raise TooFewData("No penalty gives the spend a stable fit.")


def _loss(logs: Array, visits: Array, mean: Array, penalty: float) -> float:
    p, q, v = np.exp(logs)
    shape = p * visits
    likelihood = (
        gammaln(shape + q)
        - gammaln(shape)
        - gammaln(q)
        + q * np.log(v)
        + (shape - 1) * np.log(mean)
        + shape * np.log(visits)
        - (shape + q) * np.log(visits * mean + v)
    )
    return float(-likelihood.mean() + penalty * np.square(np.exp(logs)).sum() / len(visits))
