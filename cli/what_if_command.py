"""`keepwell what-if`: a past week under proposed rules, levers or policy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json
from cli.policy_commands import sections_of
from cli.rules_contact_commands import trial_texts
from engine.errors import InvalidInput
from engine.ids import TenantId
from engine.policy.settings import Lever
from services.reason_words import money
from services.what_if import Proposed, what_if
from services.wiring import Runtime


def what_if_command(
    tenant: Tenant,
    since: Annotated[str, typer.Option("--from", help="First moment, e.g. 2016-05-02T06:00:00Z.")],
    until: Annotated[str, typer.Option("--to", help="End, e.g. 2016-05-09T06:00:00Z.")],
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="A rules file in place of the one of its name in force."),
    ] = None,
    lever: Annotated[
        list[str] | None,
        typer.Option("--lever", help="RULE=PERCENT, e.g. clinic.recall=+20; may be repeated."),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A folder of policy files, as rules/policy.")
    ] = None,
    section: Annotated[
        list[str] | None,
        typer.Option("--set", help="SECTION=VALUE of the policy, as `policy set` takes it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide a past week again, as in force and as proposed: who would have got what.

    Nothing is stored or sent. Each day is decided with what was known then.
    """
    with errors_told():
        first, last = moment_of(since), moment_of(until)
        texts = trial_texts(rules)
        levers = [_lever(each) for each in lever or ()]
        sections = sections_of(section or ())
    proposed = Proposed(texts, levers, policy, sections)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        assert first is not None  # noqa: S101 - the options are required
        assert last is not None  # noqa: S101
        return await what_if(connection, runtime, tenant_id, proposed, since=first, until=last)

    document = run_for(tenant, use)
    if as_json:
        print_json(document)
        return
    for line in _lines(document):
        console.print(line, markup=False)


def _lever(told: str) -> Lever:
    name, _, percent = told.rpartition("=")
    try:
        return (
            Lever(name, float(percent.removesuffix("%")), "", "what if")
            if name
            else _no_lever(told)
        )
    except ValueError:
        return _no_lever(told)


def _no_lever(told: str) -> Lever:
    raise InvalidInput(f"'{told}' is no lever.", hint="Write RULE=PERCENT, e.g. clinic.recall=+20.")


def _lines(document: Document) -> Iterator[str]:
    rules, old, new = document["rules"], document["in_force"], document["proposed"]
    yield f"{document['days']} days from {document['from']}"
    yield f"in force: {rules['in_force']}; proposed: {rules['proposed']}"
    yield "                        in force      proposed    difference"
    for name in ("sends", "sends_a_day", "contacts"):
        told = _signed(new[name] - old[name])
        yield f"  {name.replace('_', ' '):<16}{old[name]:>14,}{new[name]:>14,}{told:>14}"
    for name in ("worth_cents", "cost_cents"):
        more = new[name] - old[name]
        told = ("+" if more > 0 else "") + money(more)
        said = name.removesuffix("_cents")
        yield f"  {said:<16}{money(old[name]):>14}{money(new[name]):>14}{told:>14}"
    yield "by day"
    for day in document["by_day"]:
        before, after = day["in_force"], day["proposed"]
        yield f"  {day['as_of'][:10]}      {before['sends']:>14,}{after['sends']:>14,}"
    yield "by rule"
    for row in document["by_rule"]:
        yield f"  {row['in_force']:>8,} -> {row['proposed']:>8,}  {row['rule']}"
    for budget in document["budgets"]:
        old_cents, new_cents = budget["in_force_cents"], budget["proposed_cents"]
        yield f"budget {budget['budget']}: {money(old_cents)} -> {money(new_cents)} given"
    for name, said in (
        ("gained", "get something only as proposed"),
        ("lost", "get nothing any more"),
        ("changed", "get something else"),
    ):
        group = document[name]
        yield f"{group['contacts']:,} contacts {said}"
        for each in group["named"][:3]:
            was, then = ", ".join(each["in_force"]), ", ".join(each["proposed"])
            yield f"  {each['contact_id']}: {was or 'nothing'} -> {then or 'nothing'}"


def _signed(number: float) -> str:
    return f"{number:+,}" if number else "0"
