"""What the bandits have still to learn, and the versions of their state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class RewardToLearn:
    """A decision whose reward the bandits don't know yet, or know as `learned`."""

    decision_id: UUID
    action: str
    channel: str
    slot: str
    variant: str
    treatment: Mapping[str, Any]
    reward: float
    learned: float | None


async def lock_learning(connection: AsyncConnection, tenant_id: TenantId) -> None:
    """Let one transaction at a time learn for this tenant; held until it ends."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('learn ' || :tenant, 0))"),
        {"tenant": str(tenant_id)},
    )


async def list_rewards_to_learn(
    connection: AsyncConnection, *, limit: int = 5000
) -> list[RewardToLearn]:
    """Return rewards that differ from what was learnt, oldest decision first."""
    rows = await connection.execute(
        text(
            "SELECT r.decision_id, d.action, d.channel, d.slot, d.variant, d.treatment::text, "
            "r.reward, r.learned FROM keepwell.rewards r "
            "JOIN keepwell.decisions d ON d.tenant_id = r.tenant_id AND d.id = r.decision_id "
            "WHERE r.learned IS DISTINCT FROM r.reward ORDER BY d.as_of, d.id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [
        RewardToLearn(r[0], r[1], r[2], r[3], r[4], orjson.loads(r[5]), r[6], r[7]) for r in rows
    ]


async def add_policy_state(
    connection: AsyncConnection, tenant_id: TenantId, *, digest: str, state: str, observations: int
) -> int:
    """Add the next version of the treatment policy's state; return its number."""
    version = await connection.scalar(
        text(
            "INSERT INTO keepwell.policy_states "
            "(tenant_id, policy, version, digest, state, observations) "
            "SELECT :tenant, 'treatment', coalesce(max(version), 0) + 1, :digest, :state, :n "
            "FROM keepwell.policy_states WHERE policy = 'treatment' RETURNING version"
        ),
        {"tenant": tenant_id, "digest": digest, "state": state, "n": observations},
    )
    return int(version or 0)


async def latest_policy_version(connection: AsyncConnection) -> int:
    """Return the newest version of the treatment policy's state; 0 for the prior."""
    found = await connection.scalar(
        text("SELECT max(version) FROM keepwell.policy_states WHERE policy = 'treatment'")
    )
    return int(found or 0)


async def mark_learned(
    connection: AsyncConnection, tenant_id: TenantId, learned: Mapping[UUID, float], version: int
) -> None:
    """Note what the state knows by now of each decision's reward."""
    await connection.execute(
        text(
            "UPDATE keepwell.rewards SET learned = :reward, learned_version = :version "
            "WHERE tenant_id = :tenant AND decision_id = :decision"
        ),
        [
            {"tenant": tenant_id, "decision": decision, "reward": reward, "version": version}
            for decision, reward in learned.items()
        ],
    )


async def add_silent_rewards(connection: AsyncConnection, tenant_id: TenantId, days: int) -> int:
    """Give reward 0 to decisions sent `days` ago or earlier that nobody answered; return how many.

    Silence is an outcome too, once it has lasted: without it an arm that nobody answers would look
    as if it had never been tried.
    """
    result = await connection.execute(
        text(
            "INSERT INTO keepwell.rewards (tenant_id, decision_id, reward) "
            "SELECT tenant_id, decision_id, 0 FROM keepwell.sends "
            "WHERE tenant_id = :tenant AND state = 'sent' "
            "AND sent_at < keepwell.clock() - make_interval(days => :days) "
            "ON CONFLICT DO NOTHING"
        ),
        {"tenant": tenant_id, "days": days},
    )
    return result.rowcount
