"""YAML text as a tree of places and plain texts; everything that surprises is refused.

No scalar is typed here: `no`, `on`, `09:00` and `2026-04-01` stay texts until the vocabulary
says what they are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from engine.errors import InvalidRules
from rules.findings import Findings, shown

MOST_BYTES = 256 * 1024
MOST_NODES = 20_000
MOST_DEPTH = 12

# Refused besides tabs: control characters, line breaks other than LF, and the characters that
# make a line read differently from what it says (CVE-2021-42574, 'Trojan Source').
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff"
    "\ud800-\udfff]"
)
_READER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

Kind = Literal["text", "list", "map"]


@dataclass(slots=True)
class Node:
    """A piece of the file: a text, a list or a map, with its place (line and column from 1).

    `last_line` is where a text ends.
    """

    kind: Kind
    line: int
    column: int
    width: int = 1
    text: str = ""
    last_line: int = 0
    items: list["Node"] = field(default_factory=list)
    pairs: list[tuple["Node", "Node"]] = field(default_factory=list)

    @property
    def place(self) -> tuple[int, int, int]:
        return self.line, self.column, self.width

    def get(self, key: str) -> "Node | None":
        return next((value for name, value in self.pairs if name.text == key), None)


class _Stop(Exception):
    """The rest of the file can't be read in any useful way."""


def read_text(path: Path) -> str:
    """The file as text.

    Raises InvalidRules if it can't be read, is not UTF-8 or exceeds `MOST_BYTES`.
    """
    findings = Findings(path.name, "")
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) <= MOST_BYTES:
            return raw.decode("utf-8")
        findings.add("E001", "the file is larger than 256 KB", hint="split it into several files")
    except OSError as error:
        findings.add("E001", f"the file can't be read: {error.strerror or 'unknown reason'}")
    except UnicodeDecodeError:
        findings.add("E001", "the file is not UTF-8 text", hint="save it with encoding UTF-8")
    refuse(findings, path.name)
    return ""


def refuse(findings: Findings, file: str) -> None:
    """Raise InvalidRules if there is any error among the findings."""
    found = findings.in_order()
    errors = sum(finding.severity == "error" for finding in found)
    if errors:
        count = "1 problem" if errors == 1 else f"{errors} problems"
        raise InvalidRules(f"{count} in {file}", found, hint="Correct the places listed.")


def parse(text: str, file: str) -> tuple[Node, Findings]:
    """The tree of a file whose top is a map, and an empty list to note further findings in.

    Raises InvalidRules with all findings if the text is no plain, single YAML document.
    """
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    findings = Findings(file, text)
    if len(text) > MOST_BYTES or len(text.encode("utf-8", "replace")) > MOST_BYTES:
        findings.add("E001", "the file is larger than 256 KB", hint="split it into several files")
        refuse(findings, file)
    _look_for_unseen(text, findings)
    refuse(findings, file)
    top = None
    try:
        top = _Tree(text, findings).top()
    except _Stop:
        pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1, 1) if mark else (0, 0, 1)
        findings.add("E004", f"the layout can't be read here: {_in_plain_words(error)}", place)
    except yaml.YAMLError:
        findings.add("E004", "the layout can't be read")
    if not findings.in_order() and (top is None or top.kind != "map"):
        findings.add("E008", "the file has to start with settings such as: format: 1", (1, 1, 1))
    refuse(findings, file)
    assert top is not None  # noqa: S101 - refused above
    return top, findings


def _look_for_unseen(text: str, findings: Findings) -> None:
    if "\t" not in text and not _UNSEEN.search(text):
        return
    for number, line in enumerate(text.split("\n"), start=1):
        tab = line.find("\t")
        if tab >= 0:
            findings.add("E002", "this line has a tab", (number, tab + 1, 1), hint="use spaces")
        unseen = _UNSEEN.search(line)
        if unseen:
            message = f"this line has an invisible character (U+{ord(unseen[0]):04X})"
            findings.add("E003", message, (number, unseen.start() + 1, 1), hint="delete it")


