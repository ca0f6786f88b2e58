"""Choosing an arm per factor, with the exact probability of that choice.

Thompson sampling with our own draw. MABWiser's LinTS hands every arm a copy of one generator, so
all arms get the same noise and the frequencies are not the textbook ones; here the probability of
every allowed arm is computed first and the arm is drawn from exactly that distribution.

Exploration is spent on one factor at a time: in a share `floor` of decisions one factor, each with
the same chance, is drawn evenly over its allowed arms while the others follow the policy. So the
log can judge a change of any one factor, and a decision is never odd in all its parts at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandits.context import known
from bandits.counting import COUNTING
from bandits.counting import shares as counted_shares
from bandits.draw import FloatArray, KeyArray, uniforms
from bandits.factor import FactorState
from bandits.linear import score_moments, squares
from bandits.quadrature import probability_best
from bandits.state import LIN_GREEDY, LIN_UCB, PolicyState, drawn_noise
from engine.errors import StateUnusable

BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]

VARIANT_PREFIX = "variant:"  # followed by the action: its variants are arms of its own factor

# Rows per step: few calls, and what a step holds stays in the cache.
_CHUNK = 4096
_BITS = 62  # arms whose mask fits a number
# Probabilities are drawn from as logged: what differs beyond this between processors is cut off.
_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class FactorChoice:
    """The choice within one factor for n candidates.

    Attributes:
        arms: the factor's arm names; `index` points into it.
        index: chosen arm, (n,); -1 where no arm was allowed.
        policy: P(the policy alone picks that arm), (n,); 1.0 where one arm or none was allowed.
        even: 1 / number of allowed arms, (n,); 1.0 where none was.
    """

    arms: tuple[str, ...]
    index: IndexArray
    policy: FloatArray
    even: FloatArray

    def names(self) -> list[str | None]:
        """The chosen arm's name per candidate; None where no arm was allowed."""
        return [self.arms[at] if at >= 0 else None for at in self.index.tolist()]


def explored(keys: KeyArray, seed: int, floor: float, factors: int) -> IndexArray:
    """The factor that is drawn evenly, 0 to factors - 1, per key; -1 for most: none is."""
    draws = uniforms(keys, seed, "explore")
    which = np.floor(draws / max(floor, 1e-300) * factors) if floor > 0.0 else draws
    return np.where(draws < floor, np.minimum(which, factors - 1), -1).astype(np.int64)


def choose(
    state: PolicyState,
    factor: str,
    contexts: FloatArray,
    allowed: BoolArray,
    draws: FloatArray,
    evenly: BoolArray | None = None,
) -> FactorChoice:
    """One arm of a factor per candidate.

    A candidate's choice depends on its own context, mask and draw and on the state alone: the same
    bits come out in a batch of one and of a million.

    Args:
        state: the learned policy.
        factor: name of the factor.
        contexts: (n, d) with the columns of `state.features`; NaN is treated as 0.
        allowed: (n, k) in the order of `state.factors[factor].arms`.
        draws: in [0, 1) per candidate, (n,): `uniforms(keys, seed, factor)`.
        evenly: rows that draw evenly over what is allowed, (n,); None for none.

    Raises:
        StateUnusable: the factor is unknown to the state, or a shape does not fit.
    """
    mask = _checked(state, factor, contexts, allowed, len(draws))
    columns = np.ascontiguousarray(known(contexts).T)
    arms = state.factors[factor]
    n = columns.shape[1]
    count = mask.sum(axis=0)
    index = np.where(count > 0, mask.argmax(axis=0), -1) if len(mask) else np.full(n, -1)
    policy, even = np.ones(n), 1.0 / np.maximum(count, 1)
    contested = np.flatnonzero(count > 1)
    for start in range(0, len(contested), _CHUNK):
        at = contested[start : start + _CHUNK]
        shares = _distribution(state, arms, columns[:, at], mask[:, at])
        drawn_from = shares
        if evenly is not None and evenly[at].any():
            drawn_from = np.where(evenly[at], mask[:, at] * even[at], shares)
        chosen = _drawn(drawn_from, draws[at])
        index[at] = chosen
        policy[at] = shares[chosen, np.arange(len(at))]
    return FactorChoice(arms=arms.arms, index=index, policy=policy, even=even)


def joint_probability(choices: Sequence[FactorChoice], floor: float) -> FloatArray:
    """P(this combination is picked), (n,): `(1 - floor) prod p + floor / F sum_f even_f prod p`.

    The inner products leave out factor f. A later factor's p may depend on an earlier choice.
    Written as the product plus what exploring changes: where nothing is to choose it is exactly 1.
    """
    policy = [choice.policy for choice in choices]
    total = _product(policy, len(choices[0].policy))
    for f, choice in enumerate(choices):
        others = _product(policy[:f] + policy[f + 1 :], len(choice.even))
        total = total + (floor / len(choices)) * (choice.even - choice.policy) * others
    return total


def marginal_probability(choice: FactorChoice, floor: float, factors: int) -> FloatArray:
    """P(this arm of the factor is picked), (n,), whatever the other factors come to."""
    return choice.policy + (floor / factors) * (choice.even - choice.policy)


