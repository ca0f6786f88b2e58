"""What runs of `services.measure` say: means with intervals over seeds, gains, what earned them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from services.measure import LADDER, Run

# the figure, whether more is better, and the gain over the calendar that is aimed at
GOALS: Mapping[str, tuple[bool, float]] = {
    "open_rate": (True, 0.50),
    "answers": (True, 0.40),
    "churn": (False, 0.40),
    "lifetime_usd": (True, 0.35),
    "opt_outs": (False, 0.0),
    "sends": (False, 0.0),
}
SHOWN = (*GOALS, "email_open_rate", "earned_usd", "churn_kept", "calls", "complaints")
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds and its 95 % interval (Student's t over the seeds)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Gain:
    """The engine against the calendar in one figure.

    Attributes:
        ratio: of the two means over all seeds, less 1: +0.5 is half as much again.
        low, high: 95 % interval, from the paired seeds (delta rule on the ratio of means).
        aim: the ratio that is aimed at, with its sign.
        reached: the mean is there; `sure`: so is the whole interval.
        of_oracle: the gain as a share of that of full knowledge; None where that gains nothing.
    """

    ratio: float
    low: float
    high: float
    aim: float
    reached: bool
    sure: bool
    of_oracle: float | None


def report(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the whole report as plain values: per industry, and the weakest one by figure."""
    industries = list(dict.fromkeys(run.industry for run in runs))
    by_industry = {name: _industry([r for r in runs if r.industry == name]) for name in industries}
    return {
        "industries": by_industry,
        "weakest": {
            figure: min(by_industry, key=lambda name: _margin(by_industry[name]["gains"][figure]))
            for figure in GOALS
            if all(figure in each["gains"] for each in by_industry.values())
        },
    }


def _margin(gain: Mapping[str, float]) -> float:
    """How far beyond the aim, in its own direction."""
    sign = 1.0 if gain["aim"] > 0 else -1.0
    return sign * (gain["ratio"] - gain["aim"])


def _industry(runs: Sequence[Run]) -> dict[str, Any]:
    strategies = list(dict.fromkeys(run.strategy for run in runs))
    values = {
        name: {
            figure: np.array([r.figures[figure] for r in runs if r.strategy == name])
            for figure in SHOWN
        }
        for name in strategies
    }
    told: dict[str, Any] = {
        "seeds": len({run.seed for run in runs}),
        "health": sorted({run.health for run in runs if run.health}),
        "strategies": {
            name: {figure: asdict(mean_of(column)) for figure, column in columns.items()}
            for name, columns in values.items()
        },
        "gains": {},
        "ladder": [],
    }
    if {"engine", "calendar"} <= set(strategies):
        told["gains"] = {figure: asdict(gain(values, figure)) for figure in GOALS}
    steps = [name for name in LADDER if name in strategies]
    if steps and "calendar" in strategies:
        told["ladder"] = _ladder(values, [*steps, *(["engine"] if "engine" in values else [])])
    return told


def mean_of(values: np.ndarray) -> Mean:
    """Return the mean of some seeds with its interval; of one seed the interval is unknown."""
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Mean(mean, float("nan"), float("nan"))
    reach = float(student.ppf(0.5 + _LEVEL / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Mean(mean, mean - reach, mean + reach)


def gain(values: Mapping[str, Mapping[str, np.ndarray]], figure: str) -> Gain:
    """Return the engine's gain over the calendar in a figure."""
    more_is_better, size = GOALS[figure]
    aim = size if more_is_better else -size
    engine, usual = values["engine"][figure], values["calendar"][figure]
    ratio, low, high = ratio_of(engine, usual)
    beyond = (ratio >= aim, low >= aim) if more_is_better else (ratio <= aim, high <= aim)
    best = values.get("oracle")
    share = None
    if best is not None:
        possible = float(best[figure].mean() - usual.mean())
        share = None if possible == 0 else float(engine.mean() - usual.mean()) / possible
    return Gain(ratio, low, high, aim, bool(beyond[0]), bool(beyond[1]), share)


def ratio_of(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Return ours / theirs - 1 of the means, with its interval over paired seeds."""
    n, base = len(ours), float(theirs.mean())
    if base == 0:
        return 0.0, float("nan"), float("nan")
    ratio = float(ours.mean()) / base
    if n < 2:
        return ratio - 1.0, float("nan"), float("nan")
    spread = float(np.std((ours - ratio * theirs) / base, ddof=1) / np.sqrt(n))
    reach = float(student.ppf(0.5 + _LEVEL / 2, n - 1)) * spread
    return ratio - 1.0, ratio - 1.0 - reach, ratio - 1.0 + reach


def _ladder(
    values: Mapping[str, Mapping[str, np.ndarray]], steps: Sequence[str]
) -> list[dict[str, Any]]:
    """Each step against the calendar, and what it adds to the step before."""
    told = []
    before: Mapping[str, float] = dict.fromkeys(GOALS, 0.0)
    for step in steps:
        against = {f: ratio_of(values[step][f], values["calendar"][f]) for f in GOALS}
        told.append(
            {
                "lever": "+ health model (the engine)" if step == "engine" else step,
                "against_calendar": {
                    f: {"ratio": r, "low": low, "high": high}
                    for f, (r, low, high) in against.items()
                },
                "adds": {f: against[f][0] - before[f] for f in GOALS},
            }
        )
        before = {f: against[f][0] for f in GOALS}
    return told
