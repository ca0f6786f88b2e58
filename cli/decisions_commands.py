"""`keepwell decisions`: explain and replay what was decided."""

from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Use, run_for
from cli.output import FINDINGS, console, print_json, run
from engine.errors import DecisionNotFound
from engine.ids import TenantId
from services.replay_decision import replay_decision
from services.show_decision import show_decision
from services.wiring import Runtime
from store.decisions import has_decision
from store.tenants import list_tenant_ids

MaybeTenant = Annotated[str | None, typer.Option(help="Slug of the tenant. [default: found]")]
DecisionId = Annotated[UUID, typer.Argument(help="Id of the decision.")]


def show_command(decision: DecisionId, tenant: MaybeTenant = None, as_json: AsJson = False) -> None:
    """Show a decision: every candidate, what removed it, each score term, what became of it."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        return await show_decision(connection, tenant_id, decision)

    document = run_for_decision(decision, tenant, use)
    if as_json:
        print_json(document)
        return
    for line in explained(document):
        console.print(line)


def replay_command(
    decision: DecisionId, tenant: MaybeTenant = None, as_json: AsJson = False
) -> None:
    """Recompute a stored decision and compare every field; exit code 1 if something differs."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await replay_decision(connection, runtime, tenant_id, decision)

    result = run_for_decision(decision, tenant, use)
    if as_json:
        print_json(result)
    else:
        console.print(f"{result['verdict']} ({result['compared_fields']} fields compared)")
        for each in result["differences"]:
            console.print(f"  {each['where']} {each['field']}: {each['stored']} -> {each['now']}")
    if result["verdict"] != "identical":
        raise typer.Exit(FINDINGS)


def explained(document: Document) -> list[str]:
    """Return a decision as lines for people."""
    health, send = document["health"], document["send"]
    hazards = " / ".join(_share(health[f"hazard_{days}d"]) for days in (30, 60, 90))
    lines = [
        f"decision {document['id']}",
        f"  contact    {document['contact_id']} as of {document['as_of']}",
        f"  health     {health['score']} (P(churn) in 30/60/90 days: {hazards}, {health['tier']})",
        f"  outcome    {document['action'] or 'do nothing'}: {document['reason']}",
    ]
    if document["action"]:
        lines += [
            f"  treatment  {document['channel']}, {document['slot']}, variant "
            f"{document['variant']}, chosen with probability "
            f"{document['selection_probability']:.3f}, to leave {document['send_at']}",
            f"  worth      {document['score_cents'] / 100:.2f} at the channel's cost of "
            f"{document['treatment']['cost_cents'] / 100:.2f}",
        ]
    lines.append("  candidates")
    for each in document["candidates"]:
        name = each["action"] or "do nothing"
        verdict = f"{each['removed_by']}: {each['reason']}" if each["removed_by"] else "chosen"
        lines.append(f"    {name:<24} {each['score_cents'] / 100:>9.2f}  {verdict}")
        if each["action"]:
            lines.append(
                f"      {each['effect']:+.3f} [{each['effect_low']:+.3f}, "
                f"{each['effect_high']:+.3f}] x {each['value_cents'] / 100:.2f} "
                f"- {each['cost_cents'] / 100:.2f} cost - {each['fatigue_cents'] / 100:.2f} "
                f"fatigue; {each['channels']}"
            )
    if send:
        state = send.get("state") or send.get("status")
        lines.append(f"  message    {state} {send.get('reason') or send.get('detail') or ''}")
    return lines


def _share(value: float | None) -> str:
    return "?" if value is None else f"{value:.0%}"


def run_for_decision(decision: UUID, tenant: str | None, use: Use[Document]) -> Document:
    """Run in a transaction of the decision's tenant; without a name the tenant is looked for."""
    if tenant is not None:
        return run_for(tenant, use)

    async def inside(runtime: Runtime) -> Document:
        async with runtime.database.without_tenant() as connection:
            tenants = await list_tenant_ids(connection)
        for tenant_id in tenants:
            async with runtime.database.transaction(tenant_id) as connection:
                if await has_decision(connection, decision):
                    return await use(connection, runtime, tenant_id)
        raise DecisionNotFound(f"No tenant has a decision '{decision}'.")

    return run(inside)
