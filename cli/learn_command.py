"""`keepwell learn`: feed outcomes to the bandits now, or learn everything again from the log."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, run_for
from cli.output import FINDINGS, console, print_json
from engine.ids import TenantId
from services.learn import learn, rebuild
from services.wiring import Runtime

Rebuild = Annotated[
    bool, typer.Option("--rebuild", help="Compute the evidence again from the log and compare.")
]


def learn_command(tenant: Tenant, again: Rebuild = False, as_json: AsJson = False) -> None:
    """Learn from outcomes that are not learnt yet; workers do the same within seconds.

    With --rebuild: exit code 1 if stored evidence differed from the log; it is mended then.
    """

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        if not again:
            return {"learnt": await learn(connection, tenant_id)}
        found = await rebuild(connection, tenant_id)
        return {"decisions": found.decisions, "rows": found.rows, "differing": found.differing}

    result = run_for(tenant, use)
    if as_json:
        print_json(result)
    elif again:
        console.print(
            f"{result['decisions']:,} decisions, {result['rows']:,} rows of evidence, "
            f"{result['differing']:,} differed"
        )
    else:
        console.print(f"{result['learnt']:,} rewards learnt")
    if result.get("differing"):
        raise typer.Exit(FINDINGS)
