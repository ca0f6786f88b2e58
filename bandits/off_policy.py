"""What another policy would have earned, judged from a log of choices and their probabilities.

Inverse propensity scores (IPS), their self-normalised form (SNIPS), the doubly robust estimator
(DR; Dudik, Langford and Li, ICML 2011) and SWITCH (Wang, Agarwal and Dudik, ICML 2017), which
trusts the reward model alone where a weight is wild. Each has a 95 % interval from the spread of
its terms, summed by contact first where a contact was decided for more than once.

A log that has hardly tried what the policy would do can't judge it; `Evaluation.verdict` says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandits.hierarchy import ArmSums, learned_spreads, posterior
from engine.errors import InvalidInput

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ANSWERS, THIN, SILENT = "answers", "thin", "cannot_answer"

_NORMAL_95 = 1.959964
# Below this effective sample a normal interval does not cover what it says (measured on simulated
# logs of 10 % rewards: 90 % at 30, 94 % at 100).
_LEAST_SAMPLE = 100.0
# Below this share of the rows the log is thin: an interval is given, and a warning with it.
_THIN_SHARE = 0.1
# The weights of any policy average 1 under the logged probabilities; this far from it, in
# standard errors, the probabilities are not those that were played.
_LARGEST_DEVIATION = 3.0
_LARGEST_MISSING = 0.01  # share of the policy's choices on arms that the log never tried
_LARGEST_SINGLE = 0.2  # share of all weight on one contact


@dataclass(frozen=True, slots=True)
class Log:
    """Choices that were made, in n rows.

    Attributes:
        actions: arm taken, (n,), in 0 .. k - 1.
        rewards: (n,), finite.
        probability: P(the logging policy takes this arm), (n,), in (0, 1].
        arms: k.
        clusters: contact of each row, (n,); None where each row is another contact.
    """

    actions: IntArray
    rewards: FloatArray
    probability: FloatArray
    arms: int
    clusters: IntArray | None = None

    def __post_init__(self) -> None:
        n = len(self.actions)
        if len(self.rewards) != n or len(self.probability) != n:
            raise InvalidInput(
                f"A log of {n} actions has {len(self.rewards)} rewards and "
                f"{len(self.probability)} probabilities.",
                hint="Give one of each per row.",
            )
        bad = ~((self.probability > 0.0) & (self.probability <= 1.0))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InvalidInput(
                f"Row {row} of the log was chosen with probability {self.probability[row]}.",
                hint="Probabilities lie in (0, 1]; leave out rows whose probability is not known.",
            )
        if not np.isfinite(self.rewards).all():
            row = int(np.flatnonzero(~np.isfinite(self.rewards))[0])
            raise InvalidInput(f"Row {row} of the log has the reward {self.rewards[row]}.")
        if n and not 0 <= self.actions.min() <= self.actions.max() < self.arms:
            raise InvalidInput(f"An action of the log is not one of its {self.arms} arms.")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean reward and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a log says of a policy.

    Attributes:
        logged: what the logging policy earned.
        ips, snips, dr, switch: what the policy would have earned, by four estimators; `dr` is the
            one to read, the others show how far it hangs on weights or on the model.
        effective_sample: rows that a sample of the policy's own would need for the same precision
            (Kish): (sum of weights) squared / sum of squares.
        mean_weight, mean_weight_error: about 1 if the logged probabilities were the ones played.
        largest_weight: of one row.
        missing: share of the policy's choices that fall on arms the log never took.
        verdict: ANSWERS, THIN or SILENT.
        reasons: why it is not ANSWERS, in words.
    """

    rows: int
    logged: Estimate
    ips: Estimate
    snips: Estimate
    dr: Estimate
    switch: Estimate
    effective_sample: float
    mean_weight: float
    mean_weight_error: float
    largest_weight: float
    missing: float
    verdict: str
    reasons: tuple[str, ...]


