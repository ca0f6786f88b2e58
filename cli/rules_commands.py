"""`keepwell rules`: check and test rule files."""

import sys
from dataclasses import replace
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, On
from cli.output import FINDINGS, USAGE, complaints, console, errors_told, print_json
from cli.rule_files import Files, rule_files
from engine.errors import Finding, InvalidInput, InvalidRules
from rules.check import check
from rules.codes import CODES
from rules.findings import with_lines
from rules.formats import github, sarif
from rules.includes import vocabulary_path
from rules.loader import read_rules
from rules.source import read_text
from rules.text import render_all

_UNREADABLE = "E001"


class Format(StrEnum):
    """In which form findings are printed."""

    text = "text"
    json = "json"
    github = "github"
    sarif = "sarif"


def check_command(
    files: Files = None,
    form: Annotated[
        Format, typer.Option("--format", help="github: annotations; sarif: SARIF 2.1.0.")
    ] = Format.text,
    data: Annotated[
        bool, typer.Option("--data", help="Look at the tenant's data too; warnings D401 to D405.")
    ] = False,
    tenant: Annotated[str | None, typer.Option(help="Slug of the tenant, for --data.")] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Check rule files: shape, names, types and meaning; all faults at once, with their place.

    Exit code 1: a fault; 2: a file that can't be read.
    """
    with errors_told():
        if data != (tenant is not None):
            raise InvalidInput("--data needs a tenant.", hint="--data --tenant my-clinic")
    findings: list[Finding] = []
    with errors_told():
        paths = rule_files(files)
    for path in paths:
        try:
            found = with_lines(check(read_rules(path)), path.name, read_text(path))
        except InvalidRules as error:
            found = list(error.findings)
        findings += [replace(each, file=_file_of(each, path)) for each in found]
    if tenant is not None and not any(finding.severity == "error" for finding in findings):
        from cli.rules_data_commands import data_findings

        for path in paths:
            about = data_findings([path], tenant, on)
            findings += [replace(each, file=_file_of(each, path)) for each in about]
    _tell_findings(findings, paths, Format.json if as_json else form)
    if any(finding.code == _UNREADABLE for finding in findings):
        raise typer.Exit(USAGE)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(FINDINGS)


def _file_of(finding: Finding, path: Path) -> str:
    """The file with its path, from the current folder on where it lies inside."""
    found = path if finding.file == path.name else vocabulary_path(path, finding.file)
    here = Path.cwd()
    full = found.resolve()
    return full.relative_to(here).as_posix() if full.is_relative_to(here) else str(found)


def _tell_findings(findings: list[Finding], paths: list[Path], form: Format) -> None:
    if form == Format.json:
        print_json({"files": [str(path) for path in paths], "findings": findings})
    elif form == Format.sarif:
        titles = {name: code.title for name, code in CODES.items()}
        print_json(sarif(findings, titles, version("keepwell")))
    elif form == Format.github:
        sys.stdout.write("".join(f"{line}\n" for line in github(findings)))
    elif findings:
        complaints.print(render_all(findings), markup=False)
    else:
        console.print(f"{len(paths)} files, no findings")


def examples_command(
    files: Files = None,
    record: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="CONTACT RULE", help="Make a test of a contact: masked, for this file."
        ),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Slug of the tenant, for --record.")] = None,
    on: On = None,
    write: Annotated[bool, typer.Option("--write", help="Add the test to the file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the tests inside rule files, on the reference, durable-rules and columns."""
    if record is not None:
        with errors_told():
            if tenant is None or files is None or len(files) != 1:
                raise InvalidInput(
                    "--record needs a tenant and one file.",
                    hint="rules test FILE --record CONTACT RULE --tenant my-clinic",
                )
        from cli.rules_data_commands import recorded

        recorded(files[0], record[1], record[0], tenant, on, write=write, as_json=as_json)
        return
    from rules.examples import run_examples

    with errors_told():
        results = [
            (path, result)
            for path in rule_files(files)
            for result in run_examples(read_rules(path))
        ]
    failed = [(path, result) for path, result in results if not result.passed]
    if as_json:
        print_json(
            {
                "tests": len(results),
                "failed": [
                    {"file": str(p), "line": r.line, "rule": r.rule_id, "message": r.message}
                    for p, r in failed
                ],
            }
        )
    else:
        for path, result in failed:
            complaints.print(f"{path}:{result.line}: {result.rule_id}: {result.message}")
        console.print(f"{len(results)} tests on 3 matchers, {len(failed)} failed")
    if failed:
        raise typer.Exit(FINDINGS)
