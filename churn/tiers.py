"""What a small business is scored by: the more it has seen, the more of it is its own.

    1 shared    a model of other businesses, on features without money and scale
    2 adjusted  the same, its log-odds straightened by the business's own departures
    3 extended  the same, and the business's own small trees on top of it
    4 model     a model of the business alone

A tier is taken only where the business has enough, and only where it told the last closed origins
better than the tier below: own data never make it worse. Tier 0, the scorecard, needs none of this.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from churn.blend import loss_of
from churn.calibrate import fit_sigmoid
from churn.feature_rows import Array
from churn.hazards import Hazards
from churn.log_features import View
from churn.log_models import LogHazard, Standing, hazards_of, log_hazard, periods_of, raw

LogOdds = Callable[[Array], Array]
NAMES = ("scorecard", "shared", "adjusted", "extended", "model")
LEAST_EVENTS_TO_ADJUST = 20
LEAST_TO_EXTEND = (200, 50)  # customers, departures
LEAST_TO_OWN = (1_000, 50)
_HELD_OUT = 2
# In nats a period: less is chance.
LEAST_GAIN = 1e-3


@dataclass(frozen=True, slots=True)
class TieredHazard:
    """The model of the highest tier that earned it.

    Attributes:
        tier: 1 to 4, see `NAMES`.
        losses: mean log loss per period on the held-out origins, by tier tried.
    """

    tier: int
    losses: dict[int, float]
    log_odds: LogOdds

    def predict(self, seen: View, limit_days: Array) -> Hazards:
        """P(churn within 30, 60, 90, 120 days)."""
        return hazards_of(self.log_odds, seen, limit_days)


def tiered(
    shared: LogHazard, past: Sequence[Standing], trial: Sequence[Standing], *, seed: int
) -> TieredHazard:
    """The tier that the business's own past supports.

    Args:
        shared: learnt from other businesses, on the columns of these views.
        past: the business's origins in order of time, followed up to the moment asked about.
        trial: the same origins but the last two closed ones, followed up to the first of those.
        seed: of the trees.
    """
    events, customers = _seen(past)
    permitted = permitted_tiers(customers, events)
    learnt = _events(trial)
    if len(permitted) == 1 or learnt < LEAST_EVENTS_TO_ADJUST or len(past) <= _HELD_OUT:
        return TieredHazard(1, {}, shared.log_odds)
    held_out = past[len(trial) : len(trial) + _HELD_OUT]
    rows, event = periods_of(held_out)
    losses = {tier: loss_of(_model(tier, shared, trial, seed)(rows), event) for tier in permitted}
    best = earned(losses)
    return TieredHazard(best, losses, _model(best, shared, past, seed))


def earned(losses: Mapping[int, float]) -> int:
    """The highest tier that told the held-out rows better than the ones below it."""
    tiers = sorted(losses)
    best = tiers[0]
    for tier in tiers[1:]:
        if losses[tier] < losses[best] - LEAST_GAIN:
            best = tier
    return best


def permitted_tiers(customers: int, events: int) -> list[int]:
    """The tiers that so many customers and departures allow to be tried."""
    tiers = [1]
    if events >= LEAST_EVENTS_TO_ADJUST:
        tiers.append(2)
    for tier, (least_customers, least_events) in ((3, LEAST_TO_EXTEND), (4, LEAST_TO_OWN)):
        if customers >= least_customers and events >= least_events:
            tiers.append(tier)
    return tiers


def _seen(past: Sequence[Standing]) -> tuple[int, int]:
    """Departures and customers, each customer once."""
    everyone = np.concatenate([each.seen.customers for each in past])
    left: list[NDArray[np.int64]] = [
        each.seen.customers[~np.isnan(each.found.churn_days)] for each in past
    ]
    return np.unique(np.concatenate(left)).size, np.unique(everyone).size


def _events(past: Sequence[Standing]) -> int:
    return _seen(past)[0] if past else 0


def _model(tier: int, shared: LogHazard, past: Sequence[Standing], seed: int) -> LogOdds:
    if tier == 1:
        return shared.log_odds
    if tier == 4:
        return log_hazard(past, seed=seed).log_odds
    rows, event = periods_of(past)
    found = fit_sigmoid(shared.log_odds(rows), event)

    def adjusted(asked: Array) -> Array:
        return np.asarray(found.slope * shared.log_odds(asked) + found.intercept)

    if tier == 2:
        return adjusted
    booster = own_trees(rows, event, adjusted(rows), seed=seed)
    return lambda asked: adjusted(asked) + raw(booster, asked)


def own_trees(rows: Array, event: NDArray[np.bool_], start: Array, *, seed: int) -> lgb.Booster:
    """A business's own small trees on top of the log-odds that it starts from."""
    return lgb.train(
        {
            "objective": "binary",
            "num_leaves": 4,
            "learning_rate": 0.03,
            "min_data_in_leaf": min(100, max(20, event.size // 40)),
            "lambda_l2": 20.0,
            "feature_fraction": 0.4,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "seed": seed,
            "verbosity": -1,
        },
        lgb.Dataset(rows, label=event, init_score=start),
        num_boost_round=120,
    )
