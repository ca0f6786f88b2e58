"""One part of a treatment and what is known of its arms; immutable."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bandits.hierarchy import ArmSums, Posterior, Spreads, posterior
from bandits.linear import coefficients, inverse, packed

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# MABWiser's ridge penalty: A of an arm nothing is known about is this times the identity.
RIDGE_PENALTY = 1.0


@dataclass(frozen=True)
class FactorState:
    """The arms of one factor and what is known of each; the arrays are read-only.

    Attributes:
        arms: names, in the order of every array's first axis and of every mask's columns.
        precision: A = identity + sum of x x', (k, d, d).
        xty: sum of x * reward, (k, d).
        observations: choices per arm, (k,), nothing forgotten.
        reward_sum: sum of rewards per arm, (k,), nothing forgotten.
        spreads: how much arms differ; None: each arm is a ridge regression of its own.
        borrowed: how much better each arm is elsewhere, (k,); None: nothing is borrowed.
    """

    arms: tuple[str, ...]
    precision: FloatArray
    xty: FloatArray
    observations: IntArray
    reward_sum: FloatArray
    spreads: Spreads | None = None
    borrowed: FloatArray | None = None

    def __post_init__(self) -> None:
        for array in (self.precision, self.xty, self.observations, self.reward_sum):
            array.setflags(write=False)

    @cached_property
    def posterior(self) -> Posterior:
        """What is believed of each arm; the covariance lacks the noise where `spreads` is None."""
        if self.spreads is None:
            covariance = inverse(self.precision)
            return Posterior(coefficients(covariance, self.xty), covariance)
        d = self.xty.shape[1]
        sums = ArmSums(self.precision - RIDGE_PENALTY * np.eye(d), self.xty, 0.0)
        return posterior(sums, np.arange(d), self.spreads, self.borrowed)

    @cached_property
    def shares_by_mask(self) -> dict[object, FloatArray]:
        """What `selection` has computed for masks of this factor; a memory, not knowledge."""
        return {}

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the coefficients per arm, (k, d, d); the inverse of A without spreads."""
        return self.posterior.covariance

    @property
    def beta(self) -> FloatArray:
        """Mean coefficients per arm, (k, d)."""
        return self.posterior.mean

    @cached_property
    def triangle(self) -> FloatArray:
        """`covariance` packed for `linear.score_moments`, (k, d (d + 1) / 2)."""
        return packed(self.covariance)


@dataclass(frozen=True, slots=True)
class Borrowed:
    """What other businesses of the industry saw of a factor's arms: from counts, nothing else.

    Attributes:
        arms: their names.
        difference: by how much each arm's share of successes is above the common one.
        spread: how far an arm here may lie from that, a standard deviation.
        noise_variance: of one reward.
    """

    arms: tuple[str, ...]
    difference: tuple[float, ...]
    spread: float
    noise_variance: float


def untrained(arms: Iterable[str], dimensions: int) -> FactorState:
    """A factor nothing has been learned about yet."""
    names = tuple(dict.fromkeys(arms))
    k = len(names)
    return FactorState(
        arms=names,
        precision=np.broadcast_to(
            RIDGE_PENALTY * np.eye(dimensions), (k, dimensions, dimensions)
        ).copy(),
        xty=np.zeros((k, dimensions)),
        observations=np.zeros(k, dtype=np.int64),
        reward_sum=np.zeros(k),
    )
