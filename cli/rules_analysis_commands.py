"""`keepwell rules`: coverage, conflicts and diff, which look at rules alone and need no data."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, On
from cli.output import FINDINGS, complaints, console, errors_told, print_json
from cli.rule_files import Files, rule_files
from engine.errors import Finding
from rules.conflicts import conflicts
from rules.coverage import Coverage, coverage, coverage_document, percent
from rules.differences import differences
from rules.document import RuleSet
from rules.loader import PACKS, read_rules
from rules.text import render_all


def coverage_command(
    files: Files = None,
    minimum: Annotated[
        float, typer.Option("--min", min=0, max=100, help="Percent of conditions seen both ways.")
    ] = 100,
    boundaries: Annotated[
        float, typer.Option("--min-boundaries", min=0, max=100, help="Percent of boundary sides.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what the tests in rule files have seen: conditions both ways, boundaries, silence."""
    with errors_told():
        covered = [coverage(read_rules(path)) for path in rule_files(files)]
    document = coverage_document(covered)
    seen = document["percent"]
    if as_json:
        print_json(document)
    else:
        _show_coverage(covered, document["findings"], with_boundaries=boundaries > 0)
    if seen["conditions"] < minimum or seen["boundaries"] < boundaries:
        raise typer.Exit(FINDINGS)


def conflicts_command(files: Files = None, as_json: AsJson = False) -> None:
    """Find rules that can't apply, mean the same, lie in another, or may compete for a channel.

    Files given together are taken as the rules of one tenant; without files each shipped folder
    is, together with the folder common.
    """
    with errors_told():
        tenants = _tenants(files)
        groups = [[read_rules(path) for path in paths] for paths in tenants]
    findings = list(dict.fromkeys(f for group in groups for f in conflicts(group)))
    if as_json:
        print_json({"findings": findings})
    elif findings:
        complaints.print(render_all(findings), markup=False)
    else:
        count = len({path for paths in tenants for path in paths})
        console.print(f"{count} files, no conflicts")
    if findings:
        raise typer.Exit(FINDINGS)


def diff_command(
    old: Annotated[str, typer.Argument(help="A rules file or the name of a shipped pack.")],
    new: Annotated[str, typer.Argument(help="The one to compare it with.")],
    tenant: Annotated[
        str | None,
        typer.Option(
            help="Show contacts gained and lost too; 'live' then names the file in force."
        ),
    ] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Say what changed between two rule files in meaning, words and tests; layout doesn't count.

    Exit code 1: they differ; with --tenant, if the growth asks for a second person.
    """
    if tenant is not None:
        from cli.rules_data_commands import compared

        compared(old, new, tenant, on, as_json=as_json)
        return
    with errors_told():
        found = differences(_named(old), _named(new))
    if as_json:
        print_json(asdict(found))
    else:
        for line in found.lines:
            console.print(line, markup=False)
    if found.rules:
        raise typer.Exit(FINDINGS)


def _named(name: str) -> RuleSet:
    """A file, or a shipped pack such as healthcare/retention."""
    path = Path(name)
    return read_rules(path if path.exists() else PACKS / f"{name}.yaml")


def _tenants(files: list[Path] | None) -> list[list[Path]]:
    if files:
        return [rule_files(files)]
    common = rule_files([PACKS / "common"])
    folders = sorted({path.parent for path in rule_files(None)} - {PACKS / "common"})
    return [[*rule_files([folder]), *common] for folder in folders]


def _show_coverage(
    covered: list[Coverage], findings: list[Finding], *, with_boundaries: bool
) -> None:
    shown = [f for f in findings if with_boundaries or f.code != "L322"]
    if shown:
        complaints.print(render_all(shown), markup=False)
    for each in covered:
        console.print(
            f"{each.file}: {percent(*each.conditions)} % of conditions seen both ways, "
            f"{percent(*each.boundaries)} % of boundaries from both sides"
        )
