"""BG/NBD: how often customers without a contract come, and whether they still do.

Fader, Hardie and Lee, 'Counting Your Customers the Easy Way', Marketing Science 24(2), 2005: visits
are Poisson with a rate that is gamma distributed over customers; after each visit a customer leaves
for good with a chance that is beta distributed. Fitted here in log space on scaled time; what is
asked of it is integrated over the posterior of the leaving chance at fixed quantiles, where the
closed form with the hypergeometric function overflows.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaincinv, expit, gammaln

from churn.feature_rows import Array
from engine.errors import TooFewData

# Some logs make the likelihood flat: the first penalty that converges to finite values is taken.
PENALTIES = (0.001, 0.01, 0.05, 0.1, 0.5)
MIN_CUSTOMERS = 20
_NODES = 48
_LEAST_DAY = 1e-3


@dataclass(frozen=True, slots=True)
class Summary:
    """A log in the three numbers that are sufficient for the model; arrays (n,), days.

    Attributes:
        repeats: visit days after the first.
        last_days: from the first visit day to the last.
        age_days: from the first visit day to now; at least `last_days`.
    """

    repeats: Array
    last_days: Array
    age_days: Array


@dataclass(frozen=True, slots=True)
class BgNbd:
    """Fitted parameters: rate ~ gamma(r, alpha per day), leaving ~ beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float
    penalty: float

    def alive(self, seen: Summary) -> Array:
        """P(the customer has not left for good)."""
        repeats = seen.repeats
        later = (self.r + repeats) * (
            np.log(self.alpha + seen.age_days) - np.log(self.alpha + seen.last_days)
        )
        odds = np.log(self.a) - np.log(self.b + np.maximum(repeats, 1.0) - 1.0) + later
        return np.where(repeats > 0, expit(-odds), 1.0)

    def silent(self, seen: Summary, *, after_days: float, for_days: float) -> Array:
        """P(no visit in the window (now + after, now + after + for])."""
        shape = self.r + seen.repeats
        scale = self.alpha + seen.age_days
        coming = np.zeros(len(shape))
        for leaving in self._leaving(seen.repeats):
            gone = leaving * after_days
            coming += np.exp(-shape * np.log1p(gone / scale)) - np.exp(
                -shape * np.log1p((gone + for_days) / scale)
            )
        return np.clip(1.0 - self.alive(seen) * coming / _NODES, 0.0, 1.0)

    def visits(self, seen: Summary, *, days: float) -> Array:
        """Expected visit days in the next `days`."""
        shape = self.r + seen.repeats
        scale = self.alpha + seen.age_days
        total = np.zeros(len(shape))
        for leaving in self._leaving(seen.repeats):
            total += -np.expm1(-shape * np.log1p(leaving * days / scale)) / leaving
        return np.asarray(self.alive(seen) * total / _NODES)

    def _leaving(self, repeats: Array) -> Array:
        """(nodes, n): the leaving chance of one still here, at the middles of equal shares."""
        counts, place = np.unique(repeats, return_inverse=True)
        share = (np.arange(_NODES) + 0.5) / _NODES
        found = betaincinv(self.a, self.b + counts[None, :], share[:, None])
        return np.asarray(np.maximum(found, 1e-12)[:, place])


def fit_bg_nbd(seen: Summary) -> BgNbd:
    """Penalised maximum likelihood, by the ladder of penalties.

    Raises:
        TooFewData: under 20 customers, nobody came twice, or no penalty gives finite values.
    """
    repeats, last, age = _checked(seen)
    if repeats.size < MIN_CUSTOMERS or not (repeats > 0).any():
        raise TooFewData(
            f"Too little to fit visit rates: {repeats.size} customers, "
            f"{int((repeats > 0).sum())} that came again.",
            hint=f"It takes {MIN_CUSTOMERS} customers and one that came twice.",
        )
    unit = max(float(np.median(age)) / 10.0, _LEAST_DAY)
    for penalty in PENALTIES:
        found = minimize(
            _loss,
            np.zeros(4),
            args=(repeats, last / unit, age / unit, penalty),
            method="L-BFGS-B",
            bounds=[(-7.0, 7.0)] * 4,
            options={"maxiter": 500},
        )
        r, alpha, a, b = (float(value) for value in np.exp(found.x))
        if found.success and np.isfinite([r, alpha, a, b, found.fun]).all():
            return BgNbd(r, alpha * unit, a, b, penalty)
    raise TooFewData("No penalty gives the visit rates a stable fit.")


def _checked(seen: Summary) -> tuple[Array, Array, Array]:
    age = np.maximum(seen.age_days, 0.0)
    last = np.clip(seen.last_days, 0.0, age)
    sound = np.isfinite(seen.repeats) & np.isfinite(last) & np.isfinite(age)
    return seen.repeats[sound], last[sound], age[sound]


def _loss(logs: Array, repeats: Array, last: Array, age: Array, penalty: float) -> float:
    """Mean negative log-likelihood of a customer, with a ridge on the parameters."""
    r, alpha, a, b = np.exp(logs)
    shape = r + repeats
    common = (
        gammaln(shape)
        - gammaln(r)
        + r * np.log(alpha)
        + gammaln(a + b)
        + gammaln(b + repeats)
        - gammaln(b)
        - gammaln(a + b + repeats)
    )
    stays = -shape * np.log(alpha + age)
    leaves = np.log(a) - np.log(b + np.maximum(repeats, 1.0) - 1.0) - shape * np.log(alpha + last)
    likelihood = common + np.where(repeats > 0, np.logaddexp(stays, leaves), stays)
    return float(-likelihood.mean() + penalty * np.square(np.exp(logs)).sum() / len(repeats))
