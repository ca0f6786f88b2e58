"""Draw each contact's place in the experiment once, evenly within its stratum, for good."""

from typing import Any

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.chance import contact_keys
from engine.ids import TenantId
from engine.policy.groups import by_hash, evenly
from rules.strata import tenure_years
from services.night_job import begin_tonight
from services.playbook import playbook_at
from services.wiring import Runtime
from store.decisions import finish_run
from store.group_draws import add_draws, count_drawn, list_strata, list_undrawn
from store.leases import get_moment

_KIND = "groups"


async def draw_groups(connection: AsyncConnection, tenant_id: TenantId) -> int:
    """Give a number to each contact that has none; return how many.

    Who was decided for before keeps the number that its hash gave: no group changes members.
    """
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('group draws ' || :tenant, 0))"),
        {"tenant": str(tenant_id)},
    )
    undrawn = await list_undrawn(connection, tenure_years())
    drawn_before = await count_drawn(connection)
    drawn: list[pl.DataFrame] = []
    for (stratum,), members in undrawn.group_by("stratum", maintain_order=True):
        decided = members.filter(pl.col("decided") == "t")
        fresh = members.filter(pl.col("decided") != "t")
        before = drawn_before.get(str(stratum), 0) + decided.height
        hashed = by_hash(contact_keys(decided["contact_id"]), str(tenant_id)).clip(1e-16, None)
        even = evenly(contact_keys(fresh["contact_id"]), str(tenant_id), str(stratum), before)
        for rows, numbers in ((decided, hashed), (fresh, even)):
            drawn.append(rows.select("contact_id", "stratum").with_columns(number=numbers))
    if not drawn:
        return 0
    frame = pl.concat(drawn).select(
        pl.lit(str(tenant_id)).alias("tenant_id"), "contact_id", "number", "stratum"
    )
    return await add_draws(connection, frame)


async def show_groups(
    connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
) -> dict[str, Any]:
    """Return the shares in force and how many members each stratum has in each group."""
    playbook = await playbook_at(connection, tenant_id, runtime.clock.now())
    policy = playbook.policy
    random = 1.0 - policy.random_share
    bounds = (policy.holdout_share, random - policy.usual_share, random)
    return {
        "shares": {
            "holdout": policy.holdout_share,
            "usual": policy.usual_share,
            "random": policy.random_share,
        },
        "strata": await list_strata(connection, bounds),
    }


async def draw_tonight(runtime: Runtime, tenant_id: TenantId) -> None:
    """Draw those who came since the last night, before they are decided for."""
    async with runtime.database.transaction(tenant_id) as connection:
        now = await get_moment(connection)
        run_id = await begin_tonight(connection, tenant_id, _KIND, now)
        if run_id is None:
            return
        await finish_run(connection, run_id, {"contacts": await draw_groups(connection, tenant_id)})
