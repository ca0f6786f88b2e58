"""`keepwell rules verify` and `due`: are rules evaluated alike, and who is looked at when."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, run_for
from cli.output import FINDINGS, complaints, console, print_json
from engine.ids import TenantId
from services.check_due import show_due
from services.verify_rules import SAMPLE, Verification, verify_rules
from services.wiring import Runtime


def verify_command(
    tenant: Tenant,
    sample: Annotated[int, typer.Option(min=1, help="How many contacts.")] = SAMPLE,
    as_json: AsJson = False,
) -> None:
    """Evaluate the rules for a sample of contacts in every way; halt those that differ.

    Workers do the same every night. Exit code 1 if a rule differs.
    """

    async def use(
        connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
    ) -> Verification:
        now = runtime.clock.now()
        return await verify_rules(connection, tenant_id, as_of=now, sample=sample)

    found = run_for(tenant, use)
    if as_json:
        print_json(asdict(found))
    else:
        for difference in found.differences:
            complaints.print(f"difference: {difference}", markup=False)
        if found.halted:
            complaints.print(f"halted: {', '.join(found.halted)}", markup=False)
        console.print(
            f"{found.rules} rules, {found.contacts:,} contacts, {found.subjects:,} subjects: "
            f"{len(found.differences)} rules differ"
        )
    if found.differences:
        raise typer.Exit(FINDINGS)


def due_command(
    tenant: Tenant,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List contacts that are looked at by themselves: after an event, or when time is up."""

    async def use(connection: AsyncConnection, _: Runtime, __: TenantId) -> Document:
        return await show_due(connection, limit=limit)

    shown = run_for(tenant, use)
    if as_json:
        print_json(shown)
        return
    table = Table("contact", "look at", "because of", "failures", "reason")
    for check in shown["checks"]:
        at = check["check_at"][:19].replace("T", " ")
        failures = str(check["failures"] or "")
        table.add_row(check["contact"], at, check["trigger"], failures, check["reason"] or "")
    console.print(table)
    console.print(
        f"{shown['contacts']:,} contacts, {shown['due']:,} due, {shown['failed']:,} failed"
    )
