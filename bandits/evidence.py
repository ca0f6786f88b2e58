"""What outcomes have taught: sums by factor, arm and day of the decision, and nothing else.

Forgetting, delays, pooling and spreads are computed from these sums (`fit.py`) and never enter
them. Every number added is a multiple of 2^-20 below 2^32, so additions in float64 are exact: the
sums do not depend on order, batches or workers, a reward that is taken back leaves no trace, and
a rebuild from the log gives the same bits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.context import CONTEXT_FEATURES, known
from engine.errors import InvalidInput

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Contexts and rewards are rounded to this: 0.001 of a share is finer than either is known.
GRAIN = 2.0**-10
# A reward later than this after its decision counts as on this day.
LAST_DELAY = 30

_D = len(CONTEXT_FEATURES)
_PAIRS = tuple((i, j) for i in range(_D) for j in range(i, _D))
# The parts of a row: Gram triangle, moment, squares, goals, reward by days of delay.
GRAM = slice(0, len(_PAIRS))
MOMENT = slice(GRAM.stop, GRAM.stop + _D)
SQUARES, GOALS = MOMENT.stop, MOMENT.stop + 1
DELAYS = slice(GOALS + 1, GOALS + 2 + LAST_DELAY)
WIDTH = DELAYS.stop


class Cell(NamedTuple):
    """Names one row of sums; `day` counts from 1970-01-01."""

    factor: str
    arm: str
    day: int


Evidence = Mapping[Cell, FloatArray]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The rewards of n decisions, for the first time or changed.

    Attributes:
        arms: by factor name: the arms' names and which was chosen, (n,); -1 where the decision has
            no such factor.
        day: of the decision, days since 1970-01-01, (n,).
        context: at the time of the decision, (n, d).
        reward: in [0, 1], (n,).
        previous: the reward it was learned with before, (n,); NaN the first time.
        delay_days: from the message to the outcome that made the reward what it is, (n,).
        previous_delay_days: the same of the previous reward, (n,).
        goal: at or above this a reward is the action's goal.
    """

    arms: Mapping[str, tuple[tuple[str, ...], IntArray]]
    day: IntArray
    context: FloatArray
    reward: FloatArray
    previous: FloatArray
    delay_days: IntArray
    previous_delay_days: IntArray
    goal: float = 1.0

    def __post_init__(self) -> None:
        for name, values in (("reward", self.reward), ("previous reward", self.previous)):
            told = values[~np.isnan(values)] if name != "reward" else values
            bad = ~((told >= 0.0) & (told <= 1.0))
            if bad.any():
                raise InvalidInput(
                    f"A {name} is {told[bad][0]}.",
                    hint="Rewards lie in [0, 1]; take them from the reward ladder.",
                )
        if self.context.shape != (len(self.reward), _D):
            raise InvalidInput(
                f"The contexts have shape {self.context.shape}, not {(len(self.reward), _D)}.",
                hint="Store the context with the decision and give it back unchanged.",
            )


