"""`keepwell decide`: the next best action of every contact of a tenant, or of one."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, AsOf, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json, print_json_line, run
from engine.ids import TenantId
from services.decide import DecidedPart, decide_contact
from services.decide_everybody import RunSummary, decide_everybody
from services.decision_document import decision_document
from services.promise_send import Promise
from services.wiring import Runtime
from store.tenants import get_tenant_id


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

    With --json one decision with its trace per line (NDJSON), as they are committed. Contacts first
    seen after --as-of are left out.
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

    default = Promise("dry_run") if dry_run else Promise("nothing")
    seen = _Seen()

    def tell(part: DecidedPart) -> None:
        for each in part.recorded:
            promise = part.promises.get(each.row["id"], default)
            if as_json:
                print_json_line(decision_document(each.row, each.candidates, promise))
            else:
                seen.add(each.row, promise)

    async def use(runtime: Runtime) -> RunSummary:
        async with runtime.database.without_tenant() as connection:
            tenant_id = await get_tenant_id(connection, tenant)
        return await decide_everybody(runtime, tenant_id, tell, as_of=moment, dry_run=dry_run)

    done = run(use)
    if not as_json:
        seen.show(done.decisions)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is told of a run when it is over."""

    actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)

    def add(self, row: Document, promise: Promise) -> None:
        self.actions[row["action"] or "nothing", row["channel"] or ""] += 1
        self.reasons[row["reason"]] += 1
        self.messages[promise.status] += 1

    def show(self, decisions: int) -> None:
        console.print(f"{decisions:,} decisions")
        for (action, channel), count in self.actions.most_common():
            console.print(f"  {count:>8,}  {action} {channel}")
        console.print("why")
        for reason, count in self.reasons.most_common():
            console.print(f"  {count:>8,}  {reason}")
        console.print("messages")
        for status, count in self.messages.most_common():
            console.print(f"  {count:>8,}  {status}")
