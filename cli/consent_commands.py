"""`keepwell consent`: what a contact agreed to, per channel and purpose, and its proof."""

from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json
from engine.ids import TenantId
from services.set_consent import ConsentTold, set_consent, show_consent
from services.wiring import Runtime

consent = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Consent per channel and purpose."
)

Contact = Annotated[str, typer.Argument(help="Our id, or external:<id>.")]


@consent.command("show")
def show_command(contact: Contact, tenant: Tenant, as_json: AsJson = False) -> None:
    """Show what holds, and the ledger."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await show_consent(connection, tenant_id, contact, runtime.clock.now())

    found = run_for(tenant, use)
    if as_json:
        print_json(found)
        return
    _held(found)
    for row in found["ledger"]:
        console.print(
            f"  {row['effective_at']}  {row['channel']} {row['purpose']} {row['status']}: "
            f"{row['basis']}, {row['source']}",
            markup=False,
        )


def _told(name: str, status: str, basis: str, text: str) -> None:
    @consent.command(name, help=text)
    def command(
        contact: Contact,
        tenant: Tenant,
        by: Annotated[str, typer.Option(help="Who reports it; stands in the audit trail.")],
        source: Annotated[str, typer.Option(help="The form, letter or call it was said by.")],
        channel: Annotated[list[str], typer.Option(help="email, sms or call_task; repeatable.")],
        purpose: Annotated[
            list[str], typer.Option(help="treatment, service or marketing; repeatable.")
        ],
        basis: Annotated[str, typer.Option(help="Why it may be relied on.")] = basis,
        at: Annotated[str | None, typer.Option(help="When it was said. [default: now]")] = None,
        as_json: AsJson = False,
    ) -> None:
        with errors_told():
            moment = moment_of(at)
        told = ConsentTold(tuple(channel), tuple(purpose), status, basis, source, by, at=moment)

        async def use(
            connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
        ) -> Document:
            now = runtime.clock.now()
            return await set_consent(connection, tenant_id, contact, told, now)

        found = run_for(tenant, use)
        if as_json:
            print_json(found)
            return
        _held(found)
        console.print(f"{found['added']} new, {found['suppressed']} queued messages taken back")


_told("grant", "granted", "express_written", "Note that the contact has agreed.")
_told("withdraw", "revoked", "revocation", "Note that the contact has withdrawn; holds at once.")


def _held(found: dict[str, Any]) -> None:
    for each in found["held"]:
        console.print(f"{each['channel']:10} {each['purpose']:10} {each['status']}")
    if not found["held"]:
        console.print("nothing was agreed to")
