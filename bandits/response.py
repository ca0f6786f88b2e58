"""P(goal | contacted) and P(goal | left alone), learnt together: what counts is the difference.

The manager's guess names a level and an effect. Levels are guessed badly (a business where half as
many return as thought is common), effects on the odds travel better between businesses. So the
belief is about the level of those left alone and about the log of the odds ratio, and whoever was
held out teaches the level:

    logit P(goal | left alone) = b          b ~ normal(logit if_left, LEVEL_SPREAD^2)
    logit P(goal | contacted)  = b + d      d ~ normal(logit if_contacted - logit if_left, s^2)

with s the standard error of a logit seen in `weight` people. Two binomial counts make the
posterior; it is log-concave, so one Newton ascent finds its mode, and a normal approximation there
(Laplace; MacKay 2003, chapter 27) gives the interval.
Without anybody held out the level absorbs most of a surprise and the effect a little of it.
"""

import math
from typing import NamedTuple

import numpy as np

from bandits.effect import Effect
from engine.errors import InvalidInput

# How far off a guessed level is: one standard deviation is a factor of 4.5 on the odds.
LEVEL_SPREAD = 1.5

_STEPS = 60
_Z_95 = 1.959963984540054
# Differences in the last bits between processors must not reach a decision.
_DECIMALS = 9


class Counts(NamedTuple):
    """People and how many of them reached the goal within its window."""

    n: int = 0
    reached: int = 0


class Guess(NamedTuple):
    """What the author of a rule expects; shares strictly in (0, 1), `weight` people above 0."""

    if_contacted: float
    if_left: float
    weight: float


class Response(NamedTuple):
    """Shares at the most likely point, and the 95 % interval of their difference."""

    if_contacted: float
    if_left: float
    effect: Effect


def response(guess: Guess, contacted: Counts = Counts(), left: Counts = Counts()) -> Response:  # noqa: B008 - named tuples don't change
    """What contacting does, from a guess and from those contacted and those held out.

    Raises:
        InvalidInput: a share or a count outside its range.

    >>> told = response(Guess(0.30, 0.22, 20.0), Counts(1000, 100))
    >>> told.if_left < told.if_contacted < 0.11  # the level was wrong, the effect still holds
    True
    """
    _check(guess, contacted, left)
    means = np.array([_logit(guess.if_left), _logit(guess.if_contacted) - _logit(guess.if_left)])
    of_effect = guess.weight * guess.if_contacted * (1.0 - guess.if_contacted)
    precision = np.array([LEVEL_SPREAD**-2, of_effect])
    mode, curvature = _mode(means, precision, contacted, left)
    return _told(mode, curvature)


def _mode(
    means: np.ndarray, precision: np.ndarray, contacted: Counts, left: Counts
) -> tuple[np.ndarray, np.ndarray]:
    """The most likely (b, d) and the curvature there, by Newton with halved steps."""
    at = means.copy()

    def height(point: np.ndarray) -> float:
        prior = -0.5 * float((precision * (point - means) ** 2).sum())
        return (
            prior
            + _log_likelihood(point[0] + point[1], contacted)
            + _log_likelihood(point[0], left)
        )

    for _ in range(_STEPS):
        gradient, curvature = _slopes(at, means, precision, contacted, left)
        step = np.linalg.solve(curvature, gradient)
        while height(at + step) < height(at) and float(np.abs(step).max()) > 1e-12:
            step = step / 2
        at = at + step
        if float(np.abs(step).max()) < 1e-12:
            break
    return at, _slopes(at, means, precision, contacted, left)[1]


def _slopes(
    at: np.ndarray, means: np.ndarray, precision: np.ndarray, contacted: Counts, left: Counts
) -> tuple[np.ndarray, np.ndarray]:
    p, q = _share(at[0] + at[1]), _share(at[0])
    surprise, baseline = contacted.reached - contacted.n * p, left.reached - left.n * q
    gradient = np.array([surprise + baseline, surprise]) - precision * (at - means)
    w, v = contacted.n * p * (1 - p), left.n * q * (1 - q)
    curvature = np.array([[w + v, w], [w, w]]) + np.diag(precision)
    return gradient, curvature


def _told(mode: np.ndarray, curvature: np.ndarray) -> Response:
    """Shares at the mode, which is the guess itself without data; the interval by the delta rule.

    A mean over the posterior would bend the other way: shares are convex in logits where they are
    small, so being unsure of the level alone would make the effect look smaller.
    """
    p, q = float(_share(mode[0] + mode[1])), float(_share(mode[0]))
    a, c, d = curvature[0, 0], curvature[0, 1], curvature[1, 1]
    # slopes of p - q in b and d; the inverse of a two by two matrix by hand
    of_b, of_d = p * (1 - p) - q * (1 - q), p * (1 - p)
    variance = (d * of_b**2 - 2 * c * of_b * of_d + a * of_d**2) / (a * d - c * c)
    reach = _Z_95 * math.sqrt(max(variance, 0.0))
    mean = p - q
    told = [round(value, _DECIMALS) for value in (p, q, mean, mean - reach, mean + reach)]
    return Response(told[0], told[1], Effect(told[2], told[3], told[4]))


def _share(logit: "np.ndarray | float") -> "np.ndarray":
    return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(logit, dtype=np.float64))))


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))


def _log_likelihood(logit: float, counts: Counts) -> float:
    # log(1 + exp(x)) without overflow
    norm = max(logit, 0.0) + math.log1p(math.exp(-abs(logit)))
    return counts.reached * logit - counts.n * norm


def _check(guess: Guess, contacted: Counts, left: Counts) -> None:
    shares = (guess.if_contacted, guess.if_left)
    if not (all(0.0 < share < 1.0 for share in shares) and guess.weight > 0.0):
        raise InvalidInput(
            f"The guess {tuple(guess)} is no belief.",
            hint="if_contacted and if_left lie strictly between 0 and 1, weight above 0.",
        )
    for counts in (contacted, left):
        if not 0 <= counts.reached <= counts.n:
            raise InvalidInput(
                f"{counts.reached} of {counts.n} reached a goal.",
                hint="Counts are 0 <= reached <= n.",
            )
