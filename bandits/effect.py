"""How much more often an action's goal is reached than without it, and how sure that is."""

from typing import NamedTuple

from scipy.special import betaincinv

from engine.errors import InvalidInput

_TAIL = 0.025  # each side of a 95 % interval


class Effect(NamedTuple):
    """A difference of two shares, in [-1, 1]; `low` and `high` bound its 95 % interval."""

    mean: float
    low: float
    high: float


def effect(
    prior_if_contacted: float, prior_if_left: float, weight: float, n: int, k: int
) -> Effect:
    """P(success | contacted) minus P(success | left alone).

    Success after contact is Beta(prior * weight + k, (1 - prior) * weight + n - k): the prior
    counts like `weight` earlier contacts. The share of those left alone is taken as given.

    Args:
        prior_if_contacted: expected share of successes when contacted, strictly in (0, 1).
        prior_if_left: expected share of successes without contact, in [0, 1].
        weight: how many observations the prior is worth, above 0.
        n: contacts observed.
        k: successes among them.

    Raises:
        InvalidInput: an argument lies outside its range.

    >>> effect(0.2, 0.1, 50.0, 0, 0).mean
    0.1
    """
    if not (0.0 < prior_if_contacted < 1.0 and 0.0 <= prior_if_left <= 1.0 and weight > 0.0):
        raise InvalidInput(
            f"The priors {prior_if_contacted}, {prior_if_left} with weight {weight} are no belief.",
            hint="if_contacted lies strictly between 0 and 1, if_left in [0, 1], weight above 0.",
        )
    if not 0 <= k <= n:
        raise InvalidInput(f"{k} successes among {n} contacts.", hint="Counts are 0 <= k <= n.")
    a = prior_if_contacted * weight + k
    b = (1.0 - prior_if_contacted) * weight + (n - k)
    low, high = float(betaincinv(a, b, _TAIL)), float(betaincinv(a, b, 1.0 - _TAIL))
    return Effect(a / (a + b) - prior_if_left, low - prior_if_left, high - prior_if_left)
