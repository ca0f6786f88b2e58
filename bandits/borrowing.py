"""What a new business takes from others of its industry: how arms differ, from counts alone."""

from collections.abc import Iterable

import numpy as np

from bandits.factor import Borrowed

# An arm's difference elsewhere is believed as if this many decisions had been seen here for every
# arm at the most: a thousand decisions of its own outweigh whatever the industry does.
BORROWED_DECISIONS = 100.0
# How far businesses differ from each other in what an arm brings, in standard deviations of a
# reward: about half of how far arms differ (0.08).
_BETWEEN = 0.04


def borrowed_from(counts: Iterable[tuple[str, str, float, float]]) -> dict[str, Borrowed]:
    """What to expect of each arm by factor, from (factor, arm, decisions, reward) of the others.

    An arm's difference is its mean reward less the factor's, shrunk by n / (n + 100) for arms
    that few have tried. The spread is what keeps it from counting for more than 100 decisions.
    """
    by_factor: dict[str, list[tuple[str, float, float]]] = {}
    for factor, arm, decisions, reward in counts:
        if decisions > 0.0:
            by_factor.setdefault(factor, []).append((arm, decisions, reward))
    return {factor: _of(arms) for factor, arms in sorted(by_factor.items())}


def _of(arms: list[tuple[str, float, float]]) -> Borrowed:
    n = np.array([decisions for _, decisions, _ in arms])
    means = np.array([reward / decisions for _, decisions, reward in arms])
    overall = float((means * n).sum() / n.sum())
    variance = max(overall * (1.0 - overall), 0.01)
    shrunk = (means - means.mean()) * n / (n + BORROWED_DECISIONS)
    spread = max(_BETWEEN, BORROWED_DECISIONS**-0.5) * variance**0.5
    return Borrowed(
        tuple(arm for arm, _, _ in arms), tuple(shrunk.tolist()), float(spread), float(variance)
    )
