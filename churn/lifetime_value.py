"""What a customer without a contract will still spend: visits to come times spend on a visit.

The visit model (BG/NBD) times the spend model (Gamma-Gamma). Boosted trees on the same history were
no better out of time on a gift wholesaler, 180 days ahead, neither alone nor mixed in; they stay as
the challenger that the benchmark measures, see `docs/churn-benchmarks.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np

from churn.bg_nbd import BgNbd, Summary, fit_bg_nbd
from churn.feature_rows import Array
from churn.gamma_gamma import GammaGamma, fit_gamma_gamma
from churn.log_features import LogHistory, View

# Between Poisson (1) and gamma (2): many zeros, a long tail.
_TWEEDIE_POWER = 1.3
_DRAWS = 64


@dataclass(frozen=True, slots=True)
class LifetimeValue:
    """Money of the next days; arrays (n,), in the money of the log.

    Attributes:
        expected: the mean.
        low, high: a tenth and nine tenths of the chance lie below.
    """

    expected: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True)
class ValueModel:
    """The fitted visit and spend models of a log at a moment."""

    visits: BgNbd
    spend: GammaGamma

    def value(self, seen: Summary, mean_spend: Array, *, days: float, seed: int) -> LifetimeValue:
        """Of customers; `mean_spend` per visit day so far.

        The interval draws the customer's rate, whether it is still here and its visits from the
        posterior; spend on a visit is taken at its mean.
        """
        each = self.spend.spend(seen.repeats + 1.0, mean_spend)
        count = self.visits.visits(seen, days=days)
        drawn = self._draws(seen, days, seed)
        low, high = np.quantile(drawn, [0.1, 0.9], axis=0)
        return LifetimeValue(count * each, low * each, high * each)

    def _draws(self, seen: Summary, days: float, seed: int) -> Array:
        """(draws, n) visits in the next days."""
        rng = np.random.default_rng(seed)
        model = self.visits
        shape = (_DRAWS, seen.repeats.size)
        rate = rng.gamma(model.r + seen.repeats, 1.0, shape) / (model.alpha + seen.age_days)
        leaving = np.maximum(rng.beta(model.a, model.b + seen.repeats, shape), 1e-9)
        staying = np.minimum(rng.exponential(1.0, shape) / (rate * leaving), days)
        here = rng.random(shape) < model.alive(seen)
        return np.asarray(rng.poisson(rate * staying) * here)


def value_model(seen: Summary, mean_spend: Array) -> ValueModel:
    """Fitted on every customer of the log; raises TooFewData where there are too few."""
    return ValueModel(fit_bg_nbd(seen), fit_gamma_gamma(seen.repeats + 1.0, mean_spend))


def summary_of(seen: View) -> Summary:
    """The sufficient numbers of customers at an origin."""
    return Summary(seen.visits - 1, seen.tenure_days - seen.recency_days, seen.tenure_days)


def value_by_trees(
    history: LogHistory, past: Sequence[View], now: View, *, days: int, seed: int
) -> Array:
    """Money of the next days by boosted trees, from origins whose window had closed by `now`."""
    closed = [seen for seen in past if seen.origin + days <= now.origin]
    rows = np.concatenate([seen.features for seen in closed])
    spent = np.concatenate(
        [history.net_spend(seen.customers, seen.origin, seen.origin + days) for seen in closed]
    )
    spent = np.maximum(spent, 0.0)
    booster = tweedie_trees(rows, spent, seed=seed)
    return np.asarray(booster.predict(now.features, num_threads=1))


def tweedie_trees(rows: Array, spent: Array, *, seed: int) -> lgb.Booster:
    """Small trees of money, of which most rows have none and few have much."""
    return lgb.train(
        {
            "objective": "tweedie",
            "tweedie_variance_power": _TWEEDIE_POWER,
            "num_leaves": 6,
            "learning_rate": 0.03,
            "min_data_in_leaf": min(100, max(5, len(spent) // 40)),
            "lambda_l2": 10.0,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "seed": seed,
            "verbosity": -1,
        },
        lgb.Dataset(rows, label=spent),
        num_boost_round=250,
    )
