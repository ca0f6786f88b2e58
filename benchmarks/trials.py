"""Trials of two arms without any difference, looked at every day: how often do they cry wolf?"""

import math
from collections.abc import Callable

import numpy as np

from benchmarks.figures import Figure, Measured
from benchmarks.practice import World
from engine.lift import Sample, lift, mixture_of
from engine.trial import Design, planned

RUNS, DAYS = 1000, 120
_AREA = "trials"


def measure(world: World) -> Measured:  # noqa: ARG001 - as every area
    """Share of A/A trials that ever say 'decided', against an interval made for one look."""
    figures = []
    kinds = {"equal wordings, daily looks": _wordings, "equal groups, daily looks": _groups}
    for name, run in kinds.items():
        alarms, naive = _alarms(run)
        reach = 1.96 * math.sqrt(max(alarms * (1 - alarms), 0.0001) / RUNS)
        figures.append(
            Figure(
                area=_AREA,
                name=f"{name}: false alarms (± {reach:.1%})",
                value=alarms,
                unit="share",
                reference=0.05,
                against="5 % promised",
                bar=1.0,
            )
        )
        figures.append(
            Figure(
                area=_AREA,
                name=f"{name}: false alarms",
                value=alarms,
                unit="share",
                reference=naive,
                against="a 95 % interval for one look",
            )
        )
    return Measured(tuple(figures), (f"trials: {RUNS:,} A/A runs of {DAYS} days each, seed 0.",))


Run = Callable[[np.random.Generator], tuple[bool, bool]]


def _alarms(run: Run) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    found = [run(rng) for _ in range(RUNS)]
    return (
        sum(always for always, _ in found) / RUNS,
        sum(once for _, once in found) / RUNS,
    )


_MIXTURE = planned(Design(("a", "b"), 0.10, 0.03)).mixture


def _wordings(rng: np.random.Generator) -> tuple[bool, bool]:
    """Twenty messages a day and arm, one in ten of which reaches its goal."""
    reached = rng.binomial(20, 0.10, (DAYS, 2)).cumsum(axis=0)
    pairs = [
        (_shares(20 * day, float(a)), _shares(20 * day, float(b)))
        for day, (a, b) in enumerate(reached, 1)
    ]
    return _looked_at(pairs, _MIXTURE)


def _groups(rng: np.random.Generator) -> tuple[bool, bool]:
    """A thousand people, a tenth of them held out, who differ in how often they come."""
    habits = rng.gamma(1.0, 0.004, 1000)  # bookings a day: 1.5 a year on average
    held = rng.random(1000) < 0.10
    days = rng.poisson(habits[:, None], (1000, DAYS)).cumsum(axis=1).astype(np.float64)
    pairs = [(_sample(days[~held, day]), _sample(days[held, day])) for day in range(DAYS)]
    return _looked_at(pairs, mixture_of(0.10))


def _looked_at(pairs: list[tuple[Sample, Sample]], mixture: float) -> tuple[bool, bool]:
    lifts = [lift(treated, control, mixture=mixture) for treated, control in pairs]
    told = [each for each in lifts if each.low is not None]
    return (
        any(each.decided for each in told),
        any(not each.once_low <= 0 <= each.once_high for each in told),
    )


def _shares(n: int, reached: float) -> Sample:
    return Sample(n, reached, reached)


def _sample(values: np.ndarray) -> Sample:
    return Sample(len(values), float(values.sum()), float((values**2).sum()))
