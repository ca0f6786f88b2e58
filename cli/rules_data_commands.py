"""`keepwell rules`: backtest, and what other commands show of rules on a tenant's data."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, On, Tenant, moment_of, run_for
from cli.output import FINDINGS, console, errors_told, print_json, progress
from cli.rules_contact_commands import TrialFile, trial_texts
from engine.errors import Finding, InvalidInput
from engine.ids import TenantId
from rules.document import RuleSet
from rules.loader import PACKS, read_rules
from rules.vocabulary import Vocabulary
from rules.writing import write_text
from services.backtest_rule import Period, backtest_rule
from services.check_with_data import check_with_data
from services.compare_rules import compare_rules, file_in_force
from services.field_fill import Fill, field_fill
from services.record_example import record_example
from services.rule_texts import file_texts
from services.wiring import Runtime

IN_FORCE = "live"


def backtest_command(
    rule: Annotated[str, typer.Argument(help="Id of the rule.")],
    tenant: Tenant,
    first: Annotated[str, typer.Option("--from", help="First day, e.g. 2015-06-01.")],
    last: Annotated[str, typer.Option("--to", help="Last day, included.")],
    file: TrialFile = None,
    on: On = None,
    by: Annotated[str, typer.Option(help="Who does it.")] = "keepwell rules backtest",
    as_json: AsJson = False,
) -> None:
    """Try a rule on past nights, each with only what was known then; going live asks for it."""
    with errors_told():
        period = Period(_day(first), _day(last))
        moment, texts = moment_of(on), trial_texts(file)

    with progress(f"Looking back on {period.first} to {period.last}") as advance:

        async def use(
            connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
        ) -> Document:
            return await backtest_rule(
                connection,
                runtime,
                tenant_id,
                rule,
                period,
                as_of=moment,
                file=texts,
                by=by,
                advance=advance,
            )

        document = run_for(tenant, use)
    if as_json:
        print_json(document)
        return
    for line in backtest_lines(document):
        console.print(line, markup=False)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"'{text}' is no day.", hint="Write it as 2016-06-07.") from error


def backtest_lines(found: dict[str, Any]) -> list[str]:
    """A backtest as lines for people."""
    week, back, alone = found["contacts_a_week"], found["kept_back"], found["by_themselves"]
    whole = found["share_looked_at"] >= 1
    sample = "" if whole else f", estimated from {found['share_looked_at']:.1%} of the contacts"
    lines = [
        f"{found['rule']} ({found['status']}, {found['source']}) on {found['nights']:,} nights, "
        f"{found['from']} to {found['to']}{sample}",
        f"  proposals    {found['proposals']:,} to {found['contacts']:,} of "
        f"{found['contacts_in_all']:,} contacts",
        f"  a week       {week['mean']:,.1f} contacts on average, {week['highest']:,} at most",
    ]
    busy = [each for each in week["weeks"] if each["contacts"]]
    for each in busy[-_MOST_WEEKS:]:
        bar = "█" * round(each["contacts"] / week["highest"] * _BAR)
        lines.append(f"    {each['week']}  {each['contacts']:>8,}  {bar}")
    channels = ", ".join(f"{name} {count:,}" for name, count in found["by_channel"].items())
    lines += [
        f"  channels     {channels}",
        f"  kept back    cooldown {back['cooldown']:,}, unreachable {back['unreachable']:,}, "
        f"no consent {back['no_consent']:,}",
    ]
    overlap = found["overlap"]
    together = ", ".join(f"{each['rule']} {each['share']:.1%}" for each in overlap["rules"])
    lines.append(f"  overlap      {overlap['any']:.1%} with other live rules: {together or 'none'}")
    lines += _alone_lines(alone)
    for each in found["samples"]:
        about = f" for {each['subject']}" if each["subject"] else ""
        reached = {True: "reached the goal", False: "did not", None: "not seen to the end"}
        lines.append(
            f"  for example  {each['on']}  {each['contact_id']}{about}  {each['channel']}, "
            f"{reached[each['reached_the_goal']]}"
        )
    return lines


_MOST_WEEKS, _BAR = 12, 40


def _alone_lines(alone: dict[str, Any]) -> list[str]:
    goal = f"{alone['goal']} within {alone['within_days']} days"
    if alone["share"] is None:
        return [f"  by itself    {goal}: nothing seen to the end"]
    return [
        f"  by itself    {alone['share']:.1%} of {alone['n']:,} came to {goal} "
        f"(95 % interval {alone['low']:.1%} to {alone['high']:.1%})",
        f"               {alone['note']}",
    ]


# -------------------------------------------------------------------------------------- diff


def compared(old: str, new: str, tenant: str, on: str | None, *, as_json: bool) -> None:
    """Show a difference of rules with what it means for a tenant's contacts.

    Exit code 1 if the growth asks for a second person.
    """
    with errors_told():
        moment = moment_of(on)
        given = {name: read_rules(_rules_path(name)) for name in {old, new} - {IN_FORCE}}
        if not given:
            raise InvalidInput("Both sides are what is in force.", hint="Name a file to compare.")
        stem = next(Path(name).stem for name in given)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        async def side(name: str) -> RuleSet:
            return given[name] if name in given else await file_in_force(connection, stem)

        before, after = await side(old), await side(new)
        return await compare_rules(connection, runtime, tenant_id, before, after, as_of=moment)

    document = run_for(tenant, use)
    if as_json:
        print_json(document)
    else:
        for line in difference_lines(document):
            console.print(line, markup=False)
    if document["second_person"]["needed"]:
        raise typer.Exit(FINDINGS)


def _rules_path(name: str) -> Path:
    path = Path(name)
    return path if path.exists() else PACKS / f"{name}.yaml"


def difference_lines(document: dict[str, Any]) -> list[str]:
    """A difference on data as lines for people."""
    week, bound = document["contacts_a_week"], document["second_person"]
    lines = [
        *document["lines"],
        "",
        f"contacts a week: {week['before']:,.0f} → {week['after']:,.0f}"
        + (f" ({week['note']})" if week["note"] else ""),
    ]
    for word in ("gained", "lost"):
        group = document[word]
        lines.append(f"  {word} {group['contacts']:,}")
        lines += [f"    {contact}" for contact in group["samples"]]
    for rule in document["rules"]:
        lines.append(
            f"  {rule['rule']}: {rule['before']:,} → {rule['after']:,} "
            f"(+{rule['gained']['contacts']:,} −{rule['lost']['contacts']:,})"
        )
    if bound["needed"]:
        lines.append(
            f"a second person has to approve: more than {bound['above_share']:.0%} and "
            f"{bound['above_contacts']:,.0f} contacts above"
        )
    return lines


# ------------------------------------------------------------------------------ check --data


def data_findings(files: list[Path], tenant: str, on: str | None) -> list[Finding]:
    """Warnings about rule files on a tenant's data; their errors become exit codes."""
    with errors_told():
        moment = moment_of(on)
        given = [file_texts(path, path.stem) for path in files]

    async def use(
        connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
    ) -> list[Finding]:
        return [
            finding
            for texts in given
            for finding in await check_with_data(
                connection, runtime, tenant_id, texts, as_of=moment
            )
        ]

    return run_for(tenant, use)


