"""Who leaves, from a table without time: several models, mixed in log-odds and calibrated.

Everything that is chosen (form, penalty, mixture, calibration) is chosen by log loss on rows the
candidate did not see, within the training rows; the rows to be judged are not looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from churn.blend import loss_of, mixture
from churn.calibrate import fit_sigmoid, sigmoid
from churn.feature_rows import Array
from churn.logistic import fit
from churn.tabular import Coded, Table, TableCode, has_wide_categories

Rows = NDArray[np.int64]
# (leaves, trees, rows in a leaf). Small trees win on tables of service size; the larger ones are
# for tables whose rows are many or nearly repeat each other, and are tried while they still gain.
_TREES = {
    "trees-3": (3, 500, 80),
    "trees-4": (4, 400, 80),
    "trees-6": (6, 250, 60),
    "trees-15": (15, 200, 30),
    "trees-31": (31, 300, 15),
    "trees-63": (63, 500, 8),
}
_LADDER = ("trees-15", "trees-31", "trees-63")
# The same with sets of levels as splits, for tables with wide categories.
_SETS = {"sets-6": (6, 250, 30), "sets-15": (15, 200, 20)}
# Ridge in nats.
_LOGISTIC = {
    "logistic-0.05": 0.05,
    "logistic-0.2": 0.2,
    "logistic-1": 1.0,
    "logistic-5": 5.0,
    "logistic-20": 20.0,
}
_INNER_FOLDS = 3
_MOST_INNER_ROWS = 20_000
# Fewer events than this and trees only learn the noise.
_LEAST_EVENTS_FOR_TREES = 15
_FARTHEST = 12.0

Predict = Callable[[Coded], Array]


@dataclass(frozen=True, slots=True)
class TableModel:
    """A fitted mixture.

    Attributes:
        weights: by candidate, summing to 1; what is not named has none.
        slope, intercept: of the calibration on held-out log-odds.
    """

    code: TableCode
    members: dict[str, Predict]
    weights: dict[str, float]
    slope: float
    intercept: float

    def probability(self, table: Table, rows: Rows) -> Array:
        """P(event) of rows that need not have been seen."""
        coded = self.code.unseen(table, rows)
        total = np.zeros(rows.size)
        for name, weight in self.weights.items():
            total += weight * self.members[name](coded)
        return sigmoid(self.slope * total + self.intercept)


def fit_table(table: Table, rows: Rows, *, seed: int, threads: int = 1) -> TableModel:
    """The mixture that does best inside `rows`; the same seed and rows give the same model."""
    rows = np.sort(rows)
    inner = rows
    if rows.size > _MOST_INNER_ROWS:
        chosen = np.random.default_rng(seed).choice(rows, _MOST_INNER_ROWS, replace=False)
        inner = np.sort(chosen)
    told = _held_out(table, inner, seed, threads)
    weights = mixture(told, table.event[inner])
    held_out = np.sum([weight * told[name] for name, weight in weights.items()], axis=0)
    calibration = fit_sigmoid(held_out, table.event[inner])
    code = TableCode.learn(table, rows)
    seen = code.training(table, rows, seed)
    members = {name: _fit(name, seen, table.event[rows], seed, threads) for name in weights}
    return TableModel(code, members, weights, calibration.slope, calibration.intercept)


def folds_of(event: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row, each with its share of the events (to one row)."""
    place = np.zeros(event.size, dtype=np.int64)
    rng = np.random.default_rng(seed)
    for outcome in (True, False):
        of_class = rng.permutation(np.flatnonzero(event == outcome))
        place[of_class] = np.arange(of_class.size) % folds
    return place


def _held_out(table: Table, rows: Rows, seed: int, threads: int) -> dict[str, Array]:
    """Log-odds of each row by each candidate, fitted without the row's fold."""
    event = table.event[rows]
    fold = folds_of(event, _INNER_FOLDS, seed + 1)
    pairs = []
    for number in range(_INNER_FOLDS):
        learn, judge = rows[fold != number], rows[fold == number]
        code = TableCode.learn(table, learn)
        coded = code.training(table, learn, seed), code.unseen(table, judge)
        pairs.append((fold == number, table.event[learn], *coded))

    def told(name: str) -> Array:
        made = np.zeros(rows.size)
        for place, outcome, seen, unseen in pairs:
            made[place] = _fit(name, seen, outcome, seed, threads)(unseen)
        return made

    found = {name: told(name) for name in _LOGISTIC}
    if min(int(event.sum()), int((~event).sum())) < _LEAST_EVENTS_FOR_TREES:
        return found
    found |= {name: told(name) for name in _TREES if name not in _LADDER}
    if has_wide_categories(table):
        found |= {name: told(name) for name in _SETS}
    best = min(loss_of(found[name], event) for name in _TREES if name in found)
    for name in _LADDER:
        found[name] = told(name)
        loss = loss_of(found[name], event)
        if loss > best:
            break
        best = loss
    return found


def _fit(name: str, seen: Coded, event: NDArray[np.bool_], seed: int, threads: int) -> Predict:
    if name in _LOGISTIC:
        fitted = fit(seen.linear, event, penalty=_LOGISTIC[name])
        return lambda coded: np.clip(fitted.log_odds(coded.linear), -_FARTHEST, _FARTHEST)
    leaves, trees, in_leaf = (_TREES | _SETS)[name]
    sets = name in _SETS
    booster = lgb.train(
        {
            "objective": "binary",
            "num_leaves": leaves,
            "learning_rate": 0.03 if leaves < 15 else 0.05,
            "min_data_in_leaf": min(in_leaf, max(3, event.size // 60)),
            "lambda_l2": 5.0 if leaves < 31 else 1.0,
            "feature_fraction": 0.4 if leaves < 15 else 0.6,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": threads,
            "seed": seed,
            "verbosity": -1,
        },
        lgb.Dataset(
            seen.native if sets else seen.trees,
            label=event,
            categorical_feature=list(seen.categories) if sets else "auto",
        ),
        num_boost_round=trees,
    )

    def log_odds(coded: Coded) -> Array:
        rows = coded.native if sets else coded.trees
        told = booster.predict(rows, raw_score=True, num_threads=threads)
        return np.asarray(np.clip(told, -_FARTHEST, _FARTHEST))

    return log_odds
