"""`keepwell audit`: did any decision or message ever break the policy?"""

from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Tenant, run_for
from cli.output import FINDINGS, console, print_json
from engine.ids import TenantId
from services.audit_policy import Audited, audit_policy, tell_people
from services.wiring import Runtime

_SHOWN = 50


def audit_command(
    tenant: Tenant,
    days: Annotated[
        int | None, typer.Option(min=1, help="Only the last days. [default: all]")
    ] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Tell owners and admins of new violations, in the CRM.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Judge every stored decision and message by raw rows; exit code 1 with any violation."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Audited:
        since = None if days is None else runtime.clock.now() - timedelta(days=days)
        audited = await audit_policy(connection, tenant_id, since=since)
        if notify:
            await tell_people(connection, tenant_id, audited)
        return audited

    audited = run_for(tenant, use)
    if as_json:
        print_json(audited.as_document())
    else:
        _tell(audited)
    if audited.findings:
        raise typer.Exit(FINDINGS)


def _tell(audited: Audited) -> None:
    console.print(f"{audited.decisions:,} decisions and {audited.messages:,} messages judged")
    for kind, count in audited.as_document()["violations"].items():
        console.print(f"{kind:14} {count:,}")
    for finding in audited.findings[:_SHOWN]:
        console.print(f"{finding.kind}: {finding.id}: {finding.detail}", markup=False)
    if len(audited.findings) > _SHOWN:
        console.print(f"and {len(audited.findings) - _SHOWN:,} more; --json lists all")
