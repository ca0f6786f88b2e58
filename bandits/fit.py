"""From evidence to a policy state: forgetting, delays, pooling, spreads. A pure function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandits.context import CONTEXT_FEATURES
from bandits.delays import arrived
from bandits.evidence import (
    DELAYS,
    GOALS,
    GRAM,
    MOMENT,
    SQUARES,
    WIDTH,
    Cell,
    Evidence,
    arms_of,
    unpacked,
)
from bandits.factor import RIDGE_PENALTY, Borrowed, FactorState, untrained
from bandits.hierarchy import ArmSums, Spreads, learned_spreads
from bandits.state import DEFAULT_NOISE, HIERARCHICAL, ActionCount, PolicyState

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# The pseudo-factor whose arms are the actions: how often each was carried out and reached its goal.
ACTION = "action"

# What is kept of a day's evidence after one more day. 0.98 (half in 34 days) cost 2 points of the
# possible gain in a world that stands still and won 6 to 13 in worlds that drift.
DISCOUNTS = (1.0, 0.99, 0.98, 0.95)
DEFAULT_DISCOUNT = 0.98
# Decisions before the discount is chosen by what it would have predicted.
_ENOUGH_DECISIONS, _ENOUGH_DAYS = 2000, 28
# A discount other than the default has to predict better by this many nats.
_NATS = 0.5

_D = len(CONTEXT_FEATURES)
GROUPS: NDArray[np.int64] = np.arange(_D, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Choosing:
    """What a tenant has set: see `PolicyState` for the meanings."""

    policy: str = HIERARCHICAL
    floor: float = 0.05
    noise: float = DEFAULT_NOISE


def fitted(
    evidence: Evidence,
    as_of_day: int,
    choosing: Choosing,
    borrowed: Mapping[str, Borrowed] | None = None,
) -> PolicyState:
    """What is to be done after this evidence, as of a day (days since 1970-01-01).

    The same evidence, day and settings give the same state to the bit; a decision dated after
    `as_of_day` counts as of that day.
    """
    listed = arms_of(evidence)
    cubes = {
        factor: _cube(evidence, factor, arms, as_of_day)
        for factor, arms in listed.items()
    }  # fmt: skip
    discount = chosen_discount([cube for name, cube in cubes.items() if name != ACTION])
    factors = {
        name: _factor(cube, 1.0 if choosing.policy != HIERARCHICAL else discount)
        for name, cube in cubes.items()
        if name != ACTION
    }
    for name, lent in (borrowed or {}).items():
        factors[name] = _lent(factors.get(name), lent)
    return PolicyState(
        factors=factors,
        actions=_actions(cubes.get(ACTION)),
        floor=choosing.floor,
        policy=choosing.policy,
        noise=choosing.noise,
        discount=discount,
        as_of_day=as_of_day,
    )


@dataclass(frozen=True, slots=True)
class _Cube:
    """One factor's evidence: rows (k, c, WIDTH) by arm and day; ages (c,), newest last."""

    arms: tuple[str, ...]
    rows: FloatArray
    age: IntArray

    @property
    def trials(self) -> FloatArray:
        return np.asarray(self.rows[:, :, GRAM.start])

    @property
    def rewards(self) -> FloatArray:
        return np.asarray(self.rows[:, :, MOMENT.start])


def _cube(evidence: Evidence, factor: str, arms: tuple[str, ...], as_of_day: int) -> _Cube:
    days = sorted({cell.day for cell in evidence if cell.factor == factor})
    rows = np.zeros((len(arms), len(days), WIDTH))
    for k, arm in enumerate(arms):
        for c, day in enumerate(days):
            found = evidence.get(Cell(factor, arm, day))
            if found is not None:
                rows[k, c] = found
    age = np.maximum(as_of_day - np.array(days, dtype=np.int64), 0)
    return _Cube(arms, rows, age)


