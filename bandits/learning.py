"""What outcomes teach the bandits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bandits.context import known
from bandits.posterior import corrected, updated
from bandits.rewards import GOAL_REWARD
from bandits.state import ActionCount, FactorState, PolicyState, with_arms
from engine.errors import InvalidInput, StateUnusable
from engine.ids import DecisionId

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observation:
    """The reward of one decision, for the first time or changed.

    Attributes:
        decision_id: names the decision in errors; nothing is remembered by it.
        action: the action carried out.
        arms: chosen arm by factor name.
        context: (d,), the context at the time of the decision, columns of `state.features`.
        reward: in [0, 1]; see `rewards.REWARD_LADDER`.
        previous_reward: the reward this decision was last observed with; None the first time.
    """

    decision_id: DecisionId
    action: str
    arms: Mapping[str, str]
    context: FloatArray
    reward: float
    previous_reward: float | None = None


def observe(state: PolicyState, observations: Sequence[Observation]) -> PolicyState:
    """The state after these observations; the given state is unchanged.

    A decision counts once: its first observation adds context and reward, a later one with
    `previous_reward` moves the reward only. Telling the two apart is the caller's part, who stores
    the last observed reward with the decision in the same transaction as the new state; an
    observation given twice without it counts twice. Arms the state does not know are added.

    Raises:
        InvalidInput: a reward lies outside [0, 1].
        StateUnusable: a context has the wrong length.
    """
    for each in observations:
        _check(each, len(state.features))
    for each in observations:
        for factor, arm in each.arms.items():
            if factor not in state.factors or arm not in state.factors[factor].arms:
                state = with_arms(state, factor, [arm])
    named = dict.fromkeys(factor for each in observations for factor in each.arms)
    factors = {name: _learned(state, name, observations) for name in named}
    return replace(
        state,
        factors={**state.factors, **factors},
        actions=_counted(state.actions, observations),
    )


def _learned(state: PolicyState, name: str, observations: Iterable[Observation]) -> FactorState:
    factor = state.factors[name]
    concerned = [each for each in observations if name in each.arms]
    first = [each for each in concerned if each.previous_reward is None]
    if first:
        factor = updated(
            factor,
            state.alpha,
            [each.arms[name] for each in first],
            np.array([each.reward for each in first]),
            _contexts(first),
        )
    later = [each for each in concerned if each.previous_reward is not None]
    if later:
        changes = [each.reward - (each.previous_reward or 0.0) for each in later]
        factor = corrected(
            factor, [each.arms[name] for each in later], np.array(changes), _contexts(later)
        )
    return factor


def _contexts(observations: Sequence[Observation]) -> FloatArray:
    return known(np.array([each.context for each in observations]))


def _counted(
    counts: Mapping[str, ActionCount], observations: Iterable[Observation]
) -> dict[str, ActionCount]:
    counted = dict(counts)
    for each in observations:
        before = counted.get(each.action, ActionCount())
        was_success = (each.previous_reward or 0.0) >= GOAL_REWARD
        counted[each.action] = ActionCount(
            contacted=before.contacted + (each.previous_reward is None),
            succeeded=before.succeeded + (each.reward >= GOAL_REWARD) - was_success,
        )
    return counted


def _check(observation: Observation, dimensions: int) -> None:
    for reward in (observation.reward, observation.previous_reward):
        if reward is not None and not 0.0 <= reward <= 1.0:
            raise InvalidInput(
                f"The reward of decision {observation.decision_id} is {reward}.",
                hint="Rewards lie in [0, 1]; take them from the reward ladder.",
            )
    if np.shape(observation.context) != (dimensions,):
        raise StateUnusable(
            f"The context of decision {observation.decision_id} has shape "
            f"{np.shape(observation.context)}, not {(dimensions,)}.",
            hint="Store the context with the decision and give it back unchanged.",
        )
