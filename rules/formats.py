"""Findings in the forms that other programs read: GitHub annotations and SARIF 2.1.0."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from engine.errors import Finding

_LEVELS = {"error": "error", "warning": "warning"}


def github(findings: Iterable[Finding]) -> list[str]:
    """One workflow command a finding, each on a line of its own."""
    return [_annotation(finding) for finding in findings]


def _annotation(finding: Finding) -> str:
    settings = {"file": finding.file}
    if finding.line:
        settings |= {"line": str(finding.line), "col": str(max(1, finding.column))}
        settings["endColumn"] = str(max(1, finding.column) + finding.width)
    settings["title"] = finding.code
    said = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in settings.items())
    hint = f"\ntry: {finding.hint}" if finding.hint else ""
    level = _LEVELS.get(finding.severity, "notice")
    return f"::{level} {said}::{_escaped(finding.message + hint)}"


def _escaped(text: str, also: str = "") -> str:
    """Percent codes for what would end the command or a setting in it."""
    return "".join(f"%{ord(c):02X}" if c in f"%\r\n{also}" else c for c in text)


def sarif(findings: Sequence[Finding], titles: Mapping[str, str], version: str) -> dict[str, Any]:
    """A SARIF 2.1.0 log of one run; `titles` say what a code means."""
    codes = sorted({finding.code for finding in findings})
    rules = [{"id": code, "shortDescription": {"text": titles.get(code) or code}} for code in codes]
    driver = {"name": "keepwell", "version": version, "rules": rules}
    return {
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, codes.index(finding.code)) for finding in findings],
            }
        ],
    }


def _result(finding: Finding, rule_index: int) -> dict[str, Any]:
    hint = f" Try: {finding.hint}" if finding.hint else ""
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.file)}}
    if finding.line:
        place["region"] = {
            "startLine": finding.line,
            "startColumn": max(1, finding.column),
            "endColumn": max(1, finding.column) + finding.width,
        }
    return {
        "ruleId": finding.code,
        "ruleIndex": rule_index,
        "level": _LEVELS.get(finding.severity, "note"),
        "message": {"text": finding.message + hint},
        "locations": [{"physicalLocation": place}],
    }