def _factor(cube: _Cube, discount: float) -> FactorState:
    share = arrived(cube.trials, cube.rows[:, :, DELAYS], cube.age)
    kept = discount ** cube.age.astype(np.float64)
    gram = unpacked((cube.rows * (share * kept)[:, :, None]).sum(axis=1))
    moment = (cube.rows[:, :, MOMENT] * kept[None, :, None]).sum(axis=1)
    squares = float((cube.rows[:, :, SQUARES] * kept).sum())
    sums = ArmSums(gram, moment, squares)
    return FactorState(
        arms=cube.arms,
        precision=gram + RIDGE_PENALTY * np.eye(_D),
        xty=moment,
        observations=cube.trials.sum(axis=1).astype(np.int64),
        reward_sum=cube.rewards.sum(axis=1),
        spreads=learned_spreads(sums, GROUPS),
    )


def _actions(cube: _Cube | None) -> dict[str, ActionCount]:
    """Contacts whose answer should have come by now, and goals reached."""
    if cube is None:
        return {}
    share = arrived(cube.trials, cube.rows[:, :, DELAYS], cube.age)
    goals = cube.rows[:, :, GOALS].sum(axis=1)
    contacted = np.maximum(np.round((cube.trials * share).sum(axis=1)), goals)
    return {name: ActionCount(int(contacted[k]), int(goals[k])) for k, name in enumerate(cube.arms)}


def chosen_discount(cubes: Sequence[_Cube]) -> float:
    """The discount under which each day was best foreseen from the days before it."""
    decisions = max((float(cube.trials.sum()) for cube in cubes), default=0.0)
    days = max((len(cube.age) for cube in cubes), default=0)
    if decisions < _ENOUGH_DECISIONS or days < _ENOUGH_DAYS:
        return DEFAULT_DISCOUNT
    losses = {each: sum(_surprise(cube, each) for cube in cubes) for each in DISCOUNTS}
    best = min(losses, key=lambda each: losses[each])
    return best if losses[best] < losses[DEFAULT_DISCOUNT] - _NATS else DEFAULT_DISCOUNT


def _surprise(cube: _Cube, discount: float) -> float:
    """Sum of -log P(rewards of a day | earlier days), each arm on its own, in nats."""
    share = arrived(cube.trials, cube.rows[:, :, DELAYS], cube.age)
    trials = cube.trials * share
    overall = cube.rewards.sum() / max(float(trials.sum()), 1.0)
    prior = float(np.clip(overall, 1e-3, 1.0 - 1e-3))
    seen, earned = np.zeros(len(trials)), np.zeros(len(trials))
    loss = 0.0
    for c in range(len(cube.age)):
        if c:
            fade = discount ** float(cube.age[c - 1] - cube.age[c])
            seen, earned = seen * fade, earned * fade
        rate = np.clip((earned + 4.0 * prior) / (seen + 4.0), 1e-4, 1.0 - 1e-4)
        n, r = trials[:, c], np.minimum(cube.rewards[:, c], trials[:, c])
        loss -= float((r * np.log(rate) + (n - r) * np.log(1.0 - rate)).sum())
        seen, earned = seen + n, earned + cube.rewards[:, c]
    return loss


def _lent(factor: FactorState | None, lent: Borrowed) -> FactorState:
    """The factor with what other businesses saw of its arms; arms only they know join it."""
    known = factor or untrained(lent.arms, _D)
    place = {arm: number for number, arm in enumerate(lent.arms)}
    differences = [lent.difference[place[arm]] if arm in place else 0.0 for arm in known.arms]
    # how arms differ here says nothing of how far they may lie from what others saw of them
    own = known.spreads or Spreads((0.0,) * _D, lent.noise_variance)
    wider = max(own.groups[0], lent.spread)
    return FactorState(
        arms=known.arms,
        precision=known.precision,
        xty=known.xty,
        observations=known.observations,
        reward_sum=known.reward_sum,
        spreads=Spreads((wider, *own.groups[1:]), own.noise_variance),
        borrowed=np.array(differences),
    )