def _in_plain_words(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or "unknown reason")
    for told, plain in (
        ("mapping values are not allowed", "a colon where none may be; put the text in quotes"),
        ("did not find expected key", "this line is indented differently from the lines above"),
        ("did not find expected '-'", "this line is indented differently from the list above"),
        ("could not find expected ':'", "a setting without a colon"),
        ("did not find expected ',' or", "a bracket that is not closed"),
        ("found unexpected end of stream", "a quote that is not closed"),
        ("cannot start any token", "a text may not start with this character; put it in quotes"),
    ):
        if told in problem:
            return plain
    return problem


class _Tree:
    """Builds nodes from the parser's events; never recursive, so depth can't break it."""

    def __init__(self, text: str, findings: Findings) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_READER)
        self._findings = findings
        self._open: list[Node] = []
        self._keys: list[Node | None] = []
        self._lines_of: list[dict[str, int]] = []  # names of each open map, for a fast look-up
        self._count = 0
        self._documents = 0
        self._top: Node | None = None

    def top(self) -> Node | None:
        for event in self._events:
            if self._findings.full:
                raise _Stop
            self._refuse_extras(event)
            if isinstance(event, yaml.ScalarEvent):
                self._place(self._node("text", event))
            elif isinstance(event, yaml.MappingStartEvent):
                self._enter(self._node("map", event))
            elif isinstance(event, yaml.SequenceStartEvent):
                self._enter(self._node("list", event))
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop()
                self._keys.pop()
                self._lines_of.pop()
        return self._top

    def _node(self, kind: Kind, event: yaml.Event) -> Node:
        self._count += 1
        line, column, width = _place_of(event)
        node = Node(kind, line, column, width if kind == "text" else 1)
        if kind == "text":
            node.text = event.value  # type: ignore[attr-defined] # a ScalarEvent
            node.last_line = event.end_mark.line + 1 if event.end_mark else line
        if self._count > MOST_NODES:
            self._findings.add("E007", "the file has too many parts", node.place, hint="split it")
            raise _Stop
        return node

    def _enter(self, node: Node) -> None:
        self._place(node)
        self._open.append(node)
        self._keys.append(None)
        self._lines_of.append({})
        if len(self._open) > MOST_DEPTH:
            self._findings.add("E007", "this is nested too deeply", node.place)
            raise _Stop

    def _place(self, node: Node) -> None:
        if not self._open:
            self._top = node
            return
        parent, key = self._open[-1], self._keys[-1]
        if parent.kind == "list":
            parent.items.append(node)
        elif key is not None:
            parent.pairs.append((key, node))
            self._keys[-1] = None
        else:
            self._key(parent, node)

    def _key(self, parent: Node, node: Node) -> None:
        if node.kind != "text":
            self._findings.add("E012", "a setting's name has to be a word", node.place)
            raise _Stop
        lines = self._lines_of[-1]
        if node.text in lines:
            message = f"{shown(node.text)} is already set on line {lines[node.text]}"
            self._findings.add("E006", message, node.place, hint="delete one of them")
        lines[node.text] = node.line
        if not parent.pairs:
            parent.width = node.width
        self._keys[-1] = node

    def _refuse_extras(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, "references (*name) are not used here")
            raise _Stop
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(event, "a second document starts here")
                raise _Stop
            if event.version or event.tags:
                self._refuse(event, "directives (%YAML, %TAG) are not used here")
        if getattr(event, "anchor", None) is not None:
            self._refuse(event, "anchors (&name) are not used here")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "tags (!name) are not used here")

    def _refuse(self, event: yaml.Event, message: str) -> None:
        line, column, _ = _place_of(event)
        self._findings.add("E005", message, (line, column, 1))


def _place_of(event: yaml.Event) -> tuple[int, int, int]:
    """Line and column from 1, and the width on that line."""
    start, end = event.start_mark, event.end_mark
    if start is None or end is None:
        return 1, 1, 1
    width = end.column - start.column if end.line == start.line else 1
    return start.line + 1, start.column + 1, max(1, width)
