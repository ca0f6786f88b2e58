"""Feed rewards to the bandits: a batch at a time, each reward once, every version kept."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from bandits.learning import Observation, observe
from bandits.selection import VARIANT_PREFIX
from bandits.state import ActionCount, PolicyState, dump_state, load_state
from engine.ids import DecisionId, TenantId
from services.actions import LEFT_PREFIX, prior_state
from services.goals import goals_in_force
from services.playbook import shipped_policy
from services.wiring import Runtime
from store.holdouts import count_left_alone
from store.learning import (
    RewardToLearn,
    add_policy_state,
    add_silent_rewards,
    latest_policy_version,
    list_rewards_to_learn,
    lock_learning,
    mark_learned,
)
from store.playbooks import find_policy_state

# the longest attribution window of the shipped rules: by then silence is the answer
SILENCE_DAYS = 30


async def learn_tenant(runtime: Runtime, tenant_id: TenantId) -> int:
    """Learn what is new for a tenant, in a transaction of its own; return how many rewards."""
    async with runtime.database.transaction(tenant_id) as connection:
        return await learn(connection, tenant_id)


async def learn(connection: AsyncConnection, tenant_id: TenantId) -> int:
    """Learn every reward that the state does not know yet; return how many.

    State, version and what was learnt of each decision change in one transaction, and one at a
    time per tenant: a reward counts once, whatever fails, however many workers there are.

    Raises:
        StateUnusable: the stored state can't be read; nothing changed.
    """
    await lock_learning(connection, tenant_id)
    await add_silent_rewards(connection, tenant_id, SILENCE_DAYS)
    rewards = await list_rewards_to_learn(connection)
    if not rewards:
        return 0
    version = await latest_policy_version(connection)
    stored = await find_policy_state(connection, version) if version else None
    before = (
        prior_state(shipped_policy().exploration_floor)
        if stored is None
        else load_state(orjson.loads(stored))
    )
    after = observe(before, _observations(rewards))
    after = replace(after, actions={**after.actions, **await _left_alone(connection)})
    new_version = await add_policy_state(
        connection,
        tenant_id,
        digest=after.digest,
        state=orjson.dumps(dump_state(after)).decode(),
        observations=_count(after),
    )
    await mark_learned(
        connection, tenant_id, {r.decision_id: r.reward for r in rewards}, new_version
    )
    return len(rewards)


async def _left_alone(connection: AsyncConnection) -> dict[str, ActionCount]:
    """What the holdout did unasked, by action; counted anew, so a count is never added twice."""
    goals = await goals_in_force(connection)
    if not goals:
        return {}
    counts = await count_left_alone(connection, goals)
    return {
        LEFT_PREFIX + action: ActionCount(n, reached) for action, (n, reached) in counts.items()
    }


def _observations(rewards: Sequence[RewardToLearn]) -> list[Observation]:
    return [
        Observation(
            decision_id=DecisionId(each.decision_id),
            action=each.action,
            arms={
                "channel": each.channel,
                "slot": each.slot,
                VARIANT_PREFIX + each.action: each.variant,
            },
            context=np.array(each.treatment["context"], dtype=np.float64),
            reward=each.reward,
            previous_reward=each.learned,
        )
        for each in rewards
    ]


def _count(state: PolicyState) -> int:
    # those left alone are no observations of ours
    return sum(
        count.contacted
        for action, count in state.actions.items()
        if not action.startswith(LEFT_PREFIX)
    )