def conditional_probability(
    choice: FactorChoice, earlier: FactorChoice, floor: float, factors: int
) -> FloatArray:
    """P(this arm is picked, given the arm of an earlier factor), (n,): a variant's, by channel."""
    share = floor / factors
    both = marginal_probability(earlier, floor, factors) * choice.policy
    both = both + share * earlier.policy * (choice.even - choice.policy)
    return both / marginal_probability(earlier, floor, factors)


def probabilities(
    state: PolicyState,
    factor: str,
    contexts: FloatArray,
    allowed: BoolArray,
    *,
    share: float | None = None,
) -> FloatArray:
    """P(arm) of every arm of a factor, (n, k); a row without allowed arms is 0.

    `share` of it is spread evenly over the allowed arms; None: `state.floor`, as if this factor
    were the only one. Off-policy evaluation and the console read them.

    Raises:
        StateUnusable: as `choose`.
    """
    mask = _checked(state, factor, contexts, allowed, len(contexts))
    columns = np.ascontiguousarray(known(contexts).T)
    arms = state.factors[factor]
    count = mask.sum(axis=0)
    result = mask.astype(np.float64)
    floor = state.floor if share is None else share
    contested = np.flatnonzero(count > 1)
    for start in range(0, len(contested), _CHUNK):
        at = contested[start : start + _CHUNK]
        shares = _distribution(state, arms, columns[:, at], mask[:, at])
        result[:, at] = (1.0 - floor) * shares + floor * mask[:, at] / count[at]
    return np.ascontiguousarray(result.T)


def _checked(
    state: PolicyState, name: str, contexts: FloatArray, allowed: BoolArray, n: int
) -> BoolArray:
    """The mask of one factor as (k, n)."""
    rows = np.asarray(contexts)
    if rows.ndim != 2 or rows.shape[1] != len(state.features) or len(rows) != n:
        raise StateUnusable(
            f"Contexts of shape {rows.shape} with {n} draws do not fit "
            f"the features {state.features}.",
            hint="Build them with `context.context_matrix`.",
        )
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
    """What the policy alone would pick, (k, n), for rows with at least two allowed arms.

    Where contexts tell nothing the answer depends on the mask alone: it is computed once a mask.
    """
    counting = state.policy in COUNTING
    if not counting and (arms.spreads is None or any(arms.spreads.groups[1:])):
        return _by_context(state, arms, columns, mask)
    kinds, place = _kinds(mask)
    shares = np.empty((len(mask), len(kinds)))
    for kind, at in enumerate(kinds):
        allowed = mask[:, at]
        key = (state.policy, state.noise, allowed.tobytes())
        found = arms.shares_by_mask.get(key)
        if found is None:
            if counting:
                found = counted_shares(state.policy, arms, allowed).round(_DECIMALS)
            else:
                alone = np.zeros((len(columns), 1))
                alone[0] = 1.0
                found = _by_context(state, arms, alone, allowed[:, None])[:, 0]
            arms.shares_by_mask[key] = found
        shares[:, kind] = found
    return shares[:, place]


def _kinds(mask: BoolArray) -> tuple[list[int], IndexArray]:
    """A column of each different mask, and which of them each column is."""
    if len(mask) <= _BITS:
        bits = np.left_shift(1, np.arange(len(mask), dtype=np.int64))
        _, first, place = np.unique(bits @ mask, return_index=True, return_inverse=True)
    else:
        _, first, place = np.unique(mask, axis=1, return_index=True, return_inverse=True)
    return first.tolist(), place.reshape(-1)


def score_scale(state: PolicyState, arms: FactorState) -> float:
    """Standard deviations that scores of this factor are drawn with, in posterior spreads."""
    if arms.spreads is None:
        return state.alpha
    return drawn_noise(state.noise, float(arms.observations.mean()))


def _by_context(
    state: PolicyState, arms: FactorState, columns: FloatArray, mask: BoolArray
) -> FloatArray:
    """The same, for each row's own context."""
    mean, variance = score_moments(columns, squares(columns), arms.beta, arms.triangle)
    scale = score_scale(state, arms)
    # An all-zero context has no spread at all; a tiny one keeps the integral defined.
    spread = np.maximum(scale * np.sqrt(variance), 1e-6)
    if state.policy in (LIN_UCB, LIN_GREEDY):
        best = _highest(mean + spread if state.policy == LIN_UCB else mean, mask)
    else:
        best = probability_best(mean, spread, mask)
    return np.where(mask, best, 0.0).round(_DECIMALS)


def _highest(scores: FloatArray, mask: BoolArray) -> FloatArray:
    """All on the highest allowed score, shared among equals."""
    reached = np.where(mask, scores, -np.inf)
    top = (reached == reached.max(axis=0)).astype(np.float64)
    return np.asarray(top / top.sum(axis=0))


def _drawn(shares: FloatArray, draws: FloatArray) -> IndexArray:
    """Inverse of the cumulative distribution at the given uniforms; never an arm of share 0."""
    reached = np.add.accumulate(shares, axis=0)
    # Rounding leaves the sum off 1 by up to k * 5e-13.
    target = np.minimum(draws * reached[-1], np.nextafter(reached[-1], 0.0))
    chosen: IndexArray = (reached <= target).sum(axis=0)
    return chosen


def _product(values: Sequence[FloatArray], n: int) -> FloatArray:
    total = np.ones(n)
    for each in values:
        total = total * each
    return total
