"""What others would run on a table with one row per customer, for comparison in the same run."""

from collections.abc import Callable

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from churn.feature_rows import Array
from churn.tabular import Table

Rows = NDArray[np.int64]
Reference = Callable[[Table, Rows, Rows, int], Array]
_MOST_CATEGORIES = 200


def _numbers(table: Table, rows: Rows) -> Array:
    if not table.numbers:
        return np.zeros((rows.size, 0))
    return np.column_stack([values[rows] for values in table.numbers.values()])


def _codes(table: Table, rows: Rows) -> Array:
    if not table.categories:
        return np.zeros((rows.size, 0))
    return np.column_stack([codes[rows] for codes in table.categories.values()]).astype(float)


def _one_hot(table: Table, train: Rows, test: Rows) -> tuple[Array, Array]:
    """Blanks as the training median, numbers standardised, categories one-hot."""
    seen, unseen = _numbers(table, train), _numbers(table, test)
    if table.numbers:
        middle = np.array([_median(column) for column in seen.T])
        scale = StandardScaler().fit(np.where(np.isnan(seen), middle, seen))
        seen = scale.transform(np.where(np.isnan(seen), middle, seen))
        unseen = scale.transform(np.where(np.isnan(unseen), middle, unseen))
    if not table.categories:
        return seen, unseen
    levels = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=_MOST_CATEGORIES, sparse_output=False
    ).fit(_codes(table, train))
    return (
        np.column_stack([seen, levels.transform(_codes(table, train))]),
        np.column_stack([unseen, levels.transform(_codes(table, test))]),
    )


def _median(column: Array) -> float:
    known = column[~np.isnan(column)]
    return float(np.median(known)) if known.size else 0.0


def majority(table: Table, train: Rows, test: Rows, _seed: int) -> Array:
    return np.full(test.size, table.event[train].mean())


def logistic_regression(table: Table, train: Rows, test: Rows, _seed: int) -> Array:
    seen, unseen = _one_hot(table, train, test)
    model = LogisticRegression(C=1.0, max_iter=2000).fit(seen, table.event[train])
    return np.asarray(model.predict_proba(unseen)[:, 1])


def lightgbm_default(table: Table, train: Rows, test: Rows, seed: int) -> Array:
    width = len(table.numbers)
    categories = list(range(width, width + len(table.categories)))
    rows = [np.column_stack([_numbers(table, r), _codes(table, r)]) for r in (train, test)]
    learnt = lgb.Dataset(
        rows[0], label=table.event[train], categorical_feature=categories or "auto"
    )
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": seed}
    return np.asarray(lgb.train(settings, learnt, num_boost_round=100).predict(rows[1]))


def hist_gradient_boosting(table: Table, train: Rows, test: Rows, seed: int) -> Array:
    codes = [_codes(table, rows) for rows in (train, test)]
    # sklearn takes at most 255 levels as categories; wider ones go in as plain numbers
    narrow = [int(codes[0][:, place].max()) < 250 for place in range(codes[0].shape[1])]
    rows = [
        np.column_stack([_numbers(table, r), np.where(told < 0, np.nan, told)])
        for r, told in zip((train, test), codes, strict=True)
    ]
    model = HistGradientBoostingClassifier(
        categorical_features=[False] * len(table.numbers) + narrow, random_state=seed
    ).fit(rows[0], table.event[train])
    return np.asarray(model.predict_proba(rows[1])[:, 1])


def random_forest(table: Table, train: Rows, test: Rows, seed: int) -> Array:
    seen, unseen = _one_hot(table, train, test)
    model = RandomForestClassifier(300, min_samples_leaf=5, random_state=seed)
    return np.asarray(model.fit(seen, table.event[train]).predict_proba(unseen)[:, 1])


REFERENCES: dict[str, Reference] = {
    "majority": majority,
    "logistic_regression": logistic_regression,
    "lightgbm_default": lightgbm_default,
    "hist_gradient_boosting": hist_gradient_boosting,
    "random_forest": random_forest,
}
