"""Arms that share what they have in common: a linear model with its spreads learned from data.

The reward of arm k in context x is `(mu + delta_k) . x + noise`. `mu` is what all arms have in
common; `delta_k`, what makes the arm different, is normal around 0 (or around what other
businesses saw), with one spread per group of features. The spreads are estimated from the data
(empirical Bayes; Robbins 1956, Efron and Morris 1975): where contexts say nothing about which arm
is better their spread becomes 0, and the arms are compared as if there were no context at all.
That is the lesson of every public randomised log we have: nothing contextual beats a pooled bandit
unless shrinkage decides when it may speak.

It reads sums only (`ArmSums`), the same that a ridge regression keeps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandits.linear import coefficients, inverse

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Before anything is known the noise counts as that of a yes-or-no reward at a rate of 10 %, with
# the weight of this many observations.
_NOISE_VARIANCE, _NOISE_WEIGHT = 0.09, 10.0
_LEAST_NOISE = 1e-6

# Spreads that are tried, in units of the noise's standard deviation. Arms of real campaigns differ
# by about 0.1 of it (0.09 in Hillstrom's e-mails, 0.07 in the social-pressure letters).
ARM_SPREADS = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
FEATURE_SPREADS = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
_ARM_CENTRE, _FEATURE_CENTRE = np.log(0.1), np.log(0.08)
_FEATURE_WEIGHT = 0.1  # of that guess for a group of features: next to nothing
# Observations per arm for which contexts are believed before they have to have paid.
_TRIAL_PER_ARM = 100.0
# The gain has to be this many of its standard errors: at one, Hillstrom's e-mails were chosen by
# context at no gain, which a paired comparison could not tell from a loss of half a point.
_GAIN_ERRORS = 2.0
_DRAWS = 512
_SWEEPS = 2

# Ridge of what the arms have in common: an intercept nearly free, slopes like MABWiser's.
_INTERCEPT_RIDGE, _SLOPE_RIDGE = 1e-3, 1.0


@dataclass(frozen=True, slots=True)
class ArmSums:
    """What was observed of k arms in d features; feature 0 is always 1.

    Attributes:
        gram: sum of x x', (k, d, d).
        moment: sum of x * reward, (k, d).
        squares: sum of reward squared over all arms.
    """

    gram: FloatArray
    moment: FloatArray
    squares: float

    @property
    def observations(self) -> FloatArray:
        """Observations per arm, (k,); a fraction where old or young ones count less."""
        return np.asarray(self.gram[:, 0, 0])


@dataclass(frozen=True, slots=True)
class Spreads:
    """How much arms differ: standard deviations, (g,) by group; group 0 is the arm itself."""

    groups: tuple[float, ...]
    noise_variance: float


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed of each arm: mean (k, d) and covariance (k, d, d) of its coefficients."""

    mean: FloatArray
    covariance: FloatArray


def common(sums: ArmSums) -> FloatArray:
    """What all arms have in common, (d,): the ridge regression of all observations."""
    d = sums.gram.shape[1]
    ridge = np.full(d, _SLOPE_RIDGE)
    ridge[0] = _INTERCEPT_RIDGE
    gram = sums.gram.sum(axis=0) + np.diag(ridge)
    moment = sums.moment.sum(axis=0)
    mean: FloatArray = coefficients(inverse(gram[None]), moment[None])[0]
    return mean


def noise_variance(sums: ArmSums, mean: FloatArray) -> float:
    """Variance of one reward around what all arms have in common."""
    moment, gram = sums.moment.sum(axis=0), sums.gram.sum(axis=0)
    rest = sums.squares - 2.0 * float(mean @ moment) + float(mean @ gram @ mean)
    n = float(sums.observations.sum())
    found = (max(rest, 0.0) + _NOISE_VARIANCE * _NOISE_WEIGHT) / (n + _NOISE_WEIGHT)
    return max(found, _LEAST_NOISE)


def learned_spreads(sums: ArmSums, groups: IntArray, start: Spreads | None = None) -> Spreads:
    """The spreads under which the data are likeliest, of those tried.

    Args:
        sums: of all arms.
        groups: group of each feature, (d,); 0 for the intercept.
        start: an earlier answer, which is where the search begins.

    Each group is set in turn, the others as they are, twice round. It runs when something is
    learned, not when something is decided; the answer is kept with the state.
    """
    mean = common(sums)
    variance = noise_variance(sums, mean)
    noise = variance**0.5
    count = int(groups.max()) + 1
    residual = sums.moment - sums.gram @ mean

    def likelihood(spreads: list[float]) -> float:
        found = _evidence(sums.gram, residual, variance, groups, np.array(spreads))
        return found + sum(_prior(group, spread) for group, spread in enumerate(spreads))

    # many groups that each say little may say much together: begin with one spread for all
    alike = [[0.08, *[spread] * (count - 1)] for spread in FEATURE_SPREADS]
    if start is not None and len(start.groups) == count:
        before = start.noise_variance**0.5
        alike.append(
            [_nearest(spread / before, group) for group, spread in enumerate(start.groups)]
        )
    chosen = max(alike, key=likelihood)
    for _ in range(_SWEEPS):
        for group in range(count):
            tried = FEATURE_SPREADS if group else ARM_SPREADS
            chosen = max(
                ([*chosen[:group], spread, *chosen[group + 1 :]] for spread in tried),
                key=likelihood,
            )
    found = Spreads(tuple(float(spread * noise) for spread in chosen), variance)
    if any(found.groups[1:]) and not _contexts_pay(sums, groups, found):
        return Spreads((found.groups[0], *[0.0] * (count - 1)), variance)
    return found


