"""Rewards of decisions, one by one, as the columns that evidence is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandits.context import CONTEXT_FEATURES
from bandits.evidence import Outcomes
from bandits.fit import ACTION
from bandits.rewards import GOAL_REWARD
from engine.errors import InvalidInput, StateUnusable
from engine.ids import DecisionId

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observation:
    """The reward of one decision, for the first time or changed.

    A decision counts once: its first observation adds context and reward, a later one with
    `previous_reward` moves the reward only. Telling the two apart is the caller's part, who stores
    the last observed reward with the decision in the same transaction as the evidence; an
    observation given twice without it counts twice.

    Attributes:
        decision_id: names the decision in errors; nothing is remembered by it.
        action: the action carried out.
        arms: chosen arm by factor name.
        context: (d,), the context at the time of the decision.
        reward: in [0, 1]; see `rewards.REWARD_LADDER`. 0 from the moment the message left.
        day: of the decision, days since 1970-01-01.
        previous_reward: the reward this decision was last observed with; None the first time.
        delay_days: from the message to the outcome that made the reward what it is.
        previous_delay_days: the same of the previous reward.
    """

    decision_id: DecisionId
    action: str
    arms: Mapping[str, str]
    context: FloatArray
    reward: float
    day: int
    previous_reward: float | None = None
    delay_days: int = 0
    previous_delay_days: int = 0


def outcomes_of(observations: Sequence[Observation]) -> Outcomes:
    """The observations as columns; the action is a factor of its own, which counts goals.

    Raises:
        InvalidInput: a reward lies outside [0, 1].
        StateUnusable: a context has the wrong length.
    """
    for each in observations:
        _check(each)
    factors = sorted({factor for each in observations for factor in each.arms})
    arms = {name: _column([each.arms.get(name) for each in observations]) for name in factors}
    arms[ACTION] = _column([each.action for each in observations])
    return Outcomes(
        arms=arms,
        day=np.array([each.day for each in observations], dtype=np.int64),
        context=np.array([each.context for each in observations], dtype=np.float64).reshape(
            len(observations), len(CONTEXT_FEATURES)
        ),
        reward=np.array([each.reward for each in observations], dtype=np.float64),
        previous=np.array(
            [np.nan if o.previous_reward is None else o.previous_reward for o in observations],
            dtype=np.float64,
        ),
        delay_days=np.array([each.delay_days for each in observations], dtype=np.int64),
        previous_delay_days=np.array(
            [each.previous_delay_days for each in observations], dtype=np.int64
        ),
        goal=GOAL_REWARD,
    )


def _column(chosen: Sequence[str | None]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    names = tuple(sorted({name for name in chosen if name is not None}))
    place = {name: number for number, name in enumerate(names)}
    codes = [-1 if name is None else place[name] for name in chosen]
    return names, np.array(codes, dtype=np.int64)


def _check(observation: Observation) -> None:
    for reward in (observation.reward, observation.previous_reward):
        if reward is not None and not 0.0 <= reward <= 1.0:
            raise InvalidInput(
                f"The reward of decision {observation.decision_id} is {reward}.",
                hint="Rewards lie in [0, 1]; take them from the reward ladder.",
            )
    if np.shape(observation.context) != (len(CONTEXT_FEATURES),):
        raise StateUnusable(
            f"The context of decision {observation.decision_id} has shape "
            f"{np.shape(observation.context)}, not {(len(CONTEXT_FEATURES),)}.",
            hint="Store the context with the decision and give it back unchanged.",
        )
