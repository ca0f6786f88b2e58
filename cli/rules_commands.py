"""`keepwell rules`: check, test and publish rule files."""

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, run_for
from cli.output import FINDINGS, complaints, console, errors_told, print_json
from engine.errors import Finding, InvalidRules, NotFound
from engine.ids import TenantId
from rules.check import check
from rules.examples import run_examples
from rules.loader import PACKS, read_rules
from rules.text import render_all
from services.publish_rules import file_texts, publish_rules
from services.wiring import Runtime

Files = Annotated[
    list[Path] | None, typer.Argument(help="Rule files or folders. [default: the shipped packs]")
]


def check_command(files: Files = None, as_json: AsJson = False) -> None:
    """Check rule files: shape, names, types and meaning; all faults at once, with their place."""
    findings: list[Finding] = []
    with errors_told():
        paths = _rule_files(files)
    for path in paths:
        try:
            findings += check(read_rules(path))
        except InvalidRules as error:
            findings += error.findings
    if as_json:
        print_json({"files": [str(p) for p in paths], "findings": findings})
    elif findings:
        complaints.print(render_all(findings), markup=False)
    else:
        console.print(f"{len(paths)} files, no findings")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(FINDINGS)


def examples_command(files: Files = None, as_json: AsJson = False) -> None:
    """Run the tests inside rule files, on the reference, durable-rules and columns."""
    with errors_told():
        results = [
            (path, result)
            for path in _rule_files(files)
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


def publish_command(
    file: Annotated[Path, typer.Argument(help="A rule file; its vocabulary lies beside it.")],
    tenant: Tenant,
    by: Annotated[str, typer.Option(help="Who makes it live.")] = "keepwell rules publish",
    as_json: AsJson = False,
) -> None:
    """Make a rule file the tenant's live rules; one with faults leaves the live ones alone."""
    with errors_told():
        path = file if file.exists() else PACKS / f"{file}.yaml"
        texts = file_texts(path, file.with_suffix("").as_posix())

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        rule_set, version = await publish_rules(connection, tenant_id, texts, by=by)
        return {"name": texts.name, "version": version, "digest": rule_set.digest}

    result = run_for(tenant, use)
    if as_json:
        print_json(result)
    else:
        console.print(f"{result['name']} version {result['version']} is live")


def _rule_files(given: list[Path] | None) -> list[Path]:
    found: list[Path] = []
    for path in given or [PACKS]:
        if not path.exists():
            raise NotFound(f"There is no file or folder '{path}'.")
        inside = path.rglob("*.yaml") if path.is_dir() else [path]
        found += [each for each in inside if not each.name.endswith(".vocab.yaml")]
    return sorted(found)
