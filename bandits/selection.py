"""Choosing an arm per factor, with the exact probability of that choice.

Thompson sampling with our own draw. MABWiser's LinTS hands every arm a copy of one generator, so
all arms get the same noise and the frequencies are not the textbook ones; here the probability of
every allowed arm is computed first and the arm is drawn from exactly that distribution.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandits.context import known
from bandits.draw import FloatArray, KeyArray, uniforms
from bandits.linear import score_moments, squares
from bandits.quadrature import probability_best
from bandits.state import FactorState, PolicyState
from engine.errors import StateUnusable

BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]

# Textbook Thompson sampling explores too long for campaigns of a few months: half the noise was
# worth 20 to 50 % more gain on 2,437 real headline tests.
NOISE_SCALE = 0.5
VARIANT_PREFIX = "variant:"  # followed by the action: its variants are arms of its own factor

# Rows per step: the nodes of a chunk stay in the processor's cache.
_CHUNK = 512
# Probabilities are drawn from as logged: what differs beyond this between processors is cut off.
_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class FactorChoice:
    """The choice within one factor for n candidates.

    Attributes:
        arms: the factor's arm names; `index` points into it.
        index: chosen arm, (n,); -1 where no arm was allowed.
        probability: selection probability of that arm, (n,); 1.0 where one arm or none was allowed.
    """

    arms: tuple[str, ...]
    index: IndexArray
    probability: FloatArray

    def names(self) -> list[str | None]:
        """The chosen arm's name per candidate; None where no arm was allowed."""
        return [self.arms[at] if at >= 0 else None for at in self.index.tolist()]


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of all factors for n candidates.

    Attributes:
        factors: by factor name.
        selection_probability: product over the factors, (n,).
    """

    factors: Mapping[str, FactorChoice]
    selection_probability: FloatArray


def choose(
    state: PolicyState,
    contexts: FloatArray,
    allowed: Mapping[str, BoolArray],
    keys: KeyArray,
    seed: int,
) -> Choices:
    """One arm per factor and candidate.

    A candidate's choice depends on its own context, masks and key, the seed and the state alone:
    the same bits come out in a batch of one and of a million, and whether the factors are chosen
    in one call or several (a variant after its channel). For actions mixed in one batch give each
    action's `variant:<action>` factor a mask that is False on the rows of other actions.

    Args:
        state: the learned policy.
        contexts: (n, d) with the columns of `state.features`; NaN is treated as 0.
        allowed: by factor name, (n, k) in the order of `state.factors[name].arms`.
        keys: uint64 per candidate, (n,); see `draw.keys_of`.
        seed: of the tenant or run; stands on the decision.

    Raises:
        StateUnusable: a factor is unknown to the state, or a mask or the contexts have the wrong
            shape.
    """
    rows = np.asarray(contexts)
    if rows.ndim != 2 or rows.shape[1] != len(state.features) or len(keys) != len(rows):
        raise StateUnusable(
            f"Contexts of shape {rows.shape} with {len(keys)} keys do not fit "
            f"the features {state.features}.",
            hint="Build them with `context.context_matrix`.",
        )
    columns = np.ascontiguousarray(known(rows).T)
    factors = {
        name: _choose_factor(state, name, columns, mask, uniforms(keys, seed, name))
        for name, mask in allowed.items()
    }
    total = np.ones(len(rows))
    for name in sorted(factors):  # a product in another order may differ in the last bit
        total = total * factors[name].probability
    return Choices(factors=factors, selection_probability=total)


def probabilities(
    state: PolicyState, factor: str, contexts: FloatArray, allowed: BoolArray
) -> FloatArray:
    """Selection probability of every arm of a factor, (n, k); a row without allowed arms is 0.

    `choose` draws from these very numbers; off-policy evaluation and the console read them.

    Raises:
        StateUnusable: as `choose`.
    """
    mask = _checked(state, factor, allowed, len(contexts))
    columns = np.ascontiguousarray(known(contexts).T)
    arms = state.factors[factor]
    count = mask.sum(axis=0)
    result = mask.astype(np.float64)
    contested = np.flatnonzero(count > 1)
    for start in range(0, len(contested), _CHUNK):
        at = contested[start : start + _CHUNK]
        result[:, at] = _distribution(state, arms, columns[:, at], mask[:, at])
    return np.ascontiguousarray(result.T)


def _choose_factor(
    state: PolicyState, name: str, columns: FloatArray, allowed: BoolArray, draws: FloatArray
) -> FactorChoice:
    mask = _checked(state, name, allowed, columns.shape[1])
    arms = state.factors[name]
    count = mask.sum(axis=0)
    index = np.where(count > 0, mask.argmax(axis=0), -1) if len(mask) else count - 1
    probability = np.ones(columns.shape[1])
    contested = np.flatnonzero(count > 1)
    for start in range(0, len(contested), _CHUNK):
        at = contested[start : start + _CHUNK]
        shares = _distribution(state, arms, columns[:, at], mask[:, at])
        chosen = _drawn(shares, draws[at])
        index[at] = chosen
        probability[at] = shares[chosen, np.arange(len(at))]
    return FactorChoice(arms=arms.arms, index=index, probability=probability)


def _checked(state: PolicyState, name: str, allowed: BoolArray, n: int) -> BoolArray:
    """The mask of one factor as (k, n)."""
    factor = state.factors.get(name)
    if factor is None:
        raise StateUnusable(
            f"The bandit state has no factor {name!r}.", hint="Add it with `state.with_arms`."
        )
    mask = np.asarray(allowed, dtype=np.bool_)
    if mask.shape != (n, len(factor.arms)):
        raise StateUnusable(
            f"The mask of factor {name} has shape {mask.shape}, not {(n, len(factor.arms))}.",
            hint="One row per candidate, one column per arm of the state.",
        )
    return np.ascontiguousarray(mask.T)


def _distribution(
    state: PolicyState, arms: FactorState, columns: FloatArray, mask: BoolArray
) -> FloatArray:
    """Selection probabilities (k, n) of rows with at least two allowed arms."""
    mean, variance = score_moments(columns, squares(columns), arms.beta, arms.triangle)
    # An all-zero context has no spread at all; a tiny one keeps the integral defined.
    spread = np.maximum(state.alpha * np.sqrt(variance), 1e-6)
    best = probability_best(mean, spread, mask)
    share = state.floor / mask.sum(axis=0)
    mixed: FloatArray = np.where(mask, (1.0 - state.floor) * best + share, 0.0)
    return mixed.round(_DECIMALS)


def _drawn(shares: FloatArray, draws: FloatArray) -> IndexArray:
    """Inverse of the cumulative distribution at the given uniforms; never an arm of share 0."""
    reached = np.add.accumulate(shares, axis=0)
    # Rounding leaves the sum off 1 by up to k * 5e-13.
    target = np.minimum(draws * reached[-1], np.nextafter(reached[-1], 0.0))
    chosen: IndexArray = (reached <= target).sum(axis=0)
    return chosen
