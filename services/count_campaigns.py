"""Write back what became of campaigns: the CRM's counters, memberships, and what it was worth."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from services.wiring import Runtime
from store.campaign_counts import (
    count_others,
    get_totals,
    lock_taken_in,
    save_counters,
    save_effect,
    save_members,
)
from store.campaigns import COUNTERS

# fewer other messages than this say nothing about how often people answer
_ENOUGH = 30
_MOST_POINTS = 999.99  # numeric(5,2)
_MOST_WORTH = 99_999_999.99  # numeric(10,2)


async def count_for_tenant(runtime: Runtime, tenant_id: TenantId) -> int:
    """Count in a transaction of its own."""
    async with runtime.database.transaction(tenant_id) as connection:
        return await count_campaigns(connection, tenant_id)


async def count_campaigns(connection: AsyncConnection, tenant_id: TenantId) -> int:
    """Bring every campaign's counters up to date; return how many changed.

    The counters get what is new since the last count, in the transaction that notes it: counting
    again adds nothing, and what the CRM has counted itself stays.
    """
    changed = 0
    for taken in await lock_taken_in(connection):
        action = taken.rule.replace(".", "-", 1)
        totals = await get_totals(connection, action)
        ours = {name: int(totals[name]) for name in (*COUNTERS, "answered", "converted")}
        if ours == taken.counted:
            continue
        more = {name: ours[name] - int(taken.counted.get(name, 0)) for name in COUNTERS}
        await save_counters(connection, taken.campaign_id, more, ours)
        await save_members(connection, tenant_id, taken.campaign_id, action)
        others = await count_others(connection, action)
        await save_effect(connection, taken.campaign_id, **_effect(totals, others))
        changed += 1
    return changed


def _effect(totals: Mapping[str, Any], others: tuple[int, int]) -> dict[str, Any]:
    """Goals reached beyond those expected of people left alone, and answers against the usual."""
    sent, answered = others
    engagement = None
    if sent >= _ENOUGH and totals["messages"]:
        points = 100 * (totals["answered"] / totals["messages"] - answered / sent)
        engagement = max(-_MOST_POINTS, min(_MOST_POINTS, points))
    worth = max(-_MOST_WORTH, min(_MOST_WORTH, totals["beyond_cents"] / 100))
    return {
        "prevented": max(0, round(totals["beyond"])),
        "worth": worth,
        "engagement": engagement,
    }
