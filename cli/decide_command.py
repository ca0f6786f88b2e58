"""`keepwell decide`: the next best action of every contact of a tenant, or of one."""

from collections import Counter
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, AsOf, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json, print_json_line
from engine.ids import TenantId
from services.decide import decide_contact, decide_tenant
from services.decision_document import decision_document
from services.promise_send import Promise
from services.wiring import Runtime


def decide_command(
    tenant: Tenant,
    contact: Annotated[
        str | None, typer.Option(help="One contact: its id, or external:<id>. [default: all]")
    ] = None,
    as_of: AsOf = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store and promise nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide what is worth doing now, doing nothing included.

    With --json one decision with its trace per line (NDJSON), in the order of contact ids. Contacts
    first seen after --as-of are left out.
    """
    with errors_told():
        moment = moment_of(as_of)
    if contact is not None:
        one = contact

        async def use_one(
            connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
        ) -> Document:
            return await decide_contact(
                connection, runtime, tenant_id, one, as_of=moment, trigger="cli", dry_run=dry_run
            )

        print_json(run_for(tenant, use_one))
        return

    async def use(
        connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
    ) -> list[Document]:
        _, recorded, promises = await decide_tenant(
            connection, runtime, tenant_id, as_of=moment, dry_run=dry_run
        )
        default = Promise("dry_run") if dry_run else Promise("nothing")
        return [
            decision_document(each.row, each.candidates, promises.get(each.row["id"], default))
            for each in recorded
        ]

    documents = run_for(tenant, use)
    if as_json:
        for document in documents:
            print_json_line(document)
        return
    _summary(documents)


def _summary(documents: list[dict[str, Any]]) -> None:
    console.print(f"{len(documents):,} decisions")
    chosen = Counter((d["action"] or "nothing", d["channel"] or "") for d in documents)
    for (action, channel), count in chosen.most_common():
        console.print(f"  {count:>8,}  {action} {channel}")
    console.print("why")
    for reason, count in Counter(d["reason"] for d in documents).most_common():
        console.print(f"  {count:>8,}  {reason}")
    console.print("messages")
    for status, count in Counter(d["send"]["status"] for d in documents).most_common():
        console.print(f"  {count:>8,}  {status}")
