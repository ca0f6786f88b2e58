"""`keepwell train` and `keepwell score`."""

from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, AsOf, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json, progress
from engine.ids import TenantId
from services.score_health import score_health
from services.train_churn import train_churn
from services.wiring import Runtime


def train_command(tenant: Tenant, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Train the tenant's churn model on its history; the last closed window tests it."""
    with errors_told():
        moment = moment_of(as_of)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await train_churn(connection, runtime, tenant_id, as_of=moment)

    result = run_for(tenant, use)
    if as_json:
        print_json(result)
        return
    console.print(
        f"{_whose(result)} {result['digest'][:12]} learnt from {result['contacts']:,} contacts "
        f"({result['training_rows']:,} person-periods, {result['training_events']:,} departures) "
        f"up to {result['trained_until']}"
    )
    if result["trial"]:
        console.print(f"{result['status']}: {result['trial']['reason']}", markup=False)
    console.print("tested on the window after that, which it has not seen:")
    for group, horizons in result["out_of_time"].items():
        for days, told in horizons.items():
            shown = "  ".join(
                f"{name} {value:.3f}" for name, value in told.items() if isinstance(value, float)
            )
            console.print(f"  {group:<8} {days:>3} days  {shown}")


def _whose(result: Document) -> str:
    if not result["lenders"]:
        return "model"
    return f"{result['tier']} model, begun on {result['lenders']} other businesses,"


def score_command(tenant: Tenant, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Score every contact's health; the rows land in customer_health_scores."""
    with errors_told():
        moment = moment_of(as_of)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        with progress("Scoring") as advance:
            return await score_health(
                connection, runtime, tenant_id, as_of=moment, on_progress=advance
            )

    result = run_for(tenant, use)
    if as_json:
        print_json(result)
        return
    console.print(f"{result['contacts']:,} contacts scored as of {result['as_of']}")
    if result["refused_machines"]:
        console.print(f"{result['refused_machines']:,} refused machines and are not scored")
    console.print(f"by {result['note']}")
    if set(result["levels"]) == {"unknown"}:
        console.print("nobody was seen in the years before; use --as-of for imported past data")
    for level, count in result["levels"].items():
        console.print(f"  {level:<9} {count:>8,}")
