"""How good probabilities are: rank order, error, calibration, hits beside the base rate.

`truth` is an array of 0 and 1 (or bool), `probability` an array of the same length in [0, 1].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Where a model says 0 and is wrong, the loss of that row is -log(1e-15) = 34.5, not infinite.
_SMALLEST = 1e-15


@dataclass(frozen=True, slots=True)
class Scores:
    """The measures of one horizon on one population.

    Attributes:
        n: rows judged.
        base_rate: share with the event.
        auc: None where only one outcome occurred.
        majority_accuracy: accuracy of always giving the more frequent answer; `accuracy` means
            nothing without it.
    """

    n: int
    base_rate: float
    auc: float | None
    log_loss: float
    brier: float
    ece: float
    accuracy: float
    majority_accuracy: float


def auc(truth: ArrayLike, probability: ArrayLike) -> float | None:
    """Chance that a row with the event is ranked above one without it; ties count half.

    None where only one outcome occurred. Mann-Whitney U over mid-ranks.
    """
    event, score = _pair(truth, probability)
    positives = int(event.sum())
    negatives = event.size - positives
    if positives == 0 or negatives == 0:
        return None
    _, group, sizes = np.unique(score, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(sizes) - (sizes - 1) / 2
    rank_sum = float(mid_rank[group][event].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def log_loss(truth: ArrayLike, probability: ArrayLike) -> float:
    """Mean negative log-likelihood in nats."""
    event, score = _pair(truth, probability)
    told = np.clip(np.where(event, score, 1 - score), _SMALLEST, 1)
    return float(-np.log(told).mean())


def brier(truth: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared difference of probability and outcome."""
    event, score = _pair(truth, probability)
    return float(np.square(score - event).mean())


def ece(truth: ArrayLike, probability: ArrayLike, *, bins: int = 10) -> float:
    """Expected calibration error: how far the observed share lies from the mean probability.

    Mean of the absolute difference over equal-width bins, weighted by rows.
    """
    event, score = _pair(truth, probability)
    place = np.minimum((score * bins).astype(np.int64), bins - 1)
    observed = np.bincount(place, weights=event, minlength=bins)
    expected = np.bincount(place, weights=score, minlength=bins)
    return float(np.abs(observed - expected).sum() / event.size)


def scores(truth: ArrayLike, probability: ArrayLike) -> Scores:
    """All measures at once; `accuracy` cuts at one half."""
    event, score = _pair(truth, probability)
    base_rate = float(event.mean())
    return Scores(
        n=event.size,
        base_rate=base_rate,
        auc=auc(event, score),
        log_loss=log_loss(event, score),
        brier=brier(event, score),
        ece=ece(event, score),
        accuracy=float(((score >= 0.5) == event).mean()),
        majority_accuracy=max(base_rate, 1 - base_rate),
    )


def _pair(
    truth: ArrayLike, probability: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    event = np.asarray(truth).astype(np.bool_)
    score = np.asarray(probability, dtype=np.float64)
    if event.size == 0 or event.shape != score.shape or event.ndim != 1:
        raise ValueError(f"one outcome per probability, at least one: {event.shape}, {score.shape}")
    return event, score
