"""Tools for whoever writes rules: check, test, cover, compare, lay out, tell."""

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from api.answers import answer
from api.dependencies import ReadsRulesCall, RuntimeOf
from api.rule_documents import RulesFileIn
from api.rule_tool_documents import (
    CheckIn,
    CompareIn,
    FieldsIn,
    FilesIn,
    HandbookIn,
    LayOutIn,
    SchemaIn,
    given,
)
from api.rule_tool_shapes import (
    CoverageFound,
    Fields,
    FilesLaidOut,
    FindingsFound,
    Handbook,
    RulesCompared,
    Schema,
    TestsRun,
)
from api.strict_route import StrictRoute
from rules.conflicts import conflicts
from rules.coverage import coverage, coverage_document
from rules.differences import Differences, differences
from rules.document import RuleSet
from rules.examples import run_examples
from rules.field_list import field_rows
from rules.handbook import handbook
from rules.handbook_pages import handbook_html, handbook_markdown
from rules.json_schema import rules_schema
from rules.layout import formatted
from rules.vocabulary_schema import vocabulary_schema
from services.check_with_data import check_with_data
from services.compare_rules import compare_rules, file_in_force
from services.decide import checked_as_of
from services.field_fill import field_fill, fill_document, filled_rows
from services.rules_given import (
    checked_files,
    files_looked_at,
    parsed_files,
    vocabulary_looked_at,
)

router = APIRouter(prefix="/v1/rules", tags=["rules"], route_class=StrictRoute)

# What a person wrote is read and analysed in a thread: up to a second of work on a large file
# must not keep other requests waiting.


@router.post("/check", summary="Check rules files", response_model=FindingsFound)
async def check_files(call: ReadsRulesCall, body: CheckIn, runtime: RuntimeOf) -> Response:
    """Return all faults and doubts of files at once, each with its place and the fix.

    A file with faults is no error of the request: the answer is 200 and `ok` is false. With `data`
    files without faults are held against the tenant's data too.
    """
    files = await files_looked_at(call.connection, call.tenant_id, body.given)
    findings = await asyncio.to_thread(checked_files, files)
    faultless = not any(finding.severity == "error" for finding in findings)
    if body.data and faultless:
        for file in files:
            findings += await check_with_data(
                call.connection, runtime, call.tenant_id, file.texts, as_of=body.as_of
            )
    return answer({"ok": faultless, "findings": findings})


@router.post("/test", summary="Run the tests in rules files", response_model=TestsRun)
async def test_files(call: ReadsRulesCall, body: FilesIn) -> Response:
    """Run every in-file test on the plain judge, durable-rules and columns."""
    files = await files_looked_at(call.connection, call.tenant_id, body.given)

    def run() -> dict[str, Any]:
        results = [(s.file, r) for s in parsed_files(files) for r in run_examples(s)]
        failed = [
            {
                "file": file,
                "line": result.line,
                "rule": result.rule_id,
                "test": result.name,
                "message": result.message,
            }
            for file, result in results
            if not result.passed
        ]
        return {"ok": not failed, "tests": len(results), "failed": failed}

    return answer(await asyncio.to_thread(run))


@router.post("/coverage", summary="What tests have seen", response_model=CoverageFound)
async def cover_files(call: ReadsRulesCall, body: FilesIn) -> Response:
    """Return which conditions the in-file tests saw both ways, and which boundaries."""
    files = await files_looked_at(call.connection, call.tenant_id, body.given)

    def run() -> dict[str, Any]:
        return coverage_document([coverage(rules) for rules in parsed_files(files)])

    return answer(await asyncio.to_thread(run))


@router.post("/conflicts", summary="Find rules in each other's way", response_model=FindingsFound)
async def find_conflicts(call: ReadsRulesCall, body: FilesIn) -> Response:
    """Find rules that can't apply, mean the same, lie in another, or compete for a channel.

    The files are taken as the rules of one tenant.
    """
    files = await files_looked_at(call.connection, call.tenant_id, body.given)
    findings = await asyncio.to_thread(lambda: conflicts(parsed_files(files)))
    return answer({"ok": not findings, "findings": findings})


@router.post("/fmt", summary="Lay rules files out", response_model=FilesLaidOut)
async def lay_out(_call: ReadsRulesCall, body: LayOutIn) -> Response:
    """Return files in the one layout; meaning, order of rules and comments stay."""

    def run() -> list[dict[str, Any]]:
        pairs = [(each, formatted(each.document, f"{each.name}.yaml")) for each in body.files]
        return [
            {"name": each.name, "document": after, "changed": after != each.document}
            for each, after in pairs
        ]

    return answer({"files": await asyncio.to_thread(run)})


@router.post("/docs", summary="Tell rules in plain sentences", response_model=Handbook)
async def tell_rules(call: ReadsRulesCall, body: HandbookIn) -> Response:
    """Return all rules as chapters, or as a page in Markdown or HTML, for the owner."""
    files = await files_looked_at(call.connection, call.tenant_id, body.given)

    def run() -> dict[str, Any]:
        chapters = handbook(parsed_files(files))
        if body.form == "json":
            return {"chapters": [asdict(chapter) for chapter in chapters], "page": None}
        write = handbook_html if body.form == "html" else handbook_markdown
        return {"chapters": None, "page": write(chapters, body.title)}

    return answer(await asyncio.to_thread(run))


@router.post("/schema", summary="JSON Schema for editors", response_model=Schema)
async def schema(call: ReadsRulesCall, body: SchemaIn) -> Response:
    """Return a JSON Schema (2020-12) that completes and checks names, words and values."""
    known = await vocabulary_looked_at(call.connection, call.tenant_id, body.vocabulary)
    found = rules_schema(known) if body.of == "rules" else vocabulary_schema(known)
    return answer({"schema": found})


@router.post("/fields", summary="What rules may name", response_model=Fields)
async def list_fields(call: ReadsRulesCall, body: FieldsIn, runtime: RuntimeOf) -> Response:
    """List the fields of a vocabulary; with `fill` how many contacts have a value for each."""
    known = await vocabulary_looked_at(call.connection, call.tenant_id, body.vocabulary)
    if not body.fill:
        return answer({"fields": [asdict(row) for row in field_rows(known)], "events": None})
    moment = checked_as_of(body.as_of, runtime.clock.now())
    fill = await field_fill(call.connection, call.tenant_id, known, moment)
    rows = [asdict(row) for row in filled_rows(known, fill)]
    return answer({**fill_document(fill), "fields": rows})


@router.post("/diff", summary="Compare two rules files", response_model=RulesCompared)
async def compare(call: ReadsRulesCall, body: CompareIn, runtime: RuntimeOf) -> Response:
    """Say what changed in meaning, words and tests; with `contacts` whom it gains and loses.

    `second_person` tells whether the growth would ask for one at publication.
    """

    async def side(file: RulesFileIn | None, other: RulesFileIn | None) -> RuleSet:
        found = given(file)
        if found is not None:
            return (await asyncio.to_thread(parsed_files, [found]))[0]
        assert other is not None  # noqa: S101 - the document has checked that one is given
        return await file_in_force(call.connection, other.name)

    old, new = await side(body.old, body.new), await side(body.new, body.old)
    if not body.contacts:
        found: Differences = await asyncio.to_thread(differences, old, new)
        return answer({"lines": found.lines, "meaning": asdict(found)})
    return answer(
        await compare_rules(call.connection, runtime, call.tenant_id, old, new, as_of=body.as_of)
    )
