"""A log of choices and rewards from a file, as arrays; contexts in two encodings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import chi2_contingency
from sklearn.linear_model import LogisticRegression

from bandits.off_policy import Log, folds_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEVELS = 12  # of one column; rarer ones become 'other'
_BINS = 4  # of a numeric column with more values than levels
# The chance that a randomised log is taken for one that is not, over all columns together.
_NOT_RANDOM = 1e-4


@dataclass(frozen=True, slots=True)
class ActionLog:
    """A randomised log.

    Attributes:
        arms: their names, sorted.
        actions, rewards: (n,).
        probability: P(the arm taken), (n,).
        shares: P(each arm) per row, (n, k), where it is known or estimated.
        contexts: for Keepwell: 1, then each column as levels or bins, (n, d).
        groups: group of each feature of `contexts`, (d,).
        plain: for others: 1, standardised numbers, levels as 0 and 1, (n, e).
        raw: the columns as numbers, for trees, (n, c).
        note: how the probabilities came about.
    """

    arms: tuple[str, ...]
    actions: IntArray
    rewards: FloatArray
    probability: FloatArray
    shares: FloatArray
    contexts: FloatArray
    groups: IntArray
    plain: FloatArray
    raw: FloatArray
    note: str

    @property
    def log(self) -> Log:
        return Log(self.actions, self.rewards, self.probability, len(self.arms))


def read_log(
    path: Path, *, action: str, reward: str, propensity: str | None, context: list[str]
) -> ActionLog:
    """Read CSV (also .gz) or Parquet; rows without action, reward or probability are left out.

    Raises:
        SystemExit: a column is missing, with those that exist.
    """
    frame = read_frame(path)
    wanted = [action, reward, *context, *([propensity] if propensity else [])]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise SystemExit(f"{path} has no column {missing}; it has {frame.columns}")
    frame = frame.with_columns(pl.col(reward).cast(pl.Float64, strict=False))
    frame = frame.filter(pl.col(action).is_not_null() & pl.col(reward).is_finite())
    if propensity:
        frame = frame.with_columns(pl.col(propensity).cast(pl.Float64, strict=False))
        frame = frame.filter((pl.col(propensity) > 0.0) & (pl.col(propensity) <= 1.0))
    if frame.is_empty():
        raise SystemExit(f"{path} has no row with an action, a reward and a probability in (0, 1]")
    return log_of(frame, action=action, reward=reward, propensity=propensity, context=context)


def read_frame(path: Path) -> pl.DataFrame:
    """All columns of a CSV, gzipped CSV or Parquet file."""
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_csv(path, infer_schema_length=None, encoding="utf8-lossy")


def log_of(
    frame: pl.DataFrame, *, action: str, reward: str, propensity: str | None, context: list[str]
) -> ActionLog:
    """The log in a frame whose rows are complete."""
    names = frame[action].cast(pl.String)
    arms = tuple(sorted(names.unique().to_list()))
    place = {name: number for number, name in enumerate(arms)}
    actions = np.array([place[name] for name in names], dtype=np.int64)
    contexts, groups, plain, raw, levels = encoded(frame, context)
    shares = np.broadcast_to(np.bincount(actions) / len(actions), (len(actions), len(arms)))
    note = "each arm's share of the rows (the log looks randomised)"
    if propensity:
        note = f"column {propensity}"
    elif not looks_randomised(actions, levels):
        shares = estimated_shares(contexts, actions, len(arms))
        note = "estimated from the contexts: the log does not look randomised"
    rows = np.arange(len(actions))
    probability = (
        frame[propensity].to_numpy().astype(np.float64) if propensity else shares[rows, actions]
    )
    return ActionLog(
        arms, actions, frame[reward].to_numpy().astype(np.float64), probability,
        np.ascontiguousarray(shares), contexts, groups, plain, raw, note,
    )  # fmt: skip


def encoded(
    frame: pl.DataFrame, columns: list[str]
) -> tuple[FloatArray, IntArray, FloatArray, FloatArray, list[IntArray]]:
    """Both encodings of the columns, the groups of the first, raw numbers, levels by column.

    Nothing but the contexts is read, so there is no reward to peek at.
    """
    n = len(frame)
    ours, plain = [np.ones((n, 1))], [np.ones((n, 1))]
    groups, raw, levels = [0], [], []
    for column in columns:
        series = frame[column]
        numeric = series.dtype.is_numeric() and series.n_unique() > _LEVELS
        if numeric:
            values = series.cast(pl.Float64).fill_nan(None)
            filled = values.fill_null(values.median()).to_numpy().astype(np.float64)
            level = np.searchsorted(
                np.unique(np.quantile(filled, np.arange(1, _BINS) / _BINS)), filled, side="right"
            )
            standard = (filled - filled.mean()) / (filled.std() or 1.0)
            ours.append(np.clip(standard, -3.0, 3.0)[:, None])
            groups.append(1 + groups[-1])
            plain.append(standard[:, None])
            raw.append(filled)
        else:
            level = _levels(series)
            raw.append(level.astype(np.float64))
        hot = (level[:, None] == np.arange(level.max() + 1)).astype(np.float64)
        if not numeric:
            ours.append(hot)
            groups += [1 + groups[-1]] * hot.shape[1]
            plain.append(hot[:, 1:])
        levels.append(level.astype(np.int64))
    return (
        np.hstack(ours),
        np.array(groups, dtype=np.int64),
        np.hstack(plain),
        np.column_stack(raw) if raw else np.zeros((n, 0)),
        levels,
    )


def _levels(series: pl.Series) -> IntArray:
    text = series.cast(pl.String).fill_null("missing")
    common = text.value_counts(sort=True)
    kept = common[series.name][: _LEVELS - 1].to_list()
    place = {name: number for number, name in enumerate(sorted(kept))}
    return np.array([place.get(value, len(place)) for value in text], dtype=np.int64)


def looks_randomised(actions: IntArray, levels: list[IntArray]) -> bool:
    """Whether no context tells which arm was taken (chi-square, corrected for the columns)."""
    for level in levels:
        table = np.zeros((level.max() + 1, actions.max() + 1))
        np.add.at(table, (level, actions), 1)
        table = table[table.sum(axis=1) > 0]
        if len(table) > 1 and chi2_contingency(table).pvalue < _NOT_RANDOM / len(levels):
            return False
    return True


def estimated_shares(contexts: FloatArray, actions: IntArray, arms: int) -> FloatArray:
    """P(arm | context), (n, k), by cross-fitted logistic regression, at least 0.5 %."""
    fold = folds_of(len(actions), None, folds=5, seed=0)
    shares = np.full((len(actions), arms), 1e-6)
    for number in range(5):
        inside = fold != number
        model = LogisticRegression(max_iter=500, C=10.0).fit(contexts[inside], actions[inside])
        shares[np.ix_(~inside, model.classes_)] = model.predict_proba(contexts[~inside])
    shares = np.maximum(shares, 0.005)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
