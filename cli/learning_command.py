"""`keepwell learning`: how a tenant's bandits choose, shown or changed."""

from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from bandits.state import POLICIES
from cli.options import AsJson, Document, Tenant, run_for
from cli.output import console, print_json
from engine.ids import TenantId
from services.set_learning import set_learning, show_learning
from services.wiring import Runtime

Policy = Annotated[
    str | None, typer.Option(help=f"{', '.join(POLICIES)}; all but the first are MABWiser's.")
]
Noise = Annotated[
    float | None, typer.Option(help="Share of the uncertainty drawn with in the end, 0.01 to 1.")
]
Pool = Annotated[bool | None, typer.Option(help="Lend counts to the industry and borrow from it.")]
By = Annotated[str, typer.Option(help="Who changes it; stands in the audit trail.")]
Reason = Annotated[str, typer.Option(help="In words, for the audit trail.")]


def learning_command(
    tenant: Tenant,
    policy: Policy = None,
    noise: Noise = None,
    pool: Pool = None,
    by: By = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show how the bandits choose, or change it from the next decision on; nothing is unlearnt."""
    told: dict[str, Any] = {"policy": policy, "noise": noise, "pool": pool}
    changes = {name: value for name, value in told.items() if value is not None}

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        if not changes:
            return await show_learning(connection, tenant_id)
        return await set_learning(connection, tenant_id, changes, by=by, reason=reason)

    result = run_for(tenant, use)
    if as_json:
        print_json(result)
        return
    for name, value in result.items():
        console.print(f"{name}: {value}")