def tallied(outcomes: Outcomes) -> dict[Cell, FloatArray]:
    """The sums of these outcomes alone; add them with `added`."""
    if not len(outcomes.reward):
        return {}
    days, day = np.unique(outcomes.day, return_inverse=True)
    terms = _terms(outcomes)
    found: dict[Cell, FloatArray] = {}
    for factor, (names, chosen) in outcomes.arms.items():
        # decisions without the factor go to a last row, which is left out
        place = np.where(chosen >= 0, chosen * len(days) + day, len(names) * len(days))
        count = len(names) * len(days) + 1
        rows = _summed(terms, place, count)[:-1]
        used = np.flatnonzero(np.bincount(place, minlength=count)[:-1])
        for row, each in zip(used.tolist(), rows[used], strict=True):
            found[Cell(factor, names[row // len(days)], int(days[row % len(days)]))] = each
    return found


def added(evidence: Evidence, more: Evidence) -> dict[Cell, FloatArray]:
    """Both together; rows that come to nothing stay, so that a rebuild finds the same rows."""
    total = dict(evidence)
    for key, row in more.items():
        total[key] = total[key] + row if key in total else row
    return total


def arms_of(evidence: Iterable[Cell]) -> dict[str, tuple[str, ...]]:
    """Arms by factor, sorted."""
    arms: dict[str, set[str]] = {}
    for cell in evidence:
        arms.setdefault(cell.factor, set()).add(cell.arm)
    return {factor: tuple(sorted(names)) for factor, names in sorted(arms.items())}


def unpacked(rows: FloatArray) -> FloatArray:
    """Gram matrices (..., d, d) from rows (..., WIDTH)."""
    gram = np.zeros((*rows.shape[:-1], _D, _D))
    for at, (i, j) in enumerate(_PAIRS):
        gram[..., i, j] = rows[..., at]
        gram[..., j, i] = rows[..., at]
    return gram


@dataclass(frozen=True, slots=True)
class _Terms:
    """What is added up, whatever by.

    Attributes:
        fresh: decisions seen for the first time, as a selection of rows.
        products: x_i x_j of those, in the order of the Gram triangle; None for a plain count.
        moved: rows whose reward changed; the columns below are theirs.
        columns: parts of a row and what is added to them.
        delays: rows, delay in days and reward that came with it, or went.
    """

    fresh: slice | BoolArray
    products: list[FloatArray | None]
    moved: IntArray
    columns: list[tuple[int, FloatArray]]
    delays: list[tuple[IntArray, IntArray, FloatArray]]


def _terms(outcomes: Outcomes) -> _Terms:
    # columns lie in memory one after the other: each is read many times
    columns = np.ascontiguousarray(known(outcomes.context).T)
    columns = np.rint(columns * (1.0 / GRAIN)) * GRAIN
    reward = np.round(outcomes.reward / GRAIN) * GRAIN
    first = np.isnan(outcomes.previous)
    before = np.where(first, 0.0, np.round(outcomes.previous / GRAIN) * GRAIN)
    fresh = slice(None) if bool(first.all()) else first
    told = columns[:, fresh]
    ones = bool((told[0] == 1.0).all())  # the first feature is 1 nearly always
    products: list[FloatArray | None] = [
        (None if j == 0 else told[j]) if ones and i == 0 else told[i] * told[j] for i, j in _PAIRS
    ]
    moved = np.flatnonzero(reward != before)
    after, was = reward[moved], before[moved]
    goals = (after >= outcomes.goal).astype(np.float64) - (was >= outcomes.goal)
    parts = [(MOMENT.start + i, columns[i][moved] * (after - was)) for i in range(_D)]
    parts += [(SQUARES, after**2 - was**2), (GOALS, goals)]
    delays = []
    for values, days, sign in (
        (reward, outcomes.delay_days, 1.0), (before, outcomes.previous_delay_days, -1.0)
    ):  # fmt: skip
        rows = np.flatnonzero(values)
        delays.append((rows, np.clip(days[rows], 0, LAST_DELAY), sign * values[rows]))
    return _Terms(fresh, products, moved, parts, delays)


def _summed(terms: _Terms, place: IntArray, count: int) -> FloatArray:
    """The terms added up by place, (count, WIDTH)."""
    rows = np.zeros((count, WIDTH))
    where = place[terms.fresh]
    for number, product in enumerate(terms.products):
        rows[:, number] = np.bincount(where, product, minlength=count)
    where = place[terms.moved]
    for number, change in terms.columns:
        rows[:, number] = np.bincount(where, change, minlength=count)
    bins = LAST_DELAY + 1
    for at, delay, came in terms.delays:
        found = np.bincount(place[at] * bins + delay, came, minlength=count * bins)
        rows[:, DELAYS] += found.reshape(count, bins)
    return rows