def evaluate(log: Log, policy: FloatArray, model: FloatArray | None = None) -> Evaluation:
    """What the log says of a policy.

    Args:
        log: at least one row.
        policy: P(the policy takes this arm) per row, (n, k).
        model: expected reward of every arm per row, (n, k), from data that do not hold the row
            (see `cross_fitted`); None: each arm's own mean reward, which is nearly as good.

    Raises:
        InvalidInput: the log is empty, or a shape does not fit.
    """
    _check(log, policy, model)
    rows = np.arange(len(log.actions))
    expected = np.broadcast_to(_arm_means(log), policy.shape) if model is None else model
    weight = policy[rows, log.actions] / log.probability
    of_policy = (policy * expected).sum(axis=1)
    residual = log.rewards - expected[rows, log.actions]
    # truncating at the root of n bounds the bias by what the model can be wrong (Ionides 2008)
    tame = weight <= np.sqrt(len(rows))
    mean = float(weight.mean())
    snips = float((weight * log.rewards).sum() / weight.sum()) if mean > 0.0 else 0.0
    deviation = weight * (log.rewards - snips) / mean if mean > 0.0 else np.zeros(len(rows))
    total, squares = float(weight.sum()), float((weight**2).sum())
    tried = np.bincount(log.actions, minlength=log.arms) > 0
    missing = float(policy[:, ~tried].sum() / len(rows))
    effective = total**2 / squares if squares else 0.0
    error = _error(weight, log.clusters)
    verdict, reasons = _verdict(log, weight, effective, (mean, error), missing)
    return Evaluation(
        rows=len(rows),
        logged=interval(log.rewards, log.clusters),
        ips=interval(weight * log.rewards, log.clusters),
        snips=interval(snips + deviation, log.clusters),
        dr=interval(of_policy + weight * residual, log.clusters),
        switch=interval(of_policy + np.where(tame, weight, 0.0) * residual, log.clusters),
        effective_sample=effective,
        mean_weight=mean,
        mean_weight_error=error,
        largest_weight=float(weight.max()),
        missing=missing,
        verdict=verdict,
        reasons=reasons,
    )


def difference(
    log: Log, policy: FloatArray, other: FloatArray, model: FloatArray | None = None
) -> Estimate:
    """How much more the policy earns than the other, by DR on the same rows (paired).

    Arguments as in `evaluate`.

    Raises:
        InvalidInput: as `evaluate`.
    """
    _check(log, policy, model)
    _check(log, other, model)
    rows = np.arange(len(log.actions))
    expected = np.broadcast_to(_arm_means(log), policy.shape) if model is None else model
    more = policy - other
    residual = log.rewards - expected[rows, log.actions]
    weight = more[rows, log.actions] / log.probability
    return interval((more * expected).sum(axis=1) + weight * residual, log.clusters)


def minus_logged(log: Log, policy: FloatArray, model: FloatArray | None = None) -> Estimate:
    """How much more the policy earns than what was done, by DR on the same rows (paired).

    Raises:
        InvalidInput: as `evaluate`.
    """
    _check(log, policy, model)
    rows = np.arange(len(log.actions))
    expected = np.broadcast_to(_arm_means(log), policy.shape) if model is None else model
    weight = policy[rows, log.actions] / log.probability
    residual = log.rewards - expected[rows, log.actions]
    terms = (policy * expected).sum(axis=1) + weight * residual
    return interval(terms - log.rewards, log.clusters)


def interval(terms: FloatArray, clusters: IntArray | None = None) -> Estimate:
    """The mean of the terms with its 95 % interval; terms of one cluster stand or fall together."""
    mean, error = float(terms.mean()), _error(terms, clusters)
    return Estimate(mean, mean - _NORMAL_95 * error, mean + _NORMAL_95 * error)


def cross_fitted(
    contexts: FloatArray, log: Log, groups: IntArray, *, folds: int = 5, seed: int = 0
) -> FloatArray:
    """Expected reward of every arm per row, (n, k), from the folds that do not hold the row.

    The model is the hierarchical one (`hierarchy`); a contact's rows share a fold.

    Args:
        contexts: (n, d), feature 0 always 1.
        log: as in `evaluate`.
        groups: group of each feature, (d,).
        folds: at least 2.
        seed: of the split.
    """
    fold = folds_of(len(log.actions), log.clusters, folds=folds, seed=seed)
    expected = np.empty((len(log.actions), log.arms))
    for number in range(folds):
        inside = fold != number
        sums = sums_of(contexts[inside], log.actions[inside], log.rewards[inside], log.arms)
        known = posterior(sums, groups, learned_spreads(sums, groups))
        expected[~inside] = contexts[~inside] @ known.mean.T
    return expected


