"""`keepwell decisions`: explain and replay what was decided."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, AsOf, Document, Tenant, Use, moment_of
from cli.output import FINDINGS, console, errors_told, print_json, progress, run
from engine.errors import ContactNotFound, DecisionNotFound
from engine.ids import TenantId
from services.explain_decision import explain_contact, explain_decision
from services.explanation_words import explanation_lines
from services.replay_decision import replay_decision
from services.replay_decisions import replay_decisions
from services.wiring import Runtime
from store.decisions import has_decision
from store.profiles import find_contact, get_contact_id
from store.tenants import get_tenant_id, list_tenant_ids

MaybeTenant = Annotated[str | None, typer.Option(help="Slug of the tenant. [default: found]")]
DecisionId = Annotated[UUID, typer.Argument(help="Id of the decision.")]


def explain_command(
    named: Annotated[
        str, typer.Argument(metavar="CONTACT|ID", help="A decision's id, or a contact's.")
    ],
    tenant: MaybeTenant = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Explain a stored decision, or what would be decided for a contact now or at --as-of.

    Every candidate with its conditions, the stages it passed and each term of its score; the
    runner-up; why nothing, if nothing; and the smallest change that would flip the choice.
    """
    with errors_told():
        moment = moment_of(as_of)
    found = uuid_of(named)

    async def stored(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        assert found is not None  # noqa: S101 - asked only for one
        return await explain_decision(connection, tenant_id, found)

    async def fresh(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await explain_contact(connection, runtime, tenant_id, named, as_of=moment)

    async def has_this(connection: AsyncConnection) -> bool:
        return found is not None and moment is None and await has_decision(connection, found)

    async def has_contact(connection: AsyncConnection) -> bool:
        return await known_contact_name(connection, named)

    document = run_where([(has_this, stored), (has_contact, fresh)], tenant, named)
    if as_json:
        print_json(document | {"words": explanation_lines(document)})
        return
    for line in explanation_lines(document):
        console.print(line, markup=False)


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


def replay_all_command(
    tenant: Tenant,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 10_000,
    since: Annotated[
        str | None, typer.Option("--from", help="Only decisions for moments from then on.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute stored decisions and count those that come out to the bit; exit 1 if one differs.

    'inputs_changed' comes out to the bit too: only the sources say something else today.
    """
    with errors_told():
        first = moment_of(since)

    async def inside(runtime: Runtime) -> Document:
        async with runtime.database.without_tenant() as connection:
            tenant_id = await get_tenant_id(connection, tenant)
        with progress("replaying") as tell:
            return await replay_decisions(runtime, tenant_id, limit=limit, since=first, tell=tell)

    result = run(inside)
    if as_json:
        print_json(result)
    else:
        console.print(f"{result['replayed']:,} decisions, {result['compared_fields']:,} fields")
        for verdict, count in result["verdicts"].items():
            console.print(f"  {count:>8,}  {verdict}")
        for each in result["differing"]:
            console.print(f"  {each['decision_id']}: {each['differences'][0]}", markup=False)
    if result["verdicts"].get("differs"):
        raise typer.Exit(FINDINGS)


def run_for_decision(decision: UUID, tenant: str | None, use: Use[Document]) -> Document:
    """Run in a transaction of the decision's tenant; without a name the tenant is looked for."""

    async def has_this(connection: AsyncConnection) -> bool:
        return await has_decision(connection, decision)

    return run_where([(has_this, use)], tenant, str(decision))


Has = Callable[[AsyncConnection], Awaitable[bool]]


def run_where(
    choices: Sequence[tuple[Has, Use[Document]]], tenant: str | None, named: str
) -> Document:
    """Run the first of the uses whose question is answered with yes, in the tenant's transaction.

    Without a tenant's name all tenants are asked. If all say no, the last use is left to tell what
    it misses, or nothing is found.
    """

    async def inside(runtime: Runtime) -> Document:
        async with runtime.database.without_tenant() as connection:
            tenants = (
                await list_tenant_ids(connection)
                if tenant is None
                else [await get_tenant_id(connection, tenant)]
            )
        for has, use in choices:
            for tenant_id in tenants:
                async with runtime.database.transaction(tenant_id) as connection:
                    if await has(connection):
                        return await use(connection, runtime, tenant_id)
        raise DecisionNotFound(
            f"There is nothing called '{named}'.",
            hint="Use the id of a decision or of a contact, or external:<id> of a contact.",
        )

    return run(inside)


def uuid_of(named: str) -> UUID | None:
    """Return the UUID that this is, or None."""
    try:
        return UUID(named)
    except ValueError:
        return None


async def known_contact_name(connection: AsyncConnection, named: str) -> bool:
    """Tell whether the tenant of this transaction has a contact of this name."""
    try:
        contact_id = await get_contact_id(connection, named)
    except ContactNotFound:
        return False
    return await find_contact(connection, contact_id)
