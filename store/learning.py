"""What the bandits have still to learn, the evidence they have, and the versions of their state."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class RewardToLearn:
    """A decision whose reward the bandits don't know yet, or know as `learned`.

    Attributes:
        delay_days: from the message to the outcome that made the reward what it is.
        learned, learned_delay_days: what the evidence holds of it; None before it holds any.
    """

    decision_id: UUID
    as_of: datetime
    action: str
    channel: str
    slot: str
    variant: str
    treatment: Mapping[str, Any]
    reward: float
    delay_days: int
    learned: float | None
    learned_delay_days: int


# (factor, arm, day) -> sums
EvidenceRows = Mapping[tuple[str, str, int], Sequence[float]]

_REWARDS = (
    "SELECT r.decision_id, d.as_of, d.action, d.channel, d.slot, d.variant, d.treatment::text, "
    "r.reward, r.delay_days, r.learned, r.learned_delay_days FROM keepwell.rewards r "
    "JOIN keepwell.decisions d ON d.tenant_id = r.tenant_id AND d.id = r.decision_id "
)


async def lock_learning(connection: AsyncConnection, tenant_id: TenantId) -> None:
    """Let one transaction at a time learn for this tenant; held until it ends."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('learn ' || :tenant, 0))"),
        {"tenant": str(tenant_id)},
    )


async def get_today(connection: AsyncConnection) -> int:
    """Return the product's present day in UTC, days since 1970-01-01."""
    found = await connection.scalar(
        text("SELECT (keepwell.clock() AT TIME ZONE 'UTC')::date - DATE '1970-01-01'")
    )
    return int(found or 0)


async def list_rewards_to_learn(
    connection: AsyncConnection, *, limit: int = 5000
) -> list[RewardToLearn]:
    """Return rewards that differ from what was learnt, oldest decision first."""
    rows = await connection.execute(
        text(
            _REWARDS + "WHERE r.learned IS DISTINCT FROM r.reward "
            "ORDER BY d.as_of, d.id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [_reward(row) for row in rows]


async def list_learned_rewards(
    connection: AsyncConnection, *, after: UUID | None = None, limit: int = 20_000
) -> list[RewardToLearn]:
    """Return a page of what the evidence should hold, by decision id, as if it were all new."""
    rows = await connection.execute(
        text(
            _REWARDS + "WHERE r.learned IS NOT NULL "
            "AND (cast(:after AS uuid) IS NULL OR r.decision_id > :after) "
            "ORDER BY r.decision_id LIMIT :limit"
        ),
        {"after": after, "limit": limit},
    )
    found = [_reward(row) for row in rows]
    return [
        RewardToLearn(r.decision_id, r.as_of, r.action, r.channel, r.slot, r.variant, r.treatment,
                      float(r.learned or 0.0), r.learned_delay_days, None, 0)
        for r in found
    ]  # fmt: skip


def _reward(row: Sequence[Any]) -> RewardToLearn:
    return RewardToLearn(
        row[0], row[1], row[2], row[3], row[4], row[5], orjson.loads(row[6]), *row[7:11]
    )  # fmt: skip


async def get_evidence(connection: AsyncConnection) -> dict[tuple[str, str, int], list[float]]:
    """Return the tenant's sums by factor, arm and day."""
    rows = await connection.execute(
        text("SELECT factor, arm, day, sums FROM keepwell.learned_evidence")
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


async def save_evidence(
    connection: AsyncConnection, tenant_id: TenantId, rows: EvidenceRows
) -> None:
    """Write these rows of sums, new or changed; the caller holds the lock."""
    if not rows:
        return
    await connection.execute(
        text(
            "INSERT INTO keepwell.learned_evidence (tenant_id, factor, arm, day, sums) "
            "VALUES (:tenant, :factor, :arm, :day, :sums) "
            "ON CONFLICT (tenant_id, factor, arm, day) DO UPDATE SET sums = excluded.sums"
        ),
        [
            {"tenant": tenant_id, "factor": factor, "arm": arm, "day": day, "sums": list(sums)}
            for (factor, arm, day), sums in rows.items()
        ],
    )


async def drop_evidence(connection: AsyncConnection) -> None:
    """Forget the tenant's sums, to put rebuilt ones in their place."""
    await connection.execute(text("DELETE FROM keepwell.learned_evidence"))


async def unlearn(connection: AsyncConnection, tenant_id: TenantId) -> None:
    """Have every reward learned anew: there is no evidence of what was learned before."""
    await connection.execute(
        text(
            "UPDATE keepwell.rewards SET learned = NULL, learned_version = NULL "
            "WHERE tenant_id = :tenant AND learned IS NOT NULL"
        ),
        {"tenant": tenant_id},
    )


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


async def drop_unused_policy_states(connection: AsyncConnection, older_than: datetime) -> int:
    """Delete versions made before this that no decision names; the newest stays."""
    result = await connection.execute(
        text(
            "DELETE FROM keepwell.policy_states p "
            "WHERE p.policy = 'treatment' AND p.effective_at < :moment "
            "AND p.version < (SELECT max(version) FROM keepwell.policy_states "
            "WHERE policy = 'treatment') AND NOT EXISTS (SELECT FROM keepwell.decisions d "
            "WHERE d.tenant_id = p.tenant_id AND d.policy_state_version = p.version)"
        ),
        {"moment": older_than},
    )
    return result.rowcount


async def find_policy_state_made(connection: AsyncConnection) -> datetime | None:
    """Return when the newest version was made, None before the first."""
    found: datetime | None = await connection.scalar(
        text("SELECT max(effective_at) FROM keepwell.policy_states WHERE policy = 'treatment'")
    )
    return found


async def latest_policy_version(connection: AsyncConnection) -> int:
    """Return the newest version of the treatment policy's state; 0 for the prior."""
    found = await connection.scalar(
        text("SELECT max(version) FROM keepwell.policy_states WHERE policy = 'treatment'")
    )
    return int(found or 0)


async def mark_learned(
    connection: AsyncConnection,
    tenant_id: TenantId,
    learned: Iterable[RewardToLearn],
    version: int,
) -> None:
    """Note what the evidence holds by now of each decision's reward."""
    await connection.execute(
        text(
            "UPDATE keepwell.rewards SET learned = :reward, learned_delay_days = :delay, "
            "learned_version = :version WHERE tenant_id = :tenant AND decision_id = :decision"
        ),
        [
            {"tenant": tenant_id, "decision": each.decision_id, "reward": each.reward,
             "delay": each.delay_days, "version": version}
            for each in learned
        ],
    )  # fmt: skip


async def add_silent_rewards(connection: AsyncConnection, tenant_id: TenantId) -> int:
    """Give reward 0 to decisions that were sent and have no answer yet; return how many.

    Silence is evidence from the first day, for as much as should have been answered by then:
    without it an arm that nobody answers would look as if it had never been tried.
    """
    result = await connection.execute(
        text(
            "INSERT INTO keepwell.rewards (tenant_id, decision_id, reward) "
            "SELECT s.tenant_id, s.decision_id, 0 FROM keepwell.sends s "
            "WHERE s.tenant_id = :tenant AND s.state = 'sent' AND NOT EXISTS (SELECT FROM "
            "keepwell.rewards r WHERE r.tenant_id = s.tenant_id AND r.decision_id = s.decision_id) "
            "ON CONFLICT DO NOTHING"
        ),
        {"tenant": tenant_id},
    )
    return result.rowcount
