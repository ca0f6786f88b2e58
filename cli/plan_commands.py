"""`keepwell plan`: the days ahead, and what people say of them."""

from collections.abc import Iterator
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json
from engine.errors import InvalidInput
from engine.ids import TenantId
from services.mark_plan import PlannedMessage, Word, mark_plan, show_marks, withdraw
from services.plan_days import PLANNED, PlanFilter, plan_days
from services.reason_words import money
from services.wiring import Runtime
from store.profiles import get_contact_id

plan = typer.Typer(help="The days ahead: who gets what, when, and why.")

Days = Annotated[int, typer.Option(min=1, max=31, help="How many days.")]
OfRule = Annotated[str | None, typer.Option("--rule", help="Only what this rule proposes.")]
OnChannel = Annotated[str | None, typer.Option("--channel", help="Only this channel.")]
OnDay = Annotated[str | None, typer.Option("--day", help="Only this local day, e.g. 2026-03-11.")]
OfContact = Annotated[
    str | None, typer.Option("--contact", help="Only this contact: its id, or external:<id>.")
]
By = Annotated[str, typer.Option(help="Who says so: goes into the audit trail.")]
Until = Annotated[
    str | None, typer.Option("--until", help="It counts until then. [default: two weeks]")
]
Why = Annotated[str, typer.Option("--reason", help="In words: feedback on the rule.")]


@plan.callback(invoke_without_command=True)
def plan_command(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Option(help="Slug of the tenant.")] = None,
    days: Days = 7,
    rule: OfRule = None,
    channel: OnChannel = None,
    contact: OfContact = None,
    day: OnDay = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows to print.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what the runs of the next days would choose, day by day; nothing is stored or sent."""
    if context.invoked_subcommand is not None:
        return
    if tenant is None:
        with errors_told():
            raise InvalidInput("No tenant is named.", hint="Add --tenant SLUG.")
    document = _planned(tenant, days, (rule, channel, contact, day))
    if as_json:
        print_json(document)
        return
    for line in _lines(document, limit):
        console.print(line, markup=False)


_Only = tuple[str | None, str | None, str | None, str | None]


def _marking(verdict: str, does: str) -> None:
    def command(
        tenant: Tenant,
        by: By,
        rule: OfRule = None,
        channel: OnChannel = None,
        contact: OfContact = None,
        day: OnDay = None,
        days: Days = 7,
        until: Until = None,
        reason: Why = "",
        as_json: AsJson = False,
    ) -> None:
        with errors_told():
            if not any((rule, channel, contact, day)):
                raise InvalidInput(
                    "Nothing says which rows are meant.",
                    hint="Add --rule, --channel, --contact or --day.",
                )
            word = Word(verdict, by, reason, moment_of(until))
        found = _planned(tenant, days, (rule, channel, contact, day))["rows"]
        rows = {
            PlannedMessage(row["contact_id"], row["rule"], row["subject"])
            for row in found
            if row["rule"] is not None
        }

        async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
            return await mark_plan(connection, tenant_id, sorted(rows, key=str), word)

        told = run_for(tenant, use)
        if as_json:
            print_json(told)
            return
        back = f", {told['taken_back']} taken back from the outbox" if told["taken_back"] else ""
        console.print(f"{len(told['marks'])} {verdict} until {told['until']}{back}")

    command.__doc__ = does
    plan.command({"approved": "approve", "held": "hold", "struck": "strike"}[verdict], help=does)(
        command
    )


_marking("approved", "Approve rows in advance: what needs approval is sent without asking again.")
_marking("held", "Hold rows back until --until; they are decided about anew then.")
_marking("struck", "Strike rows: they are not sent, and count as feedback on their rule.")


@plan.command("marks")
def marks_command(
    tenant: Tenant,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """List what people said of the plan, and the feedback on each rule."""

    async def use(connection: AsyncConnection, _: Runtime, __: TenantId) -> Document:
        return await show_marks(connection, limit=limit)

    document = run_for(tenant, use)
    if as_json:
        print_json(document)
        return
    for mark in document["marks"]:
        state = "withdrawn" if mark["withdrawn_at"] else f"until {mark['until']}"
        console.print(
            f"{mark['id']:>6}  {mark['verdict']:<8}  {mark['contact_id']}  {mark['rule']}  "
            f"{state}  by {mark['made_by']}: {mark['reason']}",
            markup=False,
        )
    for each in document["by_rule"]:
        console.print(
            f"{each['rule']}: {each['struck']} struck, {each['held']} held, "
            f"{each['approved']} approved",
            markup=False,
        )


@plan.command("withdraw")
def withdraw_command(
    tenant: Tenant,
    mark: Annotated[int, typer.Argument(help="Id, as 'plan marks' shows.")],
    by: By,
    as_json: AsJson = False,
) -> None:
    """Take a word back."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        return await withdraw(connection, tenant_id, mark, by=by)

    document = run_for(tenant, use)
    if as_json:
        print_json(document)
        return
    console.print(f"mark {mark} withdrawn")


def _planned(tenant: str, days: int, only: _Only) -> Document:
    rule, channel, contact, day = only

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        found = None if contact is None else str(await get_contact_id(connection, contact))
        return await plan_days(
            connection,
            runtime,
            tenant_id,
            days=days,
            only=PlanFilter(rule, channel, found, day),
        )

    return run_for(tenant, use)


def _lines(document: Document, limit: int) -> Iterator[str]:
    yield (
        f"from {document['as_of']}, {document['days']} days: {document['planned']:,} planned, "
        f"{document['queued']:,} queued, {document['waiting']:,} waiting for a person"
    )
    for day in document["by_day"]:
        actions = ", ".join(f"{count:,} {name}" for name, count in day["by_action"].items())
        yield (
            f"  {day['as_of'][:10]}  {day['planned']:>6,}  worth {money(day['worth_cents']):>10}"
            f"  {actions}"
        )
    shown = document["rows"][:limit]
    for row in shown:
        waits = ", needs approval" if row["needs_approval"] else ""
        status = "" if row["status"] == PLANNED else f" [{row['status'].replace('_', ' ')}]"
        about = "" if row["subject"] in {None, "contact"} else f" about {row['subject']}"
        yield (
            f"\n{row['send_at'][:16].replace('T', ' ')}  "
            f"{row['contact'] or row['contact_id']}: {row['action']}{about} by "
            f"{row['channel']}{waits}{status}"
        )
        second = f"; before {row['runner_up']}" if row["runner_up"] else ""
        yield f"    worth {money(row['score_cents'])}{second}. {row['why']}"
    left = len(document["rows"]) - len(shown)
    if left > 0:
        yield f"\n{left:,} more rows: raise --limit, or filter by --rule, --day, --contact"
    if document["not_wanted"]:
        yield f"{len(document['not_wanted'])} held or struck: 'keepwell plan marks' lists them"
