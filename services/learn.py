"""Feed rewards to the bandits: a batch at a time, each reward once, every version kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from bandits.evidence import Cell, Evidence, FloatArray, added, tallied
from bandits.factor import Borrowed
from bandits.fit import Choosing, fitted
from bandits.learning import Observation, outcomes_of
from bandits.selection import VARIANT_PREFIX
from bandits.state import HIERARCHICAL, ActionCount, PolicyState, dump_state
from engine.ids import DecisionId, TenantId
from services.actions import LEFT_PREFIX
from services.goals import goals_in_force
from services.learning_settings import LearningSettings, learning_settings
from services.lend_counts import borrow, lend
from services.wiring import Runtime
from store.holdouts import count_left_alone
from store.learning import (
    RewardToLearn,
    add_policy_state,
    add_silent_rewards,
    drop_evidence,
    get_evidence,
    get_today,
    list_learned_rewards,
    list_rewards_to_learn,
    lock_learning,
    mark_learned,
    save_evidence,
    unlearn,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Evidence computed again from the log.

    Attributes:
        decisions: that the log holds.
        rows: of sums.
        differing: rows whose stored sums had other bits; they hold the rebuilt ones now.
    """

    decisions: int
    rows: int
    differing: int


async def learn_tenant(runtime: Runtime, tenant_id: TenantId) -> int:
    """Learn what is new for a tenant, in a transaction of its own; return how many rewards."""
    async with runtime.database.transaction(tenant_id) as connection:
        return await learn(connection, tenant_id)


async def learn(connection: AsyncConnection, tenant_id: TenantId) -> int:
    """Learn every reward that the evidence does not hold yet; return how many.

    Evidence, version and what was learnt of each decision change in one transaction, and one at a
    time per tenant: a reward counts once, whatever fails, however many workers there are.

    Raises:
        StateUnusable: a stored context does not fit this program; nothing changed.
    """
    await lock_learning(connection, tenant_id)
    await add_silent_rewards(connection, tenant_id)
    settings = await learning_settings(connection, tenant_id)
    evidence = evidence_from(await get_evidence(connection))
    if not evidence:
        await unlearn(connection, tenant_id)
    count = 0
    version = None
    while rewards := await list_rewards_to_learn(connection):
        more = tallied(outcomes_of([observation_of(each) for each in rewards]))
        evidence = added(evidence, more)
        await save_evidence(connection, tenant_id, {cell: evidence[cell].tolist() for cell in more})
        version = await _next_version(connection, tenant_id, evidence, settings)
        await mark_learned(connection, tenant_id, rewards, version)
        count += len(rewards)
    if version is not None:
        await lend(connection, tenant_id, settings, evidence)
    return count


async def rebuild(connection: AsyncConnection, tenant_id: TenantId) -> Rebuilt:
    """Compute the evidence again from the log, and put it in the place of what differs."""
    await lock_learning(connection, tenant_id)
    again: Evidence = {}
    decisions, after = 0, None
    while rewards := await list_learned_rewards(connection, after=after):
        again = added(again, tallied(outcomes_of([observation_of(each) for each in rewards])))
        decisions, after = decisions + len(rewards), rewards[-1].decision_id
    stored = evidence_from(await get_evidence(connection))
    differing = sum(
        cell not in stored
        or cell not in again
        or stored[cell].tobytes() != (again[cell] + 0.0).tobytes()
        for cell in stored.keys() | again.keys()
    )
    if differing:
        await drop_evidence(connection)
        await save_evidence(
            connection, tenant_id, {cell: row.tolist() for cell, row in again.items()}
        )
        await _next_version(
            connection, tenant_id, again, await learning_settings(connection, tenant_id)
        )
    return Rebuilt(decisions, len(again), differing)


async def relearn(connection: AsyncConnection, tenant_id: TenantId) -> int:
    """Make the next version of the state from the evidence as it stands; return its number."""
    evidence = evidence_from(await get_evidence(connection))
    settings = await learning_settings(connection, tenant_id)
    return await _next_version(connection, tenant_id, evidence, settings)


async def _next_version(
    connection: AsyncConnection,
    tenant_id: TenantId,
    evidence: Evidence,
    settings: LearningSettings,
) -> int:
    state = state_of(
        evidence, await get_today(connection), settings, await borrow(connection, settings)
    )
    # those left alone are no observations of ours
    observations = sum(count.contacted for count in state.actions.values())
    state = replace(state, actions={**state.actions, **await _left_alone(connection)})
    return await add_policy_state(
        connection,
        tenant_id,
        digest=state.digest,
        state=orjson.dumps(dump_state(state)).decode(),
        observations=observations,
    )


async def _left_alone(connection: AsyncConnection) -> dict[str, ActionCount]:
    """What the holdout did unasked, by action; counted anew, so a count is never added twice."""
    goals = await goals_in_force(connection)
    if not goals:
        return {}
    counts = await count_left_alone(connection, goals)
    return {
        LEFT_PREFIX + action: ActionCount(n, reached) for action, (n, reached) in counts.items()
    }


def state_of(
    evidence: Evidence,
    today: int,
    settings: LearningSettings,
    borrowed: Mapping[str, Borrowed],
) -> PolicyState:
    """The policy after this evidence, as the tenant has set it; baselines are MABWiser's fit."""
    choosing = Choosing(policy=settings.policy, noise=settings.noise)
    state = fitted(evidence, today, choosing, borrowed)
    if settings.policy == HIERARCHICAL:
        return state
    from bandits.library_fit import fitted_by_mabwiser  # noqa: PLC0415 - takes a second to load

    return fitted_by_mabwiser(state)


def evidence_from(rows: Mapping[tuple[str, str, int], Sequence[float]]) -> dict[Cell, FloatArray]:
    """Stored rows as evidence."""
    return {Cell(*key): np.array(sums, dtype=np.float64) for key, sums in rows.items()}


def observation_of(reward: RewardToLearn) -> Observation:
    """What a stored reward says of the arms that its decision chose."""
    return Observation(
        decision_id=DecisionId(reward.decision_id),
        action=reward.action,
        arms={
            "channel": reward.channel,
            "slot": reward.slot,
            VARIANT_PREFIX + reward.action: reward.variant,
        },
        context=np.array(reward.treatment["context"], dtype=np.float64),
        reward=reward.reward,
        day=(reward.as_of.astimezone(UTC) - _EPOCH).days,
        previous_reward=reward.learned,
        delay_days=reward.delay_days,
        previous_delay_days=reward.learned_delay_days,
    )
