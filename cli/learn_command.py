"""`keepwell learn`: feed outcomes to the bandits now."""

from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Tenant, run_for
from cli.output import console, print_json
from engine.ids import TenantId
from services.learn import learn
from services.wiring import Runtime


def learn_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """Learn from outcomes that are not learnt yet; workers do the same within seconds."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> int:
        return await learn(connection, tenant_id)

    learnt = run_for(tenant, use)
    if as_json:
        print_json({"learnt": learnt})
    else:
        console.print(f"{learnt:,} rewards learnt")
