"""How much each of several models counts: a mixture in log-odds, chosen on rows none has seen."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from churn.feature_rows import Array

# Each step adds a twentieth of one member: as fine as the data can tell, and few numbers to read.
_STEPS = 20
# Where a mixture is not better than the best member by this much (nats a row) it is noise.
_LEAST_GAIN = 1e-5


def mixture(log_odds: Mapping[str, Array], event: NDArray[np.bool_]) -> dict[str, float]:
    """Weights of members, positive, summing to 1, by greedy selection with replacement.

    Caruana et al. 2004, in log-odds: from nothing, the member that lowers the log loss most is
    added, again and again; a member may be added often. Averages of few members overfit little,
    since no weight can be negative and no member can be scaled up.
    """
    names = list(log_odds)
    chosen: list[str] = []
    total = np.zeros(event.size)
    best_loss, best_size = np.inf, 0
    for _ in range(_STEPS):
        losses = [loss_of((total + log_odds[name]) / (len(chosen) + 1), event) for name in names]
        place = int(np.argmin(losses))
        chosen.append(names[place])
        total = total + log_odds[names[place]]
        if losses[place] < best_loss - _LEAST_GAIN:
            best_loss, best_size = losses[place], len(chosen)
    kept = chosen[:best_size]
    return {name: kept.count(name) / len(kept) for name in names if name in kept}


def loss_of(log_odds: Array, event: NDArray[np.bool_]) -> float:
    """Mean negative log-likelihood of outcomes, in nats."""
    return float(np.logaddexp(0.0, np.where(event, -log_odds, log_odds)).mean())
