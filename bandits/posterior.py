"""MABWiser's linear bandits: they fit and update the posterior of each arm.

Nothing else of it is used. Its LinTS draws all arms from copies of one generator, it knows no
masks and no probabilities, and an untrained arm's `A_inv` is wrong unless the ridge penalty is 1;
so sampling is ours (`selection.py`) and A is what we read. Importing it takes a second (pandas,
scikit-learn): only learning does, deciding does not.
"""

import numpy as np
from mabwiser.mab import MAB, LearningPolicy
from numpy.typing import NDArray

from bandits.state import RIDGE_PENALTY, FactorState

FloatArray = NDArray[np.float64]


def restore(factor: FactorState, alpha: float) -> MAB:
    """A fitted MABWiser bandit that continues from the stored statistics."""
    bandit = MAB(list(factor.arms), LearningPolicy.LinTS(alpha=alpha, l2_lambda=RIDGE_PENALTY))
    dimensions = factor.xty.shape[1]
    # The library offers no way to set statistics; these are the fields `fit` itself fills in.
    models = bandit._imp  # noqa: SLF001
    models.num_features = dimensions
    for k, arm in enumerate(factor.arms):
        model = models.arm_to_model[arm]
        model.init(num_features=dimensions)
        model.A = factor.precision[k].copy()
        model.Xty = factor.xty[k].copy()
        model.A_inv = factor.covariance[k].copy()
        model.beta = factor.beta[k].copy()
    bandit._is_initial_fit = True  # noqa: SLF001
    return bandit


def updated(
    factor: FactorState, alpha: float, arms: list[str], rewards: FloatArray, contexts: FloatArray
) -> FactorState:
    """The factor after n more observations; all arms must be arms of the factor.

    Args:
        factor: what is known so far.
        alpha: of the policy; the fit itself does not depend on it.
        arms: chosen arm per observation.
        rewards: (n,), in [0, 1].
        contexts: (n, d), finite.
    """
    bandit = restore(factor, alpha)
    bandit.partial_fit(decisions=np.array(arms), rewards=rewards, contexts=contexts)
    models = bandit._imp.arm_to_model  # noqa: SLF001
    observations, reward_sum = factor.observations.copy(), factor.reward_sum.copy()
    for arm, reward in zip(arms, rewards.tolist(), strict=True):
        at = factor.arms.index(arm)
        observations[at] += 1
        reward_sum[at] += reward
    return FactorState(
        arms=factor.arms,
        precision=np.array([models[arm].A for arm in factor.arms]),
        xty=np.array([models[arm].Xty for arm in factor.arms]),
        observations=observations,
        reward_sum=reward_sum,
    )


def corrected(
    factor: FactorState, arms: list[str], changes: FloatArray, contexts: FloatArray
) -> FactorState:
    """The factor after rewards of n observations already counted changed by `changes`, (n,).

    A ridge regression's A depends on contexts alone, so only xty moves: by x * change.
    """
    xty, reward_sum = factor.xty.copy(), factor.reward_sum.copy()
    for arm, change, context in zip(arms, changes.tolist(), contexts, strict=True):
        at = factor.arms.index(arm)
        xty[at] += context * change
        reward_sum[at] += change
    return FactorState(
        arms=factor.arms,
        precision=factor.precision,
        xty=xty,
        observations=factor.observations,
        reward_sum=reward_sum,
    )
