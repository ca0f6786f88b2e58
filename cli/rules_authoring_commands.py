"""`keepwell rules`: layout, handbook, schema, field list."""

import difflib
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from cli.options import AsJson, On
from cli.output import FINDINGS, complaints, console, errors_told, print_json
from cli.rule_files import Files, rule_files, vocabulary_file
from engine.errors import InvalidInput, InvalidRules
from rules.field_list import FieldRow, field_rows
from rules.handbook import handbook
from rules.handbook_pages import handbook_html, handbook_markdown
from rules.json_schema import rules_schema
from rules.layout import formatted
from rules.loader import read_rules
from rules.source import read_text
from rules.text import render_all
from rules.vocabulary import read_vocabulary
from rules.vocabulary_schema import vocabulary_schema
from rules.writing import write_text

VocabularyName = Annotated[
    str | None,
    typer.Option(
        "--vocabulary",
        help="File, or name of a shipped vocabulary. [default: the one in this folder]",
    ),
]
Out = Annotated[Path | None, typer.Option(help="Write to this file. [default: print]")]


_WIDE = 2_000


class SchemaFor(StrEnum):
    """Which kind of file an editor is to check."""

    rules = "rules"
    vocabulary = "vocabulary"


def fmt_command(
    files: Annotated[list[Path], typer.Argument(help="Rule and vocabulary files, or folders.")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; 1 if it would.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would.")] = False,
    as_json: AsJson = False,
) -> None:
    """Lay files out in the one way; meaning, order of rules and comments stay."""
    with errors_told():
        paths = rule_files(files, vocabularies=True)
    changed: list[Path] = []
    failed: list[InvalidRules] = []
    for path in paths:
        try:
            before = read_text(path)
            after = formatted(before, path.name)
        except InvalidRules as error:
            failed.append(error)
            continue
        if after != before:
            changed.append(path)
            if diff and not as_json:
                _show_difference(path, before, after)
            if not check and not diff:
                with errors_told():
                    write_text(path, after)
    _tell_layout(changed, failed, only_looked=check or diff, as_json=as_json)
    if failed or (check and changed):
        raise typer.Exit(FINDINGS)


def _tell_layout(
    changed: list[Path], failed: list[InvalidRules], *, only_looked: bool, as_json: bool
) -> None:
    findings = [finding for error in failed for finding in error.findings]
    if as_json:
        print_json({"changed": [str(path) for path in changed], "findings": findings})
        return
    for path in changed:
        complaints.print(f"{'would change' if only_looked else 'changed'} {path}", markup=False)
    if findings:
        complaints.print(render_all(findings), markup=False)


def _show_difference(path: Path, before: str, after: str) -> None:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(path), str(path)
    )
    sys.stdout.writelines(line if line.endswith("\n") else f"{line}\n" for line in lines)


def docs_command(
    files: Files = None,
    out: Annotated[
        Path | None, typer.Option(help="Write here, as .html or .md. [default: print Markdown]")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "What we do, and when",
    as_json: AsJson = False,
) -> None:
    """Write all rules in plain sentences, for the owner of the business."""
    with errors_told():
        if out is not None and out.suffix not in {".html", ".md"}:
            raise InvalidInput(f"'{out}' is neither .html nor .md.", hint="--out rules.html")
        chapters = handbook(read_rules(path) for path in rule_files(files))
        if as_json:
            print_json([asdict(chapter) for chapter in chapters])
            return
        html = out is not None and out.suffix == ".html"
        text = (handbook_html if html else handbook_markdown)(chapters, title)
        _deliver(text, out)


def schema_command(
    vocabulary: VocabularyName = None,
    of: Annotated[
        SchemaFor, typer.Option("--for", help="Kind of file that an editor is to check.")
    ] = SchemaFor.rules,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Write a JSON Schema (2020-12), so that editors complete and check names, words and values.

    The first line of a rule file then reads: # yaml-language-server: $schema=rules.schema.json
    """
    with errors_told():
        known = read_vocabulary(vocabulary_file(vocabulary))
        schema = rules_schema(known) if of == SchemaFor.rules else vocabulary_schema(known)
        text = orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode() + "\n"
        _deliver(text, out)
        if as_json and out is not None:
            print_json({"file": str(out), "schema": schema["$schema"]})


def _deliver(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    write_text(out, text)
    complaints.print(f"wrote {out}", markup=False)


def fields_command(
    vocabulary: VocabularyName = None,
    tenant: Annotated[
        str | None, typer.Option(help="Show how much of it this tenant's data have.")
    ] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """List the fields that rules may name, with their types, values and sources."""
    with errors_told():
        known = read_vocabulary(vocabulary_file(vocabulary))
    if tenant is None:
        show_fields(field_rows(known), as_json=as_json)
        return
    from cli.rules_data_commands import filled, show_events
    from services.field_fill import fill_document, filled_rows

    fill = filled(known, tenant, on)
    rows = filled_rows(known, fill)
    if as_json:
        print_json({**fill_document(fill), "fields": [asdict(row) for row in rows]})
        return
    show_fields(rows)
    show_events(known, fill)


def show_fields(rows: tuple[FieldRow, ...], *, as_json: bool = False) -> None:
    """Print fields as a table, or as JSON; the share of filled ones only where it was counted."""
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    counted = any(row.filled is not None for row in rows)
    table = Table()
    table.add_column("field", no_wrap=True)
    for head in ("type", "label", "from", *(["filled", "newest"] if counted else [])):
        table.add_column(head)
    for row in rows:
        type_ = _listed(row.type, row.unit, row.allowed)
        label = _listed(row.label, row.sensitive and f"{row.sensitive} data")
        about = "" if row.about == "contact" else f"about a {row.about}"
        filled = "" if row.filled is None else f"{row.filled:.1%}"
        cells = [row.name, type_, label, _listed(row.source, about, row.origin)]
        table.add_row(*cells, *([filled, row.newest] if counted else []))
    # what is read by a program or kept in a file is not squeezed into a width
    wide = console if console.is_terminal else Console(file=console.file, width=_WIDE)
    wide.print(table)


def _listed(*words: str) -> str:
    return ", ".join(word for word in words if word)
