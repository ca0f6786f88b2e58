"""`keepwell rules`: publish, list, promote, halt, roll back."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, run_for
from cli.output import complaints, console, errors_told, print_json
from engine.errors import InvalidInput
from engine.ids import TenantId
from rules.includes import PACKS
from rules.text import render_all
from services.halt_rules import halt_rules
from services.promote_rule import promote_rule
from services.publish_rules import Publication, Published, publish_rules
from services.release_rules import Signature
from services.roll_back_rules import roll_back_rules
from services.rule_texts import RuleTexts, file_texts, pack_texts
from services.rule_volume import volume_estimate
from services.show_rules import (
    publication_document,
    release_document,
    show_releases,
    show_rules,
)
from services.wiring import Runtime
from store.releases import Release

By = Annotated[str, typer.Option(help="Who does it; stands in the audit trail.")]
ApprovedBy = Annotated[str | None, typer.Option(help="The second person who has looked at it.")]
_WIDE = 170
Why = Annotated[str, typer.Option("--reason", help="In words, for the list of releases.")]


def publish_command(
    tenant: Tenant,
    files: Annotated[
        list[str] | None, typer.Argument(help="Rule files or names of shipped packs.")
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(help="Name of a file that leaves.")] = None,
    name: Annotated[
        str | None, typer.Option("--as", help="Name of the one file. [default: its own]")
    ] = None,
    by: By = "keepwell rules publish",
    approved_by: ApprovedBy = None,
    reason: Why = "",
    dry_run: Annotated[bool, typer.Option(help="Check everything, change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put rule files in force, all or none; a file replaces the one of its name."""
    with errors_told():
        if not files and not remove:
            raise InvalidInput("There is nothing to publish.", hint="Name a file, or --remove one.")
        texts = tuple(_texts(file) for file in files or ())
        if name is not None:
            texts = (_named(texts, name),)
        signature = Signature(by, approved_by, reason)
        publication = Publication(texts, tuple(remove or ()), dry_run)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Published:
        estimate = volume_estimate(connection, runtime, tenant_id)
        return await publish_rules(connection, tenant_id, publication, signature, estimate=estimate)

    published = run_for(tenant, use)
    if as_json:
        print_json(publication_document(published))
        return
    if published.warnings:
        complaints.print(render_all(published.warnings), markup=False)
    _tell_rules(published)
    if dry_run:
        console.print("nothing was changed")
    elif published.release is not None:
        state = "is in force" if published.changed else "is in force already"
        console.print(f"release {published.release.number} {state}")


def promote_command(
    rule: Annotated[str, typer.Argument(help="Id of the rule.")],
    status: Annotated[str, typer.Argument(help="draft, shadow, live or retired.")],
    tenant: Tenant,
    by: By,
    approved_by: ApprovedBy = None,
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Give a rule a status; live asks for tests, coverage, a backtest and a second person."""
    with errors_told():
        signature = Signature(by, approved_by, reason)

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Release:
        return await promote_rule(connection, tenant_id, rule, status, signature)

    _tell(run_for(tenant, use), f"{rule} is {status}", as_json=as_json)


def halt_command(
    rules: Annotated[list[str], typer.Argument(help="Ids of rules.")],
    tenant: Tenant,
    by: By,
    reason: Annotated[str, typer.Option(help="Why, in words.")],
    as_json: AsJson = False,
) -> None:
    """Stop live rules at once: they go on deciding as shadow, and what they queued is not sent."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Release:
        return await halt_rules(connection, tenant_id, dict.fromkeys(rules, reason), by)

    _tell(run_for(tenant, use), f"{', '.join(rules)} sends nothing", as_json=as_json)


def rollback_command(
    tenant: Tenant,
    by: By,
    to: Annotated[
        int | None, typer.Option(min=1, help="Release to go back to. [default: the one before]")
    ] = None,
    approved_by: ApprovedBy = None,
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Put an earlier release in force again, as a new one that says the same."""
    with errors_told():
        signature = Signature(by, approved_by, reason)

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Release:
        return await roll_back_rules(connection, tenant_id, signature, to=to)

    _tell(run_for(tenant, use), "rolled back", as_json=as_json)


def releases_command(
    tenant: Tenant,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the releases, newest first; the first one is in force."""

    async def use(connection: AsyncConnection, _: Runtime, __: TenantId) -> list[Document]:
        return await show_releases(connection, limit=limit)

    listed = run_for(tenant, use)
    if as_json:
        print_json({"releases": listed})
        return
    table = Table("release", "made", "by", "approved by", "files", "reason")
    for each in listed:
        files = ", ".join(f"{file['name']} v{file['version']}" for file in each["files"])
        made = each["made_at"][:16].replace("T", " ")
        approved = each["approved_by"] or ""
        table.add_row(str(each["number"]), made, each["made_by"], approved, files, each["reason"])
    console.print(table)


def list_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """List the rules in force with status, owner and file."""

    async def use(connection: AsyncConnection, _: Runtime, __: TenantId) -> Document:
        return await show_rules(connection)

    shown = run_for(tenant, use)
    if as_json:
        print_json(shown)
        return
    if shown["release"] is None:
        console.print("no rules yet: the first decision or publication brings them")
        return
    # a pipe has no width of its own, and a name that is cut off can't be used
    wide = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    table = Table("rule", "status", "in its file", "owner", "file", "action")
    for rule in shown["rules"]:
        written = "" if rule["written_status"] == rule["status"] else rule["written_status"]
        table.add_row(
            rule["id"], rule["status"], written, rule["owner"], rule["file"], rule["action"]
        )
    console.print(f"release {shown['release']['number']}")
    wide.print(table)


def _texts(file: str) -> RuleTexts:
    """A file under the name of its last part, a shipped pack under its own."""
    path = Path(file)
    if not path.exists() and (PACKS / f"{file}.yaml").exists():
        return pack_texts(file)
    if path.resolve().is_relative_to(PACKS.resolve()):
        return pack_texts(path.resolve().relative_to(PACKS.resolve()).with_suffix("").as_posix())
    return file_texts(path, path.stem)


def _named(texts: tuple[RuleTexts, ...], name: str) -> RuleTexts:
    if len(texts) != 1:
        raise InvalidInput(f"--as {name} names one file, not {len(texts)}.")
    return replace(texts[0], name=name)


def _tell_rules(published: Published) -> None:
    gone = sorted(rule for rule, meaning in published.rules.items() if meaning is None)
    other = sorted(rule for rule, meaning in published.rules.items() if meaning is not None)
    if other:
        console.print(f"new or changed: {', '.join(other)}")
    if gone:
        console.print(f"gone: {', '.join(gone)}")


def _tell(release: Release, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(release_document(release))
    else:
        console.print(f"release {release.number} is in force: {what}")