def _contexts_pay(sums: ArmSums, groups: IntArray, spreads: Spreads) -> bool:
    """Whether choosing by context is worth more than the one best arm, beyond what chance makes.

    Contexts may tell arms apart without ever changing which is best; then listening to them costs
    exploration and earns nothing. They are believed for a start, and have to have shown it after.
    Scores are linear in the context, so over contexts they are spread like a normal with the
    contexts' mean and covariance; its expected maximum is taken from fixed draws.
    """
    arms = len(sums.gram)
    n = float(sums.observations.sum())
    if n < _TRIAL_PER_ARM * arms:
        return True
    mean = posterior(sums, groups, spreads).mean
    gram = sums.gram.sum(axis=0)
    centre = gram[0] / n
    covariance = mean @ (gram / n - np.outer(centre, centre)) @ mean.T
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = np.random.default_rng(0).standard_normal((_DRAWS, arms))
    scores = mean @ centre + draws @ root.T
    best = int(scores.mean(axis=0).argmax())
    gain = float(scores.max(axis=1).mean() - scores[:, best].mean())
    changed = float((scores.argmax(axis=1) != best).mean())
    error = (2.0 * spreads.noise_variance * max(changed, 1.0 / n) * arms / n) ** 0.5
    return bool(gain > _GAIN_ERRORS * error)


def _nearest(spread: float, group: int) -> float:
    return min(FEATURE_SPREADS if group else ARM_SPREADS, key=lambda tried: abs(tried - spread))


def _prior(group: int, spread: float) -> float:
    if spread == 0.0:
        return 0.0
    if group:
        return float(-_FEATURE_WEIGHT * (np.log(spread) - _FEATURE_CENTRE) ** 2)
    return float(-0.5 * (np.log(spread) - _ARM_CENTRE) ** 2)


def _evidence(
    gram: FloatArray, residual: FloatArray, variance: float, groups: IntArray, spreads: FloatArray
) -> float:
    """Log marginal likelihood of the arms' differences, up to a constant.

    With S the diagonal of spreads: -1/2 log|I + S G S| + 1/2 r' S (I + S G S)^-1 S r / variance
    (Rasmussen and Williams 2006, equation 2.30, by the matrix inversion lemma).
    """
    scale = spreads[groups]
    active = scale > 0.0
    if not active.any():
        return 0.0
    s = scale[active]
    d = int(active.sum())
    inner = np.eye(d) + gram[:, active][:, :, active] * (s[:, None] * s[None, :])
    root = np.linalg.cholesky(inner)
    reduced = np.linalg.solve(root, (residual[:, active] * s)[:, :, None])[:, :, 0]
    logdet = 2.0 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum()
    return float(-0.5 * logdet + 0.5 * (reduced**2).sum() / variance)


def posterior(
    sums: ArmSums, groups: IntArray, spreads: Spreads, borrowed: FloatArray | None = None
) -> Posterior:
    """What is believed of each arm.

    Args:
        sums: of all arms; an arm without observations is believed to be like the others.
        groups: group of each feature, (d,).
        spreads: from `learned_spreads`.
        borrowed: how much better each arm is elsewhere than the others, (k,): where its difference
            is expected before it has been tried here; None for nowhere.

    The arithmetic is elementwise and the same on every machine; see `linear`.
    """
    # no spread is exactly nothing: a precision of 1e12 leaves 1e-6 of a reward
    scale = np.maximum(np.array(spreads.groups)[groups], 1e-6)
    mean = common(sums)
    prior = np.zeros_like(sums.moment)
    if borrowed is not None:
        prior[:, 0] = borrowed
    ratio = spreads.noise_variance / (scale * scale)
    covariance = inverse(sums.gram + np.diag(ratio))
    residual = sums.moment - coefficients(sums.gram, np.broadcast_to(mean, sums.moment.shape))
    delta = coefficients(covariance, residual + prior * ratio)
    return Posterior(mean + delta, covariance * spreads.noise_variance)
