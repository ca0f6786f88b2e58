"""The supervised way: one LightGBM a arm predicts the reward, the highest prediction is taken."""

import lightgbm
import numpy as np
from numpy.typing import NDArray

from bandits.off_policy import folds_of
from benchmarks.action_log import ActionLog

_FOLDS = 3
_ROUNDS = 60
_PARAMETERS = {
    "objective": "regression", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 100,
    "num_threads": 1, "verbose": -1, "deterministic": True, "force_row_wise": True, "seed": 1,
}  # fmt: skip


def argmax_policy(log: ActionLog) -> NDArray[np.float64]:
    """P(arm) per row, (n, k), of 0 and 1: each fold's models are fitted on the others."""
    n, k = len(log.actions), len(log.arms)
    if not log.raw.shape[1]:
        best = int(np.argmax([log.rewards[log.actions == arm].mean() for arm in range(k)]))
        return np.asarray(np.broadcast_to(np.eye(k)[best], (n, k)))
    fold = folds_of(n, None, folds=_FOLDS, seed=0)
    predicted = np.full((n, k), -np.inf)
    for number in range(_FOLDS):
        outside = np.flatnonzero(fold == number)
        for arm in range(k):
            rows = np.flatnonzero((fold != number) & (log.actions == arm))
            if len(rows) < 2:
                continue
            data = lightgbm.Dataset(log.raw[rows], log.rewards[rows])
            model = lightgbm.train(_PARAMETERS, data, num_boost_round=_ROUNDS)
            predicted[outside, arm] = model.predict(log.raw[outside])
    return np.asarray(np.eye(k)[predicted.argmax(axis=1)])
