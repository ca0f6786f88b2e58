"""`keepwell campaigns`: set up campaigns of the CRM, start and end them, see how they do."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, run_for
from cli.output import console, errors_told, print_json
from engine.ids import TenantId
from rules.source import read_text
from services.campaign_file import campaign_in
from services.count_campaigns import count_campaigns
from services.set_campaign import add_new_campaign, set_campaign
from services.show_campaigns import campaign_named, show_campaign, show_campaigns
from services.take_in_campaigns import take_in_campaigns
from services.wiring import Runtime

campaigns = typer.Typer(no_args_is_help=True, add_completion=False, help="Campaigns of the CRM.")

By = Annotated[str, typer.Option(help="Who does it; stands in the audit trail.")]
Id = Annotated[str, typer.Argument(help="The campaign's name, or its id in the CRM.")]


@campaigns.command("add")
def add_command(
    file: Annotated[Path, typer.Argument(help="A YAML file; docs/campaigns.md has one.")],
    tenant: Tenant,
    by: By,
    as_json: AsJson = False,
) -> None:
    """Add a campaign as a draft."""
    with errors_told():
        new = campaign_in(read_text(file), file.name)

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        return await add_new_campaign(connection, tenant_id, new, by=by)

    made = run_for(tenant, use)
    if as_json:
        print_json(made)
        return
    console.print(f"{made['id']}  {made['name']}: {made['status']}")


def _wish(name: str, text: str) -> None:
    @campaigns.command(name, help=text)
    def command(campaign: Id, tenant: Tenant, by: By, as_json: AsJson = False) -> None:
        async def use(
            connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
        ) -> Document:
            now, campaign_id = runtime.clock.now(), await campaign_named(connection, campaign)
            return await set_campaign(connection, tenant_id, campaign_id, name, now=now, by=by)

        found = run_for(tenant, use)
        if as_json:
            print_json(found)
        else:
            _print(found)
        if found["state"] == "refused":
            raise typer.Exit(1)


_wish("start", "Let a campaign run from now on, or from its start; it says why it can't.")
_wish("pause", "Let a campaign rest; what it has queued does not leave.")
_wish("end", "End a campaign for good.")


@campaigns.command("list")
def list_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """List campaigns with their state and counters, the newest first."""

    async def use(connection: AsyncConnection, _: Runtime, __: TenantId) -> list[Document]:
        return await show_campaigns(connection)

    listed = run_for(tenant, use)
    if as_json:
        print_json(listed)
        return
    table = Table("id", "name", "status", "state", "recipients", "sent", "opened", "clicked")
    for each in listed:
        counts = each["counters"]
        sent = counts["emails_sent"] + counts["sms_sent"]
        figures = (counts["total_recipients"], sent, counts["emails_opened"],
                   counts["emails_clicked"])  # fmt: skip
        table.add_row(
            each["id"], each["name"], each["status"], each["state"], *(str(n) for n in figures)
        )
    console.print(table)


@campaigns.command("show")
def show_command(campaign: Id, tenant: Tenant, as_json: AsJson = False) -> None:
    """Show a campaign: whether it runs, why not, what came of it."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        await count_campaigns(connection, tenant_id)
        return await show_campaign(connection, await campaign_named(connection, campaign))

    found = run_for(tenant, use)
    if as_json:
        print_json(found)
    else:
        _print(found)


@campaigns.command("take-in")
def take_in_command(tenant: Tenant, by: By, as_json: AsJson = False) -> None:
    """Take in what was changed in the CRM now instead of tonight."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        now = runtime.clock.now()
        done = await take_in_campaigns(connection, tenant_id, now=now, by=by)
        await count_campaigns(connection, tenant_id)
        return done

    done = run_for(tenant, use)
    if as_json:
        print_json(done)
    else:
        for each in done["campaigns"]:
            console.print(f"{each['id']}  {each['name']}: {each['state']}")
            _faults(each["faults"])
    if any(each["state"] == "refused" for each in done["campaigns"]):
        raise typer.Exit(1)


def _print(found: dict[str, Any]) -> None:
    console.print(f"{found['name']}: {found['status']} in the CRM, {found['state']}")
    _faults(found["faults"])
    for name, value in {**found["counters"], **found.get("results", {})}.items():
        if value:
            console.print(f"  {name:18} {value}")


def _faults(faults: list[str]) -> None:
    for fault in faults:
        console.print(f"  {fault}", markup=False)