def folds_of(n: int, clusters: IntArray | None, *, folds: int, seed: int) -> IntArray:
    """A fold of each row, (n,), the same for all rows of a cluster."""
    rng = np.random.default_rng(seed)
    if clusters is None:
        return np.asarray(rng.permutation(n) % folds, dtype=np.int64)
    names, place = np.unique(clusters, return_inverse=True)
    return np.asarray((rng.permutation(len(names)) % folds)[place], dtype=np.int64)


def sums_of(contexts: FloatArray, actions: IntArray, rewards: FloatArray, arms: int) -> ArmSums:
    """The sums of these rows by arm; see `hierarchy.ArmSums`."""
    d = contexts.shape[1]
    gram, moment = np.zeros((arms, d, d)), np.zeros((arms, d))
    for arm in range(arms):
        own = actions == arm
        x = contexts[own]
        gram[arm], moment[arm] = x.T @ x, x.T @ rewards[own]
    return ArmSums(gram, moment, float((rewards**2).sum()))


def _arm_means(log: Log) -> FloatArray:
    """Mean reward of each arm, weighted by 1 / probability; of all arms where it was not tried."""
    weight = 1.0 / log.probability
    total = np.bincount(log.actions, weights=weight, minlength=log.arms)
    earned = np.bincount(log.actions, weights=weight * log.rewards, minlength=log.arms)
    overall = earned.sum() / total.sum()
    return np.asarray(np.where(total > 0.0, earned / np.maximum(total, 1e-300), overall))


def _error(terms: FloatArray, clusters: IntArray | None) -> float:
    """Standard error of the mean of the terms."""
    centred = terms - terms.mean()
    if clusters is not None:
        _, place = np.unique(clusters, return_inverse=True)
        centred = np.asarray(np.bincount(place, weights=centred), dtype=np.float64)
    groups = len(centred)
    if groups < 2:
        return float("inf")
    return float(np.sqrt((centred**2).sum() * groups / (groups - 1)) / len(terms))


def _verdict(
    log: Log, weight: FloatArray, effective: float, mean: tuple[float, float], missing: float
) -> tuple[str, tuple[str, ...]]:
    n = len(weight)
    contacts = weight
    if log.clusters is not None:
        _, place = np.unique(log.clusters, return_inverse=True)
        contacts = np.asarray(np.bincount(place, weights=weight), dtype=np.float64)
    total = float(weight.sum())
    silent: list[str] = []
    if missing > _LARGEST_MISSING:
        silent.append(f"{missing:.0%} of the policy's choices are arms that the log never took")
    if effective < _LEAST_SAMPLE:
        silent.append(
            f"the log is worth {effective:.0f} rows of the policy's own, "
            f"at least {_LEAST_SAMPLE:.0f} are needed"
        )
    if total and float(contacts.max()) / total > _LARGEST_SINGLE:
        silent.append(f"one contact carries {float(contacts.max()) / total:.0%} of all weight")
    value, error = mean
    off = abs(value - 1.0)
    if n > 1 and off > _LARGEST_DEVIATION * error and off > 0.01:
        silent.append(
            f"the weights average {value:.3f} (standard error {error:.3f}) and not 1: the logged "
            "probabilities are not those that were played, or rows are missing"
        )
    if silent:
        return SILENT, tuple(silent)
    if effective < _THIN_SHARE * n:
        return THIN, (f"the log is worth {effective:.0f} rows of {n} to this policy",)
    return ANSWERS, ()


def _check(log: Log, policy: FloatArray, model: FloatArray | None) -> None:
    n = len(log.actions)
    if not n:
        raise InvalidInput("The log is empty.", hint="Decide and wait for outcomes first.")
    for name, table in _named(policy, model):
        if table.shape != (n, log.arms):
            raise InvalidInput(
                f"The {name} has shape {table.shape}, not {(n, log.arms)}.",
                hint="One row per row of the log, one column per arm.",
            )
    if (policy < 0.0).any() or np.abs(policy.sum(axis=1) - 1.0).max() > 1e-6:
        raise InvalidInput(
            "The policy's probabilities are negative or do not sum to 1.",
            hint="Give P(arm) for every arm that was allowed, 0 for the others.",
        )


def _named(policy: FloatArray, model: FloatArray | None) -> Iterable[tuple[str, FloatArray]]:
    yield "policy", policy
    if model is not None:
        yield "reward model", model
