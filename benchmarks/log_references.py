"""What others would run on a transaction log, for comparison in the same run."""

from collections.abc import Sequence

import lightgbm as lgb
import numpy as np

from churn.feature_rows import Array
from churn.log_features import View
from churn.log_models import Labelled
from churn.logistic import NormalScores, fit

RFM = ("recency", "visits", "spend_365", "tenure", "visits_per_day")


def _column(seen: View, name: str) -> Array:
    return seen.features[:, seen.names.index(name)]


def _alone(name: str, past: Sequence[Labelled], now: View) -> Array:
    """One column, as probabilities by a logistic curve over its ranks."""
    column = np.concatenate([_column(each.seen, name) for each in past])[:, None]
    gone = np.concatenate([each.gone for each in past])
    normal = NormalScores.of(column)
    curve = fit(normal.design(column), gone, penalty=1.0)
    odds = curve.log_odds(normal.design(_column(now, name)[:, None]))
    return np.asarray(1 / (1 + np.exp(-odds)))


def references(past: Sequence[Labelled], now: View) -> dict[str, Array]:
    """Probabilities of each reference for the customers of `now`."""
    gone = np.concatenate([each.gone for each in past])
    columns = [now.names.index(name) for name in RFM]
    rows = np.concatenate([each.seen.features for each in past])[:, columns]
    settings = {
        "objective": "binary", "num_leaves": 15, "learning_rate": 0.03, "min_data_in_leaf": 60,
        "num_threads": 1, "seed": 0, "verbosity": -1,
    }  # fmt: skip
    trees = lgb.train(settings, lgb.Dataset(rows, label=gone), num_boost_round=300)
    told = _column(now, "silent_chance")
    return {
        "majority": np.full(now.customers.size, gone.mean()),
        "recency": _alone("recency", past, now),
        "purchase_rate": _alone("visits_per_day", past, now),
        "bg_nbd": np.where(np.isnan(told), gone.mean(), told),
        "lightgbm_rfm": np.asarray(trees.predict(now.features[:, columns])),
    }
