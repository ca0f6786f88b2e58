"""Show a tenant's policy: the numbers in force, where they come from, what is used and pushed."""

from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from engine.policy.settings import PolicyData
from services.policy_numbers import ensure_policy, period_start, policy_from, shipped
from services.tenant_settings import parse_settings
from store.budgets import list_used
from store.playbooks import get_versions
from store.policies import find_newest_policy, get_lever_costs, list_policies

_LEVER_DAYS = 30


async def show_policy(
    connection: AsyncConnection, tenant_id: TenantId, now: datetime
) -> dict[str, Any]:
    """Return the version in force as a document.

    `numbers` are all of them, `changed` what the tenant has set, `sources` where the shipped ones
    come from, `budgets` what is left, `levers_cost` what levers gave up in the last 30 days.
    """
    versions = await get_versions(connection, now)
    await ensure_policy(connection, tenant_id, versions.industry)
    newest = await find_newest_policy(connection)
    assert newest is not None  # noqa: S101 - just ensured
    numbers = orjson.loads(newest["numbers"])
    settings = parse_settings(
        versions.settings_json, name=versions.tenant_name, industry=versions.industry
    )
    cost = await get_lever_costs(connection, now - timedelta(days=_LEVER_DAYS))
    return {
        **_head(newest),
        "numbers": {name: value for name, value in numbers.items() if name != "digest"},
        "sources": [
            {"file": each.file, "as_of": each.as_of, "source": each.source}
            for each in shipped().sources
        ],
        "budgets": await _budgets(connection, policy_from(numbers), now, settings.time_zone),
        "levers_cost": {"days": _LEVER_DAYS, "decisions": cost[0], "cents": cost[1]},
    }


async def show_policy_versions(
    connection: AsyncConnection, *, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return versions without their numbers, newest first; the first of all is in force."""
    return await list_policies(connection, before=before, limit=limit)


def _head(row: dict[str, Any]) -> dict[str, Any]:
    names = ("version", "digest", "changed", "set_by", "reason", "effective_at")
    return {name: row[name] for name in names}


async def _budgets(
    connection: AsyncConnection, policy: PolicyData, now: datetime, time_zone: str | None
) -> list[dict[str, Any]]:
    used = await list_used(connection) if policy.budgets else {}
    listed = []
    for budget in policy.budgets:
        start = period_start(budget, now, time_zone)
        spent = used.get((budget.name, start), 0)
        listed.append(
            {
                "name": budget.name,
                "period_start": start.isoformat(),
                "limit_cents": budget.limit_cents,
                "used_cents": spent,
                "left_cents": max(0, budget.limit_cents - spent),
            }
        )
    return listed
