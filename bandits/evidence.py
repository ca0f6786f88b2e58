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

# Below this the sums are counted over all combinations at once; above, over those that occur.
_DENSE = 1 << 22


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
    cell, days = _joint_cells(outcomes)
    used, place = _compact(cell)
    rows = _summed(outcomes, place, len(used))
    found: dict[Cell, FloatArray] = {}
    stride = len(days)
    day = days[used % stride]
    rest = used // stride
    for factor, (names, _) in outcomes.arms.items():
        arm = rest % (len(names) + 1) - 1
        rest = rest // (len(names) + 1)
        for row in range(len(used)):
            if arm[row] < 0:
                continue
            key = Cell(factor, names[arm[row]], int(day[row]))
            found[key] = found[key] + rows[row] if key in found else rows[row]
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


def _joint_cells(outcomes: Outcomes) -> tuple[IntArray, IntArray]:
    """One number per outcome for day and all arms together, and the days that occur."""
    days, cell = np.unique(outcomes.day, return_inverse=True)
    size = len(days)
    joint = cell.astype(np.int64)
    for names, chosen in outcomes.arms.values():
        joint += (chosen + 1) * size
        size *= len(names) + 1
    return joint, days


def _compact(cell: IntArray) -> tuple[IntArray, IntArray]:
    """The different cells, ascending, and each outcome's place among them."""
    if cell.max() < _DENSE:
        present = np.zeros(int(cell.max()) + 1, dtype=np.bool_)
        present[cell] = True
        used = np.flatnonzero(present)
        place = np.empty(len(present), dtype=np.int64)
        place[used] = np.arange(len(used))
        return used, place[cell]
    used, place = np.unique(cell, return_inverse=True)
    return used, place


def _summed(outcomes: Outcomes, place: IntArray, count: int) -> FloatArray:
    rows = np.zeros((count, WIDTH))
    context = np.round(known(outcomes.context) / GRAIN) * GRAIN
    reward = np.round(outcomes.reward / GRAIN) * GRAIN
    first = np.isnan(outcomes.previous)
    before = np.where(first, 0.0, np.round(outcomes.previous / GRAIN) * GRAIN)
    change = reward - before
    columns = np.ascontiguousarray(context.T)
    new = first.astype(np.float64)
    every = bool(first.all())
    for number, (i, j) in enumerate(_PAIRS):
        product = columns[i] * columns[j]
        rows[:, number] = np.bincount(place, product if every else product * new, minlength=count)
    moved = np.flatnonzero(change)
    where, change = place[moved], change[moved]
    for i in range(_D):
        rows[:, MOMENT.start + i] = np.bincount(where, columns[i][moved] * change, minlength=count)
    squares = reward[moved] ** 2 - before[moved] ** 2
    rows[:, SQUARES] = np.bincount(where, squares, minlength=count)
    goals = (reward[moved] >= outcomes.goal).astype(np.float64)
    goals -= before[moved] >= outcomes.goal
    rows[:, GOALS] = np.bincount(where, goals, minlength=count)
    bins = LAST_DELAY + 1
    for values, days, sign in (
        (reward, outcomes.delay_days, 1.0), (before, outcomes.previous_delay_days, -1.0)
    ):  # fmt: skip
        rewarded = np.flatnonzero(values)
        at = place[rewarded] * bins + np.clip(days[rewarded], 0, LAST_DELAY)
        came = np.bincount(at, sign * values[rewarded], minlength=count * bins)
        rows[:, DELAYS] += came.reshape(count, bins)
    return rows
