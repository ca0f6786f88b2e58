"""Counts that businesses of one industry lend each other; never a row about anybody."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class ArmCount:
    """How often an arm was chosen and the rewards it brought, in all lenders together."""

    factor: str
    arm: str
    decisions: float
    reward: float


async def list_borrowed(connection: AsyncConnection, industry: str) -> list[ArmCount]:
    """Return the sums of the industry's other tenants; empty where fewer than three lend."""
    rows = await connection.execute(
        text(
            "SELECT factor, arm, decisions, reward FROM keepwell.borrowed_counts(:industry) "
            "ORDER BY factor, arm"
        ),
        {"industry": industry},
    )
    return [ArmCount(*row) for row in rows]


async def replace_lent(
    connection: AsyncConnection, tenant_id: TenantId, industry: str, counts: Iterable[ArmCount]
) -> None:
    """Lend these counts from now on, and nothing else."""
    await connection.execute(
        text("DELETE FROM keepwell.lent_counts WHERE tenant_id = :tenant"), {"tenant": tenant_id}
    )
    rows = [
        {"tenant": tenant_id, "industry": industry, "factor": each.factor, "arm": each.arm,
         "decisions": each.decisions, "reward": each.reward}
        for each in counts
    ]  # fmt: skip
    if rows:
        await connection.execute(
            text(
                "INSERT INTO keepwell.lent_counts "
                "(tenant_id, industry, factor, arm, decisions, reward) "
                "VALUES (:tenant, :industry, :factor, :arm, :decisions, :reward)"
            ),
            rows,
        )
