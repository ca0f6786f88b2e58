"""`keepwell sentiment`."""

from cli.options import AsJson, Document, Tenant
from cli.output import console, print_json, run
from services.rate_texts import rate_texts
from services.wiring import Runtime
from store.tenants import get_tenant_id


def sentiment_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """Rate how customers' texts sound that nobody has rated yet; imports and nights do it too."""

    async def use(runtime: Runtime) -> Document:
        async with runtime.database.without_tenant() as connection:
            tenant_id = await get_tenant_id(connection, tenant)
        return await rate_texts(runtime.database, tenant_id, now=runtime.clock.now())

    found = run(use)
    if as_json:
        print_json(found)
        return
    console.print(f"{found['rated']:,} texts rated by {found['model']}")
    console.print(
        f"of {found['texts']:,} in all: {found['positive']:,} positive, "
        f"{found['negative']:,} negative, {found['abstained']:,} of which nothing can be said"
    )
