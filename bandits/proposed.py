"""Policies that can be judged by a log, by name, as P(arm) per row."""

import numpy as np
from numpy.typing import NDArray

from bandits.evidence import FloatArray, IntArray
from bandits.factor import RIDGE_PENALTY, FactorState
from bandits.hierarchy import ArmSums, learned_spreads
from bandits.off_policy import Log, folds_of, sums_of
from bandits.selection import probabilities
from bandits.state import HIERARCHICAL, POLICIES, PolicyState
from engine.errors import InvalidInput

BoolArray = NDArray[np.bool_]

UNIFORM, FIXED = "uniform", "fixed:"
_FOLDS = 5


def proposed(
    policy: str, log: Log, arms: tuple[str, ...], contexts: FloatArray, allowed: BoolArray
) -> FloatArray:
    """P(the policy takes this arm) per row of the log, (n, k).

    `policy` is 'uniform' (even over what was allowed), 'fixed:<arm>' (that arm wherever it was
    allowed, else even), or one of `state.POLICIES`, learned on the folds that do not hold the row.

    Raises:
        InvalidInput: no such policy or arm.
    """
    even = allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1)
    if policy == UNIFORM:
        return np.asarray(even)
    if policy.startswith(FIXED):
        name = policy.removeprefix(FIXED)
        if name not in arms:
            raise InvalidInput(
                f"The log knows no arm {name!r}.", hint=f"It knows {', '.join(arms)}."
            )
        at = arms.index(name)
        return np.asarray(np.where(allowed[:, at, None], np.eye(len(arms))[at], even))
    if policy not in POLICIES:
        raise InvalidInput(
            f"There is no policy {policy!r}.",
            hint=f"Use {UNIFORM}, {FIXED}<arm>, {', '.join(POLICIES)}.",
        )
    fold = folds_of(len(log.actions), log.clusters, folds=_FOLDS, seed=0)
    shares = np.empty((len(log.actions), log.arms))
    for number in range(_FOLDS):
        inside, outside = fold != number, fold == number
        sums = sums_of(contexts[inside], log.actions[inside], log.rewards[inside], log.arms)
        shares[outside] = probabilities(
            _state(policy, arms, sums), "judged", contexts[outside], allowed[outside], share=0.0
        )
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _state(policy: str, arms: tuple[str, ...], sums: ArmSums) -> PolicyState:
    d = sums.gram.shape[1]
    groups: IntArray = np.arange(d, dtype=np.int64)
    factor = FactorState(
        arms=arms,
        precision=sums.gram + RIDGE_PENALTY * np.eye(d),
        xty=sums.moment,
        observations=sums.observations.astype(np.int64),
        reward_sum=sums.moment[:, 0].copy(),
        spreads=learned_spreads(sums, groups) if policy == HIERARCHICAL else None,
    )
    return PolicyState(factors={"judged": factor}, policy=policy)
