"""Findings as text for a terminal: place, line, caret, fix."""

import unicodedata
from collections.abc import Iterable

from engine.errors import Finding

_WIDEST = 80


def render(finding: Finding) -> str:
    """One finding as lines, at most 80 columns for the quoted line."""
    where = f"{finding.file}:{finding.line}:{finding.column}" if finding.line else finding.file
    lines = [f"{where}: {finding.severity} {finding.code}: {finding.message}"]
    if finding.line and finding.text:
        number = str(finding.line)
        gap = " " * len(number)
        text, column = _cut(finding.text, finding.column, _WIDEST - len(number) - 4)
        before = shown_width(text[: column - 1])
        meant = max(1, shown_width(text[column - 1 : column - 1 + finding.width]))
        lines += [f" {gap} |", f" {number} | {text}", f" {gap} | {' ' * before}{'^' * meant}"]
    if finding.hint:
        lines.append(f"   = try: {finding.hint}")
    return "\n".join(lines)


def render_all(findings: Iterable[Finding]) -> str:
    """All of them, an empty line between two."""
    return "\n\n".join(render(finding) for finding in findings)


def shown_width(text: str) -> int:
    """Columns that a text takes on a terminal: wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text.replace("\t", " ")
    )


def _cut(text: str, column: int, width: int) -> tuple[str, int]:
    """The part of a long line around the column, and the column in it."""
    clean = text.replace("\t", " ")
    if shown_width(clean) <= width:
        return clean, column
    start = max(0, column - 1 - width // 4)
    part = clean[start : start + width]
    while shown_width(part) > width:
        part = part[:-1]
    return part, column - start
