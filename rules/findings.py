"""Collects what is wrong with one file, in the author's words and with its place."""

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from engine.errors import Finding

# A file with this many faults is not a rule file; looking for more would only cost time.
MOST_FINDINGS = 100
_MOST_LISTED = 8
_LONGEST_WORD = 60
_MOST_SHOWN = 500  # characters of a line


class Findings:
    """The findings of one file; `add` until `MOST_FINDINGS` are there."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._lines = text.split("\n")
        self._found: dict[tuple[int, int, str], Finding] = {}

    @property
    def full(self) -> bool:
        return len(self._found) >= MOST_FINDINGS

    def add(
        self,
        code: str,
        message: str,
        place: tuple[int, int, int] = (0, 0, 1),
        *,
        hint: str = "",
        severity: str = "error",
    ) -> None:
        """Note a fault at (line, column, width), line and column from 1."""
        line, column, width = place
        if self.full:
            return
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        wide = max(1, min(width, len(text) - column + 1))
        finding = Finding(
            code, message, self.file, line, column, wide, text[:_MOST_SHOWN], hint, severity
        )
        self._found.setdefault((line, column, code), finding)

    def has(self, place: tuple[int, int, int]) -> bool:
        """Whether a fault is noted there."""
        return any((line, column) == place[:2] for line, column, _ in self._found)

    def in_order(self) -> list[Finding]:
        """All of them, in file order."""
        return sorted(self._found.values(), key=lambda f: (f.line, f.column, f.code))


def with_lines(findings: Iterable[Finding], file: str, text: str) -> list[Finding]:
    """The findings, those about this file with the line that they are about."""
    lines = text.split("\n")
    return [
        replace(each, text=lines[each.line - 1][:_MOST_SHOWN])
        if each.file == file and not each.text and 0 < each.line <= len(lines)
        else each
        for each in findings
    ]


def suggestion(word: str, allowed: Iterable[str]) -> str:
    """The nearest allowed word, else a list of at most eight of them."""
    known = sorted(set(allowed))
    near = get_close_matches(word[:_LONGEST_WORD], known, 1, 0.6)
    if near:
        return near[0]
    if not known:
        return ""
    more = ", …" if len(known) > _MOST_LISTED else ""
    return "use one of: " + ", ".join(known[:_MOST_LISTED]) + more


def shown(word: str) -> str:
    """A word of the file as a message quotes it."""
    return f'"{word}"' if len(word) <= _LONGEST_WORD else f'"{word[:_LONGEST_WORD]}…"'
