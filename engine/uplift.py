"""Did the ranking by effect find those whom a message changes? Qini curve and uplift at k.

Of those ranked highest by predicted effect, how many more reached the goal among the contacted than
among those left alone (Radcliffe, 'Using control groups to target on predicted lift', 2007)? It
takes people who were left alone by chance: the holdout.
"""

from dataclasses import dataclass

import numpy as np

from engine.columns import Bools, Floats
from engine.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class UpliftAt:
    """The k best by predicted effect: share of all, observed uplift and its standard error."""

    share: float
    people: int
    uplift: float
    error: float


@dataclass(frozen=True, slots=True)
class Qini:
    """How well a ranking by effect does.

    Attributes:
        points: (share of people, goals more than without contact, per person of the whole group).
        coefficient: area between the curve and the straight line of a random order, per person;
            0: no better than chance; its sign is what matters, its size depends on the effect.
        error: standard error of the coefficient, by 200 seeded bootstrap samples.
        at: uplift among the best of each share.
        overall: uplift among all.
    """

    points: tuple[tuple[float, float], ...]
    coefficient: float
    error: float
    at: tuple[UpliftAt, ...]
    overall: UpliftAt


SHARES = (0.1, 0.2, 0.3, 0.5)
_SAMPLES = 200


def qini(predicted: Floats, contacted: Bools, reached: Bools, *, seed: int = 0) -> Qini:
    """Judge a ranking of n people by predicted effect.

    Args:
        predicted: effect expected of contacting, (n,); ties keep their order.
        contacted: by chance or not, (n,); both kinds must occur.
        reached: the goal, (n,).
        seed: of the bootstrap.

    Raises:
        InvalidInput: lengths differ, or nobody was left alone, or nobody contacted.
    """
    if not len(predicted) == len(contacted) == len(reached):
        raise InvalidInput("Predictions, contacts and outcomes differ in length.")
    if contacted.all() or not contacted.any():
        raise InvalidInput(
            "An uplift needs people who were contacted and people who were not.",
            hint="A holdout leaves some alone by chance; wait until both have outcomes.",
        )
    order = np.argsort(-predicted, kind="stable")
    treated, goal = contacted[order], reached[order].astype(np.float64)
    curve = _curve(treated, goal)
    rng = np.random.default_rng(seed)
    n = len(treated)
    areas = []
    for _ in range(_SAMPLES):
        rows = np.sort(rng.integers(0, n, n))
        if treated[rows].any() and not treated[rows].all():
            areas.append(_area(_curve(treated[rows], goal[rows])))
    grid = np.linspace(0, n, 21).astype(np.int64)
    return Qini(
        points=tuple((float(k / n), float(curve[k])) for k in grid),
        coefficient=_area(curve),
        error=float(np.std(areas)),
        at=tuple(_uplift(treated, goal, share) for share in SHARES),
        overall=_uplift(treated, goal, 1.0),
    )


def _curve(treated: Bools, goal: Floats) -> Floats:
    """Goals more by contact among the first k, per person of all, k from 0 to n."""
    n = len(treated)
    n_t, n_c = np.cumsum(treated), np.cumsum(~treated)
    y_t, y_c = np.cumsum(goal * treated), np.cumsum(goal * ~treated)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_control = np.where(n_c > 0, y_c * n_t / n_c, 0.0)
    total = max(1, int(n_t[-1]))
    return np.concatenate([[0.0], (y_t - of_control) / total]) if n else np.zeros(1)


def _area(curve: Floats) -> float:
    line = np.linspace(0.0, float(curve[-1]), len(curve))
    return float((curve - line).mean())


def _uplift(treated: Bools, goal: Floats, share: float) -> UpliftAt:
    k = max(1, round(share * len(treated)))
    of_treated, of_control = goal[:k][treated[:k]], goal[:k][~treated[:k]]
    if not len(of_treated) or not len(of_control):
        return UpliftAt(share, k, float("nan"), float("nan"))
    p, q = float(of_treated.mean()), float(of_control.mean())
    variance = p * (1 - p) / len(of_treated) + q * (1 - q) / len(of_control)
    return UpliftAt(share, k, p - q, float(np.sqrt(variance)))
