"""`keepwell approvals`: what waits for a person, and the answer."""

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, run_for
from cli.output import FINDINGS, console, print_json
from engine.ids import TenantId
from services.approve import approve, refuse, show_approvals
from services.reason_words import money
from services.wiring import Runtime

approvals = typer.Typer(no_args_is_help=True, help="What waits for a person's approval.")

Ids = Annotated[list[UUID], typer.Argument(metavar="ID...", help="Ids, as 'approvals list' shows.")]
By = Annotated[str, typer.Option(help="Who answers: goes into the audit trail.")]


@approvals.command("list")
def list_command(
    tenant: Tenant,
    state: Annotated[
        str, typer.Option(help="waiting, approved, refused, expired or overtaken.")
    ] = "waiting",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List what waits, what expires first, first. Silence never approves."""

    async def use(connection: AsyncConnection, _: Runtime, __: TenantId) -> Document:
        return await show_approvals(connection, state=state, limit=limit)

    document = run_for(tenant, use)
    if as_json:
        print_json(document)
        return
    for line in _lines(document, state):
        console.print(line, markup=False)


@approvals.command("approve")
def approve_command(tenant: Tenant, ids: Ids, by: By, as_json: AsJson = False) -> None:
    """Approve messages; each is asked about at the gate once more. Exit 1 if one was overtaken."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> list[Document]:
        return [await approve(connection, tenant_id, each, by=by) for each in ids]

    answers = run_for(tenant, use)
    _answered(answers, as_json=as_json)
    if any(answer["state"] != "approved" for answer in answers):
        raise typer.Exit(FINDINGS)


@approvals.command("refuse")
def refuse_command(
    tenant: Tenant,
    ids: Ids,
    by: By,
    reason: Annotated[str, typer.Option(help="Why: feedback on the rule.")],
    as_json: AsJson = False,
) -> None:
    """Refuse messages: they are not sent, and not proposed again for two weeks."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> list[Document]:
        return [await refuse(connection, tenant_id, each, by=by, reason=reason) for each in ids]

    _answered(run_for(tenant, use), as_json=as_json)


def _answered(answers: list[Document], *, as_json: bool) -> None:
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        reason = f": {answer['reason']}" if answer["reason"] else ""
        console.print(f"{answer['id']}  {answer['state']}{reason}", markup=False)


def _lines(document: Document, state: str) -> Iterator[str]:
    counts = ", ".join(f"{count} {name}" for name, count in document["counts"].items())
    yield f"{counts or 'nothing was ever put before a person'}"
    for each in document["approvals"]:
        yield f"\n{each['id']}  {each['contact'] or each['contact_id']}"
        yield (
            f"  {each['action']} by {each['channel']}, worth {money(each['score_cents'])}, "
            f"proposed by {each['rule']}"
        )
        if state == "waiting":
            yield f"  asked {each['asked_at']}, expires {each['expires_at']}"
        else:
            why = f" ({each['reason']})" if each["reason"] else ""
            yield f"  {each['state']} by {each['settled_by']} at {each['settled_at']}{why}"
        content = each["content"]
        text = " ".join(str(content["text"] or "").split())
        yield f"  {content['subject'] + ': ' if content['subject'] else ''}{text[:200]}"
    if document["next"]:
        yield "\nmore: raise --limit"
