"""`keepwell models …`: the registry of churn models."""

from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, run_for
from cli.output import console, print_json
from engine.ids import TenantId
from services.model_registry import promote_model, roll_back_model, show_model, show_models
from services.wiring import Runtime

Digest = Annotated[str, typer.Argument(help="The model's digest, or its first characters.")]
By = Annotated[str, typer.Option(help="Who does it; stands in the audit trail.")]
Reason = Annotated[str, typer.Option(help="Why; stands in the audit trail.")]


def list_models_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """List the tenant's models, newest first, with how good each was in the time after training."""

    async def use(connection: AsyncConnection, _runtime: Runtime, _id: TenantId) -> list[Document]:
        return await show_models(connection)

    found = run_for(tenant, use)
    if as_json:
        print_json({"models": found})
        return
    for model in found:
        console.print(f"{model['digest'][:12]}  {model['status']:<10}  {_line(model)}")
    if not found:
        console.print("No model has been trained; the scorecard serves.")


def _line(model: dict[str, Any]) -> str:
    told = model["metrics"].get("all", {}).get("90", {})
    auc = told.get("auc")
    return (
        f"until {model['trained_until'][:10]}  90 days: AUC "
        f"{'-' if auc is None else format(auc, '.3f')}, log loss {told.get('log_loss', 0):.3f}, "
        f"ECE {told.get('ece', 0):.3f}, n {told.get('n', 0):,}"
    )


def show_model_command(digest: Digest, tenant: Tenant, as_json: AsJson = False) -> None:
    """Show a model: data window, features, metrics, calibration, comparisons."""

    async def use(connection: AsyncConnection, _runtime: Runtime, _id: TenantId) -> Document:
        return await show_model(connection, digest)

    found = run_for(tenant, use)
    if as_json:
        print_json(found)
        return
    facts = found["facts"]
    console.print(f"{found['digest']}  {found['status']}")
    if facts:
        console.print(
            f"data {facts['data_from'][:10]} to {facts['data_until'][:10]}, learnt up to "
            f"{facts['trained_until'][:10]}: {facts['contacts']:,} contacts, "
            f"{facts['training_rows']:,} person-periods, {facts['training_events']:,} departures"
        )
        fitted = facts["calibration"]
        console.print(
            f"calibration: slope {fitted['slope']:.3f}, intercept {fitted['intercept']:.3f}, from "
            f"{fitted['rows']:,} rows with {fitted['events']:,} departures"
        )
    for group, horizons in found["metrics"].items():
        for days, told in horizons.items():
            shown = "  ".join(
                f"{name} {value:.3f}" for name, value in told.items() if isinstance(value, float)
            )
            console.print(f"  {group:<8} {days:>3} days  {shown}")
    console.print(f"{len(found['features'])} features: {', '.join(found['features'])}")
    for trial in found["trials"]:
        against = "the scorecard" if trial["champion"] is None else trial["champion"][:12]
        verdict = "took over" if trial["promoted"] else "did not take over"
        console.print(f"against {against}, {trial['made_at'][:16]}: {verdict}")
        console.print(f"    {trial['result']['reason']}", markup=False)


def promote_model_command(
    digest: Digest,
    tenant: Tenant,
    by: By,
    reason: Reason = "",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also if it is not better; needs a reason.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a model in force that its comparison with the present one says is better."""

    async def use(connection: AsyncConnection, _runtime: Runtime, tenant_id: TenantId) -> Document:
        return await promote_model(
            connection, tenant_id, digest, by=by, reason=reason, anyway=anyway
        )

    _told(run_for(tenant, use), as_json)


def rollback_model_command(
    tenant: Tenant, by: By, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Put the champion before the present one in force again."""

    async def use(connection: AsyncConnection, _runtime: Runtime, tenant_id: TenantId) -> Document:
        return await roll_back_model(connection, tenant_id, by=by, reason=reason)

    _told(run_for(tenant, use), as_json)


def _told(found: Document, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    before = found["instead_of"]
    console.print(
        f"{found['digest'][:12]} is in force"
        + ("" if before is None else f" instead of {before[:12]}")
    )
