"""Finds `# allow L304: reason` comments: warnings that the author has seen and means."""

import re
from collections.abc import Iterator

from rules.document import Allowance, Place
from rules.source import Node

_ALLOW = re.compile(r"(?:^|\s)(#\s*allow:? +(?P<code>[A-Za-z][0-9]+)\b[ :]*(?P<reason>.*))")


def allowances_in(text: str, top: Node) -> dict[int, tuple[Allowance, ...]]:
    """The allowances of a file by line (from 1); what stands inside a text is none."""
    found: dict[int, tuple[Allowance, ...]] = {}
    texts: dict[int, list[Node]] | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        match = _ALLOW.search(line) if "allow" in line else None
        if match is None:
            continue
        texts = _texts_by_line(top) if texts is None else texts
        column = match.start(1) + 1
        if not any(_covers(node, column) for node in texts.get(number, ())):
            place = Place(number, column, len(match[1].rstrip()))
            allowance = Allowance(match["code"].upper(), match["reason"].strip(), place)
            found[number] = (allowance,)
    return found


def beside(line: int, allowances: dict[int, tuple[Allowance, ...]]) -> tuple[Allowance, ...]:
    """Those on a rule's first line and on the lines of comments directly above it."""
    found = allowances.get(line, ())
    above = line - 1
    while above in allowances:
        found = (*allowances[above], *found)
        above -= 1
    return found


def _covers(node: Node, column: int) -> bool:
    return node.last_line > node.line or node.column <= column < node.column + node.width


def _texts_by_line(top: Node) -> dict[int, list[Node]]:
    """The texts that hold a '#', by each line that they stand on."""
    found: dict[int, list[Node]] = {}
    for node in _texts(top):
        for line in range(node.line, node.last_line + 1):
            found.setdefault(line, []).append(node)
    return found


def _texts(node: Node) -> Iterator[Node]:
    if node.kind == "text" and "#" in node.text:
        yield node
    for item in node.items:
        yield from _texts(item)
    for key, value in node.pairs:
        yield from _texts(key)
        yield from _texts(value)
