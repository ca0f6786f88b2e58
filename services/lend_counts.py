"""Lend counts to the industry's other businesses, and borrow what they saw."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from bandits.borrowing import borrowed_from
from bandits.evidence import GRAM, MOMENT, Evidence
from bandits.factor import Borrowed
from bandits.fit import ACTION
from engine.ids import TenantId
from services.learning_settings import LearningSettings
from store.lending import ArmCount, list_borrowed, replace_lent


async def lend(
    connection: AsyncConnection, tenant_id: TenantId, settings: LearningSettings,
    evidence: Evidence,
) -> None:  # fmt: skip
    """Lend this tenant's counts by arm; nothing, and what was lent is taken back, if it is off."""
    totals: dict[tuple[str, str], tuple[float, float]] = {}
    if settings.pool and settings.industry:
        for cell, row in evidence.items():
            if cell.factor != ACTION:
                n, reward = totals.get((cell.factor, cell.arm), (0.0, 0.0))
                totals[cell.factor, cell.arm] = (
                    n + float(row[GRAM.start]),
                    reward + float(row[MOMENT.start]),
                )
    counts = [ArmCount(factor, arm, n, r) for (factor, arm), (n, r) in sorted(totals.items())]
    await replace_lent(connection, tenant_id, settings.industry or "", counts)


async def borrow(connection: AsyncConnection, settings: LearningSettings) -> Mapping[str, Borrowed]:
    """Return what the others saw, by factor; nothing where pooling is off."""
    if not (settings.pool and settings.industry):
        return {}
    counts = await list_borrowed(connection, settings.industry)
    return borrowed_from([(each.factor, each.arm, each.decisions, each.reward) for each in counts])
