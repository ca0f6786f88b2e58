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
    rank_sum = float(_mid_ranks(score)[event].sum())
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


def precision_at_recall(truth: ArrayLike, probability: ArrayLike, recall: float) -> float:
    """Highest precision over the thresholds that find at least `recall` of the events."""
    hits, called = _swept(truth, probability)
    enough = hits >= recall * hits[-1] - 1e-9
    return float((hits[enough] / called[enough]).max())


def recall_at_precision(truth: ArrayLike, probability: ArrayLike, precision: float) -> float:
    """Highest recall over the thresholds with at least this precision; 0 where there is none."""
    hits, called = _swept(truth, probability)
    sure = hits / called >= precision - 1e-12
    return float(hits[sure].max() / hits[-1]) if sure.any() and hits[-1] else 0.0


def top_decile_lift(truth: ArrayLike, probability: ArrayLike) -> float:
    """Event rate among the tenth with the highest scores over the base rate; ties share a place.

    The rows that tie at the edge of the tenth count with their mean, so that order of rows and a
    score that says the same of everybody (lift 1) change nothing.
    """
    event, score = _pair(truth, probability)
    wanted = max(1.0, event.size / 10)
    hits, called = _swept(event, score)
    found = float(np.interp(wanted, np.r_[0.0, called], np.r_[0.0, hits]))
    return found / wanted / float(event.mean()) if event.any() else 0.0


def at_threshold(truth: ArrayLike, probability: ArrayLike, threshold: float) -> dict[str, float]:
    """`recall` and `precision` of calling everyone at or above the threshold; 0 of nobody."""
    event, score = _pair(truth, probability)
    called = score >= threshold
    hits = float((event & called).sum())
    return {
        "recall": hits / max(1.0, float(event.sum())),
        "precision": hits / max(1.0, float(called.sum())),
    }


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Rank correlation, mid-ranks for ties; 0 where one of them is constant."""
    one, other = (_mid_ranks(np.asarray(values, dtype=np.float64)) for values in (first, second))
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


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


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(sizes) - (sizes - 1) / 2)[group])


def _swept(
    truth: ArrayLike, probability: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Events found and rows called at each distinct threshold, highest score first."""
    event, score = _pair(truth, probability)
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
    hits = np.cumsum(event[order].astype(np.float64))[last_of_tie]
    return hits, (last_of_tie + 1).astype(np.float64)


def _pair(
    truth: ArrayLike, probability: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    event = np.asarray(truth).astype(np.bool_)
    score = np.asarray(probability, dtype=np.float64)
    if event.size == 0 or event.shape != score.shape or event.ndim != 1:
        raise ValueError(f"one outcome per probability, at least one: {event.shape}, {score.shape}")
    return event, score
