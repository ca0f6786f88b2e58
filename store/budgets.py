"""Budgets: what is given or promised, exact under any number of transactions at once."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class Gift:
    """What one decision's message gives.

    Attributes:
        period_start: first day of the period that pays.
        limit_cents: of the budget in that period.
    """

    decision_id: UUID
    budget: str
    period_start: date
    cents: int
    limit_cents: int


async def reserve(connection: AsyncConnection, tenant_id: TenantId, gift: Gift) -> bool:
    """Reserve what a message gives; False if the budget has not enough left.

    The same decision reserves once. The balance's row is locked until the transaction ends.
    """
    values = {
        "tenant_id": tenant_id,
        "decision_id": gift.decision_id,
        "budget": gift.budget,
        "period_start": gift.period_start,
        "cents": gift.cents,
        "limit_cents": gift.limit_cents,
    }
    new = await connection.execute(
        text(
            "INSERT INTO keepwell.budget_reservations (tenant_id, decision_id, budget, "
            "period_start, cents, limit_cents) VALUES (:tenant_id, :decision_id, :budget, "
            ":period_start, :cents, :limit_cents) ON CONFLICT (tenant_id, decision_id) DO UPDATE "
            "SET released_at = NULL, reserved_at = keepwell.clock(), "
            "limit_cents = excluded.limit_cents "
            "WHERE budget_reservations.released_at IS NOT NULL"
        ),
        values,
    )
    if new.rowcount == 0:
        return True  # reserved already
    taken = await connection.execute(
        text(
            "INSERT INTO keepwell.budget_balances AS b (tenant_id, budget, period_start, "
            "used_cents) SELECT :tenant_id, :budget, :period_start, :cents "
            "WHERE cast(:cents AS bigint) <= :limit_cents "
            "ON CONFLICT (tenant_id, budget, period_start) DO UPDATE "
            "SET used_cents = b.used_cents + excluded.used_cents "
            "WHERE b.used_cents + excluded.used_cents <= :limit_cents"
        ),
        values,
    )
    if taken.rowcount == 1:
        return True
    await connection.execute(
        text(
            "DELETE FROM keepwell.budget_reservations "
            "WHERE tenant_id = :tenant_id AND decision_id = :decision_id"
        ),
        values,
    )
    return False


async def release(connection: AsyncConnection, tenant_id: TenantId, decision_id: UUID) -> None:
    """Give back what a decision reserved, if it did; its message will not be sent."""
    await connection.execute(
        text(
            "WITH held AS (UPDATE keepwell.budget_reservations SET released_at = keepwell.clock() "
            "WHERE tenant_id = :tenant_id AND decision_id = :decision_id AND released_at IS NULL "
            "RETURNING budget, period_start, cents) "
            "UPDATE keepwell.budget_balances b SET used_cents = b.used_cents - held.cents "
            "FROM held WHERE b.tenant_id = :tenant_id AND b.budget = held.budget "
            "AND b.period_start = held.period_start"
        ),
        {"tenant_id": tenant_id, "decision_id": decision_id},
    )


async def list_used(
    connection: AsyncConnection, before: datetime | None = None
) -> dict[tuple[str, date], int]:
    """Return (budget, first day of the period) -> cents given or promised.

    With `before` only what was decided for moments before it.
    """
    if before is not None:
        reserved = await connection.execute(
            text(
                "SELECT r.budget, r.period_start, sum(r.cents)::bigint AS used_cents "
                "FROM keepwell.budget_reservations r JOIN keepwell.decisions d "
                "ON d.tenant_id = r.tenant_id AND d.id = r.decision_id "
                "WHERE r.released_at IS NULL AND d.as_of < :before GROUP BY 1, 2"
            ),
            {"before": before},
        )
        return {(row.budget, row.period_start): row.used_cents for row in reserved}
    rows = await connection.execute(
        text("SELECT budget, period_start, used_cents FROM keepwell.budget_balances")
    )
    return {(row.budget, row.period_start): row.used_cents for row in rows}
