"""`keepwell health show | explain | at-risk | override | lift`."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.models_commands import By
from cli.options import AsJson, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json
from engine.ids import ContactId, TenantId
from services.override_health import lift_override, override_health
from services.show_at_risk import AtRiskAsked, show_at_risk
from services.show_health import explain_health, show_health
from services.wiring import Runtime
from store.health_overrides import NewOverride

Contact = Annotated[str, typer.Argument(help="Our id, or external:<id> of the imported file.")]
_NOBODY = ContactId(UUID(int=0))
_DEFAULT_DAYS = 30


def show_health_command(contact: Contact, tenant: Tenant, as_json: AsJson = False) -> None:
    """Show a contact's health: parts, inputs, reasons, recommended actions, history."""

    async def use(connection: AsyncConnection, _runtime: Runtime, tenant_id: TenantId) -> Document:
        return await show_health(connection, tenant_id, contact)

    _show(run_for(tenant, use), as_json)


def explain_health_command(contact: Contact, tenant: Tenant, as_json: AsJson = False) -> None:
    """Say what moves a contact's risk now, whatever its level; nothing is stored."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await explain_health(connection, runtime, tenant_id, contact)

    found = run_for(tenant, use)
    if as_json:
        print_json(found)
        return
    risk = found["hazard_90d"]
    console.print("never visited" if risk is None else f"P(left within 90 days) {risk:.1%}")
    _factors(found)


def at_risk_command(
    tenant: Tenant,
    level: Annotated[list[str] | None, typer.Option(help="Only this level; repeatable.")] = None,
    min_risk: Annotated[float, typer.Option(help="P(left within 90 days) from which on.")] = 0.0,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Of the page before.")] = None,
    as_json: AsJson = False,
) -> None:
    """List who may leave, most likely first, by the newest analysis."""
    asked = AtRiskAsked(tuple(level or ()), min_risk, limit=limit, cursor=cursor)

    async def use(connection: AsyncConnection, _runtime: Runtime, _id: TenantId) -> Document:
        return await show_at_risk(connection, asked)

    found = run_for(tenant, use)
    if as_json:
        print_json(found)
        return
    if found["as_of"] is None:
        console.print("Nobody has been scored: 'keepwell score' comes first.")
        return
    console.print(f"as of {found['as_of']}")
    for row in found["contacts"]:
        why = "; ".join(factor["text"] for factor in (row["risk_factors"] or [])[:1])
        console.print(
            f"  {row['contact_id']}  {row['hazard_90d']:.3f}  {row['churn_risk_level']:<8}  "
            f"health {row['overall_health_score']}  {why}",
            markup=False,
        )
    if found["next"]:
        console.print(f"next page: --cursor {found['next']}", markup=False)


def override_command(
    contact: Contact,
    tenant: Tenant,
    by: By,
    reason: Annotated[str, typer.Option(help="Why; shown beside the score.")],
    level: Annotated[str | None, typer.Option(help="low, medium, high or critical.")] = None,
    score: Annotated[int | None, typer.Option(help="Health score, 0 to 100.")] = None,
    until: Annotated[
        str | None, typer.Option(help="Moment at which it ends. [default: in 30 days]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set a contact's risk level or score; no analysis wipes it before it expires."""
    with errors_told():
        ends = moment_of(until)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        expires = ends or runtime.clock.now() + timedelta(days=_DEFAULT_DAYS)
        override = NewOverride(_NOBODY, reason, by, expires, score, level)
        return await override_health(connection, runtime, tenant_id, contact, override)

    _show(run_for(tenant, use), as_json)


def lift_override_command(
    contact: Contact, tenant: Tenant, by: By, as_json: AsJson = False
) -> None:
    """Lift what was set for a contact; the model's word counts again."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await lift_override(connection, runtime, tenant_id, contact, by=by)

    _show(run_for(tenant, use), as_json)


def _show(found: Document, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    latest = found["latest"]
    if found["refused_machines"]:
        console.print("The contact refused machines: it is not scored.")
        return
    if latest is None:
        console.print("Not scored yet: 'keepwell score' comes first.")
        return
    risk = latest["hazard_90d"]
    told = "-" if risk is None else f"{risk:.4f}"
    console.print(
        f"health {latest['overall_health_score']}  risk {latest['churn_risk_level']}  "
        f"P(left within 90 days) {told}  as of {latest['as_of'][:16]} by {latest['health_tier']}"
    )
    if latest["level_reason"]:
        console.print(f"  level: {latest['level_reason']}", markup=False)
    for part, known in (latest["components"] or {}).items():
        inputs = ", ".join(f"{n} {v:g}" for n, v in known["inputs"].items() if v is not None)
        shown = "-" if known["score"] is None else known["score"]
        console.print(f"  {part:<30} {shown:>4}  {inputs}", markup=False)
    _factors(latest)
    for action in latest["recommended_actions"] or []:
        held = f" (held back: {action['held_back']})" if action["held_back"] else ""
        console.print(f"  do: {action['action']} by rule {action['rule']}{held}", markup=False)
    if latest["predicted_churn_date"]:
        console.print(
            f"  expected to leave about {latest['predicted_churn_date']} "
            f"({latest['churn_date_from']} to {latest['churn_date_to']})"
        )
    console.print(f"  {len(found['history'])} analyses kept")


def _factors(told: Document) -> None:
    for name, sign in (("risk_factors", "+"), ("positive_indicators", "-")):
        for factor in told[name] or []:
            points = "" if factor["points"] is None else f" ({factor['points']:+.2f} log-odds)"
            console.print(f"  {sign} {factor['text']}{points}", markup=False)
