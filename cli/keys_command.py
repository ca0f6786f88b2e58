"""`keepwell keys`: issue, list and revoke API keys."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Tenant, run_for
from cli.output import console, print_json, run
from engine.ids import TenantId
from services.manage_keys import (
    SCOPES,
    IssuedKey,
    create_key,
    list_keys,
    read_key_id,
    revoke_key,
)
from services.wiring import Runtime
from store.api_keys import KeyRow

ID_CHARACTERS = 38  # kw_live_, 22 for the tenant, 8 for the key

keys = typer.Typer(help="Issue, list and revoke API keys.", no_args_is_help=True)


@keys.command("create")
def create(
    tenant: Tenant,
    name: Annotated[str, typer.Option(help="Who or what will use it, e.g. n8n.")],
    scope: Annotated[
        list[str], typer.Option(help=f"May be given several times: {', '.join(SCOPES)}.")
    ],
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Absent: it does not expire.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Issue a key and show it, this once."""

    async def issue(
        connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
    ) -> IssuedKey:
        lasting = None if expires_in_days is None else timedelta(days=expires_in_days)
        return await create_key(
            connection,
            tenant_id,
            name=name,
            scopes=scope,
            expires_at=None if lasting is None else runtime.clock.now() + lasting,
        )

    issued = run_for(tenant, issue)
    if as_json:
        print_json(
            {
                "id": issued.id,
                "key": issued.key,
                "name": issued.name,
                "scopes": issued.scopes,
                "expires_at": issued.expires_at,
            }
        )
        return
    console.print(issued.key, markup=False)
    console.print(f"Keep it now: it can't be shown again. To revoke it, use its id {issued.id}.")


@keys.command("list")
def show(tenant: Tenant, as_json: AsJson = False) -> None:
    """List a tenant's keys, revoked ones too; secrets are not known."""

    async def find(
        connection: AsyncConnection, _runtime: Runtime, tenant_id: TenantId
    ) -> list[KeyRow]:
        return await list_keys(connection, tenant_id)

    found = run_for(tenant, find)
    if as_json:
        print_json(found)
        return
    table = Table(box=None)
    table.add_column("id", no_wrap=True, min_width=ID_CHARACTERS)  # revoke needs all of it
    for name in ("name", "scopes", "created", "expires", "revoked"):
        table.add_column(name, overflow="fold")
    for key in found:
        dates = (key.created_at, key.expires_at, key.revoked_at)
        shown = ("" if date is None else f"{date:%Y-%m-%d %H:%M}" for date in dates)
        table.add_row(key.id, key.name, " ".join(key.scopes), *shown)
    console.print(table)


@keys.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="From 'keepwell keys list'; kw_live_...")],
    as_json: AsJson = False,
) -> None:
    """Revoke a key; the next request with it is refused."""

    async def end(runtime: Runtime) -> None:
        tenant_id, stored_id = read_key_id(key_id)
        async with runtime.database.transaction(tenant_id) as connection:
            await revoke_key(connection, tenant_id, stored_id)

    run(end)
    if as_json:
        print_json({"id": key_id, "status": "revoked"})
        return
    console.print("Revoked.")
