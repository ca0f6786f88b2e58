"""Risk levels: where they begin, that they don't flicker, and how their bounds are chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churn.feature_rows import Array
from churn.health_policy import LEVELS, HealthPolicy
from engine.errors import TooFewData

# A share told from fewer alerts than this says nothing: half a percentage point of 200 is one case.
MIN_ALERTS = 20
MIN_CHURNED = 20


def risk_levels(
    within_90_days: Array, policy: HealthPolicy, previous: Sequence[str | None] | None = None
) -> list[str | None]:
    """The level of each P(churn within 90 days); None for NaN.

    With the level of the time before, a level is left downwards only once the probability lies
    `policy.margin` below its beginning; a rise takes effect at once.
    """
    fresh = _ranks(within_90_days, policy, 0.0)
    if previous is not None:
        held = _ranks(within_90_days, policy, policy.margin)
        before = np.array([-1 if level is None else LEVELS.index(level) for level in previous])
        fresh = np.where(before > fresh, np.minimum(before, held), fresh)
    return [
        None if np.isnan(chance) else LEVELS[rank]
        for chance, rank in zip(within_90_days, fresh, strict=True)
    ]


def _ranks(chance: Array, policy: HealthPolicy, margin: float) -> NDArray[np.int64]:
    """The highest level whose beginning, lowered by the margin, is reached."""
    known = np.nan_to_num(chance)
    return (
        (known >= policy.medium_from - margin).astype(np.int64)
        + (known >= policy.high_from - margin)
        + (known > policy.critical_above - margin)
    )


@dataclass(frozen=True, slots=True)
class Cut:
    """A bound on the probability and what it did on closed windows.

    Attributes:
        bound: alert from this probability on.
        precision: share of alerts that churned; recall: share of the churned that were alerted.
        alerts, churned, n: counts behind the shares.
    """

    bound: float
    precision: float
    recall: float
    alerts: int
    churned: int
    n: int


def cut_for_precision(chance: Array, churned: NDArray[np.bool_], precision: float) -> Cut:
    """The lowest bound from which on alerts are right at least that often: most are found.

    Raises:
        TooFewData: under 20 departures, or no bound with 20 alerts is that precise.
    """
    cuts = [cut for cut in _cuts(chance, churned) if cut.precision >= precision]
    if not cuts:
        raise TooFewData(
            f"No bound with {MIN_ALERTS} alerts or more is right in {precision:.0%} of them.",
            hint="Ask for less, or come back with more history.",
        )
    return max(cuts, key=lambda cut: cut.recall)


def cut_for_recall(chance: Array, churned: NDArray[np.bool_], recall: float) -> Cut:
    """The highest bound at which at least that share of departures is alerted: fewest alarms."""
    return max(
        (cut for cut in _cuts(chance, churned) if cut.recall >= recall), key=lambda cut: cut.bound
    )


def _cuts(chance: Array, churned: NDArray[np.bool_]) -> list[Cut]:
    """One per distinct probability, with enough alerts."""
    if int(churned.sum()) < MIN_CHURNED or len(chance) == 0:
        raise TooFewData(
            f"Only {int(churned.sum())} departures in closed windows; it takes {MIN_CHURNED}.",
            hint="The bounds stay as they are.",
        )
    order = np.argsort(-chance, kind="stable")
    ranked, hits = chance[order], np.cumsum(churned[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    return [
        Cut(
            bound=float(ranked[at]),
            precision=float(hits[at] / (at + 1)),
            recall=float(hits[at] / hits[-1]),
            alerts=int(at + 1),
            churned=int(hits[-1]),
            n=len(ranked),
        )
        for at in last
        if at + 1 >= MIN_ALERTS
    ]
