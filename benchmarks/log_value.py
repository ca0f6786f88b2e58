"""Lifetime value on a transaction log: money of the next 180 days, beside plain arithmetic."""

from typing import Any

import numpy as np

from churn.feature_rows import Array
from churn.lifetime_value import summary_of, value_by_trees, value_model
from churn.log_features import LogHistory, view
from churn.metrics import spearman
from engine.errors import TooFewData

DAYS = 180
WITHIN_DAYS = 365


def value(history: LogHistory, seed: int) -> dict[str, Any]:
    """Mean absolute error, rank correlation and total by method, at one origin.

    Customers who came within a year before it; money net of returns, so that an order of 168,469
    that was returned the same day is worth nothing. Raises TooFewData where the log is too short.
    """
    origin = history.log.days - 1 - DAYS
    first = max(90, origin - WITHIN_DAYS)
    if origin - DAYS < first:
        raise TooFewData(f"{history.log.days} days are too short to look {DAYS} days ahead.")
    window = (0.0, float(DAYS))
    now = view(history, origin, within_days=WITHIN_DAYS, window=window)
    past = [
        view(history, day, within_days=WITHIN_DAYS, window=window)
        for day in range(origin - DAYS, first - 1, -30)
    ]
    actual = np.maximum(history.net_spend(now.customers, origin, origin + DAYS), 0.0)
    everyone = view(history, origin, within_days=history.log.days, window=window)
    mean = history.net_spend(everyone.customers, -1, origin) / everyone.visits
    model = value_model(summary_of(everyone), mean)
    spent = np.maximum(history.net_spend(now.customers, -1, origin), 0.0)
    own = spent / now.visits
    told = model.value(summary_of(now), own, days=float(DAYS), seed=seed)
    trees = value_by_trees(history, past, now, days=DAYS, seed=seed)
    methods = {
        "ours": told.expected,
        "trees": trees,
        "mean_of_both": (told.expected + trees) / 2,
        "past_rate": spent / np.maximum(now.tenure_days, 30.0) * DAYS,
        "last_180_days": np.maximum(history.net_spend(now.customers, origin - DAYS, origin), 0.0),
    }
    inside = (actual >= told.low - 1e-9) & (actual <= told.high + 1e-9)
    return {
        "origin_day": origin,
        "customers": int(now.customers.size),
        "inside_80_percent_interval": float(inside.mean()),
        **{name: _judged(actual, each) for name, each in methods.items()},
    }


def _judged(actual: Array, told: Array) -> dict[str, float]:
    top = np.argsort(-told, kind="stable")[: max(1, len(told) // 10)]
    return {
        "mae": float(np.abs(told - actual).mean()),
        "spearman": spearman(told, actual),
        "top_decile_share": float(actual[top].sum() / actual.sum()),
        "total": float(told.sum() / actual.sum()),
    }
