"""Models over a transaction log: the strict early warning, and declared churn by the hazard.

Both learn from rolling origins whose outcome was known at the moment they answer for, and choose
their mixture on the last closed ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from churn.blend import mixture
from churn.calibrate import fit_sigmoid, sigmoid
from churn.design_matrix import period_rows
from churn.feature_rows import Array
from churn.hazard_blend import TREE_SHARE, LogisticMember
from churn.hazards import Hazards
from churn.labels import Outcomes, person_periods, reachable
from churn.log_features import View
from churn.logistic import NormalScores, fit

Event = NDArray[np.bool_]
# A calibration from origins of one season, by models that have not seen that season, measures the
# season: on a wholesaler's autumn it took the error of P(120 days) from 0.04 to 0.10.
SEASON_DAYS = 365
_VALIDATION_ORIGINS = 2
_PRIOR = {"logistic": 0.5, "trees": 0.5}
_RIDGE = 300.0


def boosted(rows: Array, event: Event, *, leaves: int, trees: int, seed: int) -> lgb.Booster:
    """Small trees, many of them; leaves shrink with the rows, so that few rows can be learnt."""
    return lgb.train(
        {
            "objective": "binary",
            "num_leaves": leaves,
            "learning_rate": 0.03,
            "min_data_in_leaf": min(100, max(5, len(event) // 40)),
            "lambda_l2": 10.0,
            "feature_fraction": 0.4,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "seed": seed,
            "verbosity": -1,
        },
        lgb.Dataset(rows, label=event),
        num_boost_round=trees,
    )


def raw(booster: lgb.Booster, rows: Array) -> Array:
    """Log-odds of rows."""
    return np.asarray(booster.predict(rows, raw_score=True, num_threads=1))


@dataclass(frozen=True, slots=True)
class Labelled:
    """Customers at an origin, and whether they stayed away in the window."""

    seen: View
    gone: Event
    closed_on: int


@dataclass(frozen=True, slots=True)
class EarlyWarning:
    """A mixture of logistic regression and small trees.

    Attributes:
        weights: by member.
        slope, intercept: of the calibration; 1 and 0 where there was no year to learn it from.
    """

    members: Mapping[str, Callable[[Array], Array]]
    weights: Mapping[str, float]
    slope: float
    intercept: float

    def probability(self, seen: View) -> Array:
        """P(no visit in the window)."""
        return sigmoid(self.slope * self._mixed(seen.features) + self.intercept)

    def _mixed(self, features: Array) -> Array:
        total = np.zeros(len(features))
        for name, weight in self.weights.items():
            total += weight * self.members[name](features)
        return total


def early_warning(past: Sequence[Labelled], *, seed: int) -> EarlyWarning:
    """Learnt from origins in order of time, all closed."""
    final = _members(past, seed)
    held_out = past[-_VALIDATION_ORIGINS:]
    learning = [each for each in past if each.closed_on <= held_out[0].seen.origin]
    if not _learnable(learning) or not _learnable(held_out):
        return EarlyWarning(final, _PRIOR, 1.0, 0.0)
    trial = _members(learning, seed)
    features, event = _stacked(held_out)
    told = {name: member(features) for name, member in trial.items()}
    chosen = mixture(told, event)
    weights = {name: (chosen.get(name, 0.0) + prior) / 2 for name, prior in _PRIOR.items()}
    slope, intercept = 1.0, 0.0
    if learning[-1].seen.origin - learning[0].seen.origin >= SEASON_DAYS:
        mixed = np.sum([weight * told[name] for name, weight in weights.items()], axis=0)
        found = fit_sigmoid(mixed, event)
        slope, intercept = found.slope, found.intercept
    return EarlyWarning(final, weights, slope, intercept)


def _learnable(origins: Sequence[Labelled]) -> bool:
    events = np.concatenate([each.gone for each in origins]) if origins else np.zeros(0, np.bool_)
    return int(min(events.sum(), (~events).sum(initial=0))) >= 20


def _stacked(origins: Sequence[Labelled]) -> tuple[Array, Event]:
    return (
        np.concatenate([each.seen.features for each in origins]),
        np.concatenate([each.gone for each in origins]),
    )


def _members(origins: Sequence[Labelled], seed: int) -> dict[str, Callable[[Array], Array]]:
    features, event = _stacked(origins)
    normal = NormalScores.of(features)
    line = fit(normal.design(features), event, penalty=_RIDGE)
    booster = boosted(features, event, leaves=4, trees=300, seed=seed)
    return {
        "logistic": lambda rows: line.log_odds(normal.design(rows)),
        "trees": lambda rows: raw(booster, rows),
    }


@dataclass(frozen=True, slots=True)
class Standing:
    """Customers at risk at an origin with their limits, and what is known to have become of them.

    Attributes:
        found: followed no further than the moment the model answers for.
    """

    seen: View
    limit_days: Array
    found: Outcomes

    @property
    def days_to_limit(self) -> Array:
        return np.asarray(self.limit_days - self.seen.recency_days)


@dataclass(frozen=True, slots=True)
class LogHazard:
    """The hazard of declared churn: trees and logistic over 30-day person-periods."""

    boosters: tuple[lgb.Booster, ...]
    logistic: LogisticMember
    tree_share: float

    def predict(self, seen: View, limit_days: Array) -> Hazards:
        """P(churn within 30, 60, 90, 120 days)."""
        return hazards_of(self.log_odds, seen, limit_days)

    def log_odds(self, rows: Array) -> Array:
        """Of person-periods."""
        trees = np.mean([raw(booster, rows) for booster in self.boosters], axis=0)
        return np.asarray(
            self.tree_share * trees + (1 - self.tree_share) * self.logistic.log_odds(rows)
        )


def hazards_of(log_odds: Callable[[Array], Array], seen: View, limit_days: Array) -> Hazards:
    """P(churn within 30, 60, 90, 120 days), from what is said of person-periods."""
    left = limit_days - seen.recency_days
    asked = reachable(left)
    rows = period_rows(seen.features, seen.recency_days, left)[asked]
    per_period = np.zeros(asked.shape)
    per_period[asked] = sigmoid(log_odds(rows))
    return Hazards.from_period_hazards(per_period, left)


def periods_of(past: Sequence[Standing]) -> tuple[Array, Event]:
    """Person-periods that can be learnt from, and whether each ended in churn."""
    matrices, events = [], []
    for each in past:
        periods = person_periods(each.found, each.days_to_limit)
        rows = period_rows(each.seen.features, each.seen.recency_days, each.days_to_limit)
        matrices.append(rows[periods.period - 1, periods.row])
        events.append(periods.event)
    return np.concatenate(matrices), np.concatenate(events)


def log_hazard(past: Sequence[Standing], *, seed: int, share: float = TREE_SHARE) -> LogHazard:
    """Learnt from every period whose end is known, also of origins not yet closed."""
    rows, event = periods_of(past)
    boosters = (
        boosted(rows, event, leaves=6, trees=300, seed=seed),
        boosted(rows, event, leaves=8, trees=400, seed=seed + 3),
    )
    return LogHazard(boosters, LogisticMember.learn(rows, event), share)
