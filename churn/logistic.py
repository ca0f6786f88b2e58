"""Logistic regression: the transparent member of every blend.

On well-made features it is level with boosted trees under some 20,000 rows, and it errs elsewhere
than they do; so it is fitted beside them and mixed in where that wins on data neither has seen.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from churn.feature_rows import Array

_STEPS = 60
_TOLERANCE = 1e-9
# Scores beyond 3 standard deviations are the tails of a few rows: held there, so that a customer
# ten times larger than any seen is 'very large', not ten times as much.
_FARTHEST = 3.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """Intercept and one weight per column, in log-odds."""

    intercept: float
    weights: Array

    def log_odds(self, design: Array) -> Array:
        """Of each row (n, columns); summed column by column, so that no row depends on a batch."""
        total = np.full(len(design), self.intercept)
        for column in np.flatnonzero(self.weights):
            total += self.weights[column] * design[:, column]
        return total


def fit(
    design: Array, event: NDArray[np.bool_], *, penalty: float, offset: Array | None = None
) -> Fitted:
    """Maximum likelihood with a ridge of `penalty` on each weight, none on the intercept.

    Newton's method with step halving; the optimum is unique where `penalty` > 0.

    Args:
        design: (n, columns), no NaN, columns of about unit size.
        event: (n,).
        penalty: of half the squared weights, in nats; 1 is one row's worth of information.
        offset: log-odds (n,) that are there already.
    """
    rows = np.column_stack([np.ones(len(design)), design])
    ridge = np.full(rows.shape[1], penalty)
    ridge[0] = 1e-6  # keeps the step finite where every row has the event
    base = np.zeros(len(rows)) if offset is None else offset
    weights = np.zeros(rows.shape[1])
    loss = _loss(rows, event, weights, ridge, base)
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(rows @ weights + base, -500.0, 500.0)))
        gradient = rows.T @ (chance - event) + ridge * weights
        spread = np.maximum(chance * (1.0 - chance), 1e-9)
        curvature = (rows * spread[:, None]).T @ rows
        curvature[np.diag_indices_from(curvature)] += ridge
        step = np.linalg.solve(curvature, gradient)
        tried = _loss(rows, event, weights - step, ridge, base)
        while tried > loss + 1e-12 and np.abs(step).max() > 1e-12:
            step = step / 2
            tried = _loss(rows, event, weights - step, ridge, base)
        weights = weights - step
        gained, loss = loss - tried, tried
        if gained < _TOLERANCE * max(1.0, loss):
            break
    return Fitted(float(weights[0]), weights[1:])


def _loss(
    rows: Array, event: NDArray[np.bool_], weights: Array, ridge: Array, base: Array
) -> float:
    log_odds = rows @ weights + base
    return float(
        np.logaddexp(0.0, log_odds).sum()
        - log_odds[event].sum()
        + 0.5 * (ridge * np.square(weights)).sum()
    )


@dataclass(frozen=True, slots=True)
class NormalScores:
    """Maps each column to the normal score of its place among the training rows.

    Heavy tails of money and counts become straight lines, and a column in cents weighs as much as
    one in visits. Not known becomes 0, the middle, and where a column has unknowns a second column
    says so.

    Attributes:
        knots: per column the distinct training values kept, ascending; empty = constant column.
        places: per column the normal score of each knot, within ±3.
        with_unknown: columns that had unknown values in training.
    """

    knots: tuple[tuple[float, ...], ...]
    places: tuple[tuple[float, ...], ...]
    with_unknown: tuple[int, ...]

    @classmethod
    def of(cls, features: Array, *, most_knots: int = 48) -> Self:
        """Learnt from training rows (n, f), NaN = not known."""
        found = [_knots(column[~np.isnan(column)], most_knots) for column in features.T]
        unknown = np.isnan(features)
        return cls(
            knots=tuple(knots for knots, _ in found),
            places=tuple(places for _, places in found),
            with_unknown=tuple(
                int(column)
                for column in range(features.shape[1])
                if found[column][0] and unknown[:, column].any()
            ),
        )

    def design(self, features: Array) -> Array:
        """(n, f + columns with unknowns); the same bits for a row alone as among many."""
        count, width = features.shape
        made = np.zeros((count, width + len(self.with_unknown)), order="F")
        for column in range(width):
            if self.knots[column]:
                made[:, column] = _placed(
                    features[:, column], np.array(self.knots[column]), np.array(self.places[column])
                )
        for place, column in enumerate(self.with_unknown):
            made[:, width + place] = np.isnan(features[:, column])
        return made

    def padded(self) -> "PaddedKnots":
        """The same knots as two arrays, for a few rows at a time."""
        most = max((len(knots) for knots in self.knots), default=0)
        shape = (len(self.knots), max(most, 2))
        padded = PaddedKnots(
            np.full(shape, np.inf), np.zeros(shape), np.zeros(shape[0], np.int64), self.with_unknown
        )
        for column, knots in enumerate(self.knots):
            padded.knots[column, : len(knots)] = knots
            padded.places[column, : len(knots)] = self.places[column]
            padded.last[column] = max(len(knots) - 1, 0)
        return padded


@dataclass(frozen=True, slots=True)
class PaddedKnots:
    """`NormalScores` laid out for single rows: all columns at once instead of one by one."""

    knots: Array
    places: Array
    last: NDArray[np.int64]
    with_unknown: tuple[int, ...]

    def design(self, features: Array) -> Array:
        """As `NormalScores.design`, to the bit."""
        columns = np.arange(len(self.last))
        unknown = np.isnan(features)
        held = np.where(unknown, 0.0, features)
        here = (self.knots[None] <= held[:, :, None]).sum(axis=2) - 1
        low = np.clip(here, 0, np.maximum(self.last - 1, 0))
        below, above = self.knots[columns, low], self.knots[columns, low + 1]
        start, end = self.places[columns, low], self.places[columns, low + 1]
        with np.errstate(invalid="ignore"):
            placed = (end - start) / (above - below) * (held - below) + start
        placed = np.where(here < 0, self.places[:, 0], placed)
        placed = np.where(here >= self.last, self.places[columns, self.last], placed)
        placed = np.where(unknown | (self.last == 0), 0.0, placed)
        return np.column_stack([placed, unknown[:, list(self.with_unknown)]])


def _placed(values: Array, knots: Array, places: Array) -> Array:
    """Straight lines between the knots, held at both ends; not known = 0."""
    unknown = np.isnan(values)
    held = np.where(unknown, 0.0, values)
    here = np.searchsorted(knots, held, side="right") - 1
    low = np.clip(here, 0, len(knots) - 2)
    slope = (places[1:] - places[:-1]) / (knots[1:] - knots[:-1])
    placed = slope[low] * (held - knots[low]) + places[low]
    placed = np.where(here < 0, places[0], placed)
    placed = np.where(here >= len(knots) - 1, places[-1], placed)
    return np.where(unknown, 0.0, placed)


def _knots(known: Array, most: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    values, counts = np.unique(known, return_counts=True)
    if values.size < 2:
        return (), ()
    # the middle of each value's share of the rows
    middle = (np.cumsum(counts) - counts / 2) / known.size
    if values.size > most:
        wanted = np.linspace(0.0, 1.0, most)
        chosen = np.unique(np.searchsorted(middle, wanted).clip(0, values.size - 1))
        values, middle = values[chosen], middle[chosen]
    places = np.clip(ndtri(middle), -_FARTHEST, _FARTHEST)
    return tuple(float(value) for value in values), tuple(float(place) for place in places)
