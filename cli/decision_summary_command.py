"""`keepwell decisions summary`: decisions grouped by what came out and what stood in the way."""

from collections.abc import Iterator
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json
from engine.ids import TenantId
from services.reason_words import money
from services.summarise_decisions import summarise_decisions
from services.wiring import Runtime


def summary_command(
    tenant: Tenant,
    since: Annotated[
        str | None,
        typer.Option("--from", help="First moment, e.g. 2016-05-02. [default: the newest run]"),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="End. [default: now]")] = None,
    as_json: AsJson = False,
) -> None:
    """Say who was left with no action, which stage did it, and what levers and caps cost."""
    with errors_told():
        first, last = moment_of(since), moment_of(until)

    async def use(connection: AsyncConnection, runtime: Runtime, _: TenantId) -> Document:
        return await summarise_decisions(connection, runtime, since=first, until=last)

    document = run_for(tenant, use)
    if as_json:
        print_json(document)
        return
    for line in _lines(document):
        console.print(line, markup=False)


def _lines(document: Document) -> Iterator[str]:
    yield (
        f"{document['decisions']:,} decisions of {document['of']} ({document['since']}): "
        f"{document['with_action']:,} with an action, worth {money(document['worth_cents'])}; "
        f"{document['without_action']:,} with none"
    )
    yield "\nwhat came out"
    for each in document["outcomes"]:
        yield f"  {each['decisions']:>8,}  {each['action'] or 'nothing'}: {each['words']}"
    yield "\nwhat stages took away"
    yield "  candidates  left with nothing     forgone"
    for each in document["stages"]:
        yield (
            f"  {each['candidates']:>10,}  {each['left_with_nothing']:>17,}  "
            f"{money(each['forgone_cents']):>10}  {each['stage']}: {each['words']}"
        )
    yield "\nrules"
    yield "    proposed    chosen    outbid       worth"
    for each in document["rules"]:
        yield (
            f"  {each['proposed']:>10,}{each['chosen']:>10,}{each['outbid']:>10,}"
            f"{money(each['worth_cents']):>12}  {each['rule']}"
        )
    if document["levers"]:
        yield "\nlevers"
    for each in document["levers"]:
        yield (
            f"  {each['rule']} x {each['lever']:g}: chosen {each['chosen']:,} times, "
            f"{each['decided_by_lever']:,} of them because of the lever, "
            f"at a cost of {money(each['cost_cents'])}"
        )