# ---------------------------------------------------------------------------- test --record


def recorded(
    file: Path, rule: str, contact: str, tenant: str, on: str | None, *, write: bool, as_json: bool
) -> None:
    """Print an in-file test made of a contact, or add it to the file."""
    with errors_told():
        moment, texts = moment_of(on), trial_texts(file)
        assert texts is not None  # noqa: S101 - a file was given

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await record_example(
            connection, runtime, tenant_id, texts, rule, contact, as_of=moment
        )

    document = run_for(tenant, use)
    if write:
        with errors_told():
            write_text(file, document["document"])
    if as_json:
        print_json(document | {"written": write})
        return
    for line in document["test"]:
        console.print(line, markup=False)
    if write:
        console.print(f"added to {file}", markup=False)


# --------------------------------------------------------------------------- fields --tenant


def filled(vocabulary: Vocabulary, tenant: str, on: str | None) -> Fill:
    """How much of a vocabulary a tenant's data have; errors become exit codes."""
    with errors_told():
        moment = moment_of(on)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Fill:
        at = moment or runtime.clock.now()
        return await field_fill(connection, tenant_id, vocabulary, at)

    return run_for(tenant, use)


def show_events(vocabulary: Vocabulary, fill: Fill) -> None:
    """Print the events of a vocabulary with how often they occur."""
    table = Table()
    table.add_column("event", no_wrap=True)
    for head in ("label", "events", "contacts", "newest"):
        table.add_column(head)
    for name, event in vocabulary.events.items():
        found = fill.events[name]
        newest = "" if found.newest_at is None else f"{found.newest_at:%Y-%m-%d}"
        table.add_row(name, event.label, f"{found.events:,}", f"{found.contacts:,}", newest)
    console.print(table)
