"""MABWiser's linear bandits, from the same sums that Keepwell keeps.

MABWiser fits the posterior of the baseline policies that a tenant can choose, and every policy of
it plays beside ours in the benchmarks. Its drawing is not used: its LinTS draws all arms from
copies of one generator, it knows no masks and no probabilities, and an untrained arm's `A_inv` is
wrong unless the ridge penalty is 1. Importing it takes a second (pandas, scikit-learn): only
learning does, deciding does not.
"""

import numpy as np
from mabwiser.mab import MAB, LearningPolicy
from numpy.typing import NDArray

from bandits.factor import RIDGE_PENALTY, FactorState
from bandits.state import LIN_GREEDY, LIN_UCB
from engine.errors import StateUnusable

FloatArray = NDArray[np.float64]


def library_policy(policy: str, alpha: float) -> object:
    """MABWiser's policy of one of our names; see `state.POLICIES`."""
    if policy == LIN_GREEDY:
        return LearningPolicy.LinGreedy(epsilon=0.0, l2_lambda=RIDGE_PENALTY)
    kind = LearningPolicy.LinUCB if policy == LIN_UCB else LearningPolicy.LinTS
    return kind(alpha=alpha, l2_lambda=RIDGE_PENALTY)


def fitted_by_library(factor: FactorState, policy: str, alpha: float) -> MAB:
    """A MABWiser bandit fitted to the factor's sums.

    With L L' the Gram matrix of an arm, d rows L' with rewards L^-1 X'y have the very same Gram
    matrix and X'y as the observations themselves; the library is given those.

    Raises:
        StateUnusable: an arm's matrix is no sum of squares.
    """
    d = factor.xty.shape[1]
    rows, rewards, arms = [], [], []
    for k, arm in enumerate(factor.arms):
        gram = factor.precision[k] - RIDGE_PENALTY * np.eye(d)
        values, vectors = np.linalg.eigh(gram)
        if values.min() < -1e-6 * max(1.0, values.max()):
            raise StateUnusable(
                f"What arm {arm} has learned is no sum of squares (eigenvalue {values.min():.3g}).",
                hint="Rebuild it from the log: keepwell learn --rebuild.",
            )
        kept = values > 1e-12 * max(1.0, values.max())
        root = vectors[:, kept] * np.sqrt(values[kept])
        rows.append(root.T)
        rewards.append((vectors[:, kept].T @ factor.xty[k]) / np.sqrt(values[kept]))
        arms += [arm] * int(kept.sum())
    bandit = MAB(list(factor.arms), library_policy(policy, alpha))
    if not arms:  # nothing observed: a row of nothing sets the library up without teaching it
        bandit.fit(np.array([factor.arms[0]]), np.zeros(1), np.zeros((1, d)))
    else:
        bandit.fit(np.array(arms), np.concatenate(rewards), np.concatenate(rows))
    return bandit


def library_sums(bandit: MAB, arms: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """A (k, d, d) and X'y (k, d) as the library holds them."""
    models = bandit._imp.arm_to_model  # noqa: SLF001
    return (
        np.array([models[arm].A for arm in arms]),
        np.array([models[arm].Xty for arm in arms]),
    )
