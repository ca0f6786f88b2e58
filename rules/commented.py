"""A YAML text as a tree that keeps its comments, for rewriting the layout.

Comments hang on what they speak about: lines above and text beside an entry (a setting of a map
or an item of a list), and lines after the last entry of a map or list.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import yaml

_READER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
ALLOWANCE = re.compile(r"#\s*allow\b")  # as in rules.allowances
_BEYOND = -1  # column of the end of the file: every comment belongs to what stands before it


@dataclass(slots=True)
class Piece:
    """A text, map or list.

    Attributes:
        kind, text: as in rules.source.Node.
        quoted: whether the author put quotes around the text.
        entries: settings or items, in file order.
        after: comment lines after the last entry, '' for an empty line.
        start, end: offsets in the file.
        in_brackets: written as {…} or […].
        column: where its entries start, from 0.
    """

    kind: Literal["text", "map", "list"]
    start: int
    end: int
    text: str = ""
    quoted: bool = False
    entries: list["Entry"] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    in_brackets: bool = False
    column: int = 0

    def get(self, name: str) -> "Piece | None":
        return next((e.value for e in self.entries if e.name == name), None)

    @property
    def commented(self) -> bool:
        """Whether a comment stands anywhere inside."""
        return bool(self.after) or any(
            entry.above or entry.beside or entry.value.commented for entry in self.entries
        )


@dataclass(slots=True)
class Entry:
    """A setting (with a key) or an item (without).

    `above` are comment lines before it, '' for an empty line among or before them; `beside` are
    comments on its own line; `apart` says that an empty line separates it from what is above.
    """

    key: Piece | None
    value: Piece
    parent: Piece
    above: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    apart: bool = False

    @property
    def name(self) -> str:
        return self.key.text if self.key else ""

    @property
    def start(self) -> int:
        return self.key.start if self.key else self.value.start

    @property
    def end(self) -> int:
        return max(self.value.end, self.key.end if self.key else 0)


@dataclass(frozen=True, slots=True)
class _Comment:
    offset: int
    line: int
    column: int
    text: str
    alone: bool


def read_commented(text: str) -> Piece:
    """The tree of a text that rules.source.parse accepts, comments and empty lines included."""
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    lines = _Lines(text)
    node = yaml.compose(text, Loader=_READER)
    if node is None:
        return Piece("map", 0, 0)
    top = lines.piece(node)
    entries = sorted(_entries(top), key=lambda entry: (entry.start, -entry.end))
    hanging = _Hanging(top, entries, lines)
    for comment in _comments(top, lines):
        hanging.hang(comment)
    _note_gaps(entries, lines)
    return top


def _entries(piece: Piece) -> Iterator[Entry]:
    for entry in piece.entries:
        yield entry
        yield from _entries(entry.value)


class _Lines:
    """The text with the offsets of its lines."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)

    def line_of(self, offset: int) -> int:
        """The line of an offset, from 0."""
        return bisect_right(self.starts, offset) - 1

    def piece(self, node: yaml.Node) -> Piece:
        start, end = self._offset(node.start_mark), self._offset(node.end_mark)
        if isinstance(node, yaml.ScalarNode):
            quoted = node.style in {"'", '"'}
            if node.style in {"|", ">"}:
                end = len(self.text[:end].rstrip())
            return Piece("text", start, max(start, end), node.value, quoted)
        kind: Literal["map", "list"] = "map" if isinstance(node, yaml.MappingNode) else "list"
        bracket = self.text[start : start + 1]
        found = Piece(kind, start, end, in_brackets=bool(bracket) and bracket in "{[")
        found.column = node.start_mark.column
        for part in node.value:
            key, value = part if kind == "map" else (None, part)
            entry = Entry(self.piece(key) if key else None, self.piece(value), found)
            found.entries.append(entry)
        if not found.in_brackets and found.entries:
            found.end = found.entries[-1].end
        return found

    def _offset(self, mark: yaml.Mark) -> int:
        return self.starts[mark.line] + mark.column


def _comments(top: Piece, lines: _Lines) -> Iterator[_Comment]:
    """Every comment: a # outside texts, to the end of the line."""
    taken = sorted(_texts(top), key=lambda piece: piece.start)
    position = 0
    for number, line in enumerate(lines.lines):
        start = lines.starts[number]
        column = line.find("#")
        while column >= 0:
            offset = start + column
            while position < len(taken) and taken[position].end <= offset:
                position += 1
            over = taken[position] if position < len(taken) else None
            if over is None or offset < over.start or _heads_block(over, offset, lines.text):
                alone = not line[:column].strip()
                yield _Comment(offset, number, column, line[column:].rstrip(), alone)
                break
            column = line.find("#", min(over.end, start + len(line)) - start)


def _texts(piece: Piece) -> Iterator[Piece]:
    if piece.kind == "text":
        yield piece
    for entry in piece.entries:
        if entry.key:
            yield entry.key
        yield from _texts(entry.value)


def _heads_block(piece: Piece, offset: int, text: str) -> bool:
    """Whether the place is on the first line of a text written below | or >."""
    begin = text[piece.start : piece.start + 1]
    return not piece.quoted and begin in {"|", ">"} and "\n" not in text[piece.start : offset]


class _Hanging:
    """Finds out what a comment speaks about."""

    def __init__(self, top: Piece, entries: list[Entry], lines: _Lines) -> None:
        self._top = top
        self._entries = entries
        self._lines = lines
        self._around: dict[int, Entry] = {id(e.value): e for e in entries}
        self._starts = [entry.start for entry in entries]
        self._on_line: dict[int, list[tuple[Entry, int, int]]] = {}
        for entry in entries:
            first, last = lines.line_of(entry.start), lines.line_of(entry.end)
            for line in {first, last}:
                self._on_line.setdefault(line, []).append((entry, first, last))

    def hang(self, comment: _Comment) -> None:
        beside = None if comment.alone else self._beside(comment)
        if beside is not None:
            beside.beside.append(comment.text)
            return
        passed = bisect_left(self._starts, comment.offset)
        following = self._entries[passed] if passed < len(self._entries) else None
        last = self._entries[passed - 1] if passed else None
        if last is not None and last.value.kind == "text" and last.end > comment.offset:
            self._above(last.above, comment)  # between a name and its text
            return
        parent = self._left_open(last, following, comment)
        if parent is None and following is not None:
            self._above(following.above, comment)
        elif parent is not None and not parent.entries and id(parent) in self._around:
            self._above(self._around[id(parent)].above, comment)
        else:
            self._above((parent or self._top).after, comment)

    def _above(self, into: list[str], comment: _Comment) -> None:
        line = comment.line
        if comment.alone and line and not self._lines.lines[line - 1].strip():
            into.append("")
        into.append(comment.text)

    def _beside(self, comment: _Comment) -> Entry | None:
        """The innermost entry that ends latest, or else begins latest, on the comment's line."""
        best, furthest = None, -1
        for entry, first, last in self._on_line.get(comment.line, ()):
            if entry.start >= comment.offset:
                break
            if entry.end <= comment.offset and last == comment.line:
                place = entry.end
            elif entry.end > comment.offset and first == comment.line:
                place = entry.start
            else:
                continue
            if place >= furthest:
                best, furthest = entry, place
        return best

    def _left_open(
        self, last: Entry | None, following: Entry | None, comment: _Comment
    ) -> Piece | None:
        """The map or list that the comment closes; None if it speaks about what follows."""
        chain = self._chain(last)
        for piece in chain:
            if piece.in_brackets and piece.end > comment.offset:
                follows_inside = following is not None and following.start < piece.end
                return None if follows_inside else piece
        if following is not None and self._allows(comment, following):
            return None
        column = following.parent.column if following is not None else _BEYOND
        if comment.column <= column or not comment.alone:
            return None
        fitting = (p for p in chain if not p.in_brackets and p.column <= comment.column)
        return next(fitting, None)

    def _allows(self, comment: _Comment, following: Entry) -> bool:
        """Whether it is an allowance directly above what follows, which it then speaks about."""
        between = self._lines.lines[comment.line : self._lines.line_of(following.start)]
        return all(ALLOWANCE.match(line.strip()) for line in between)

    def _chain(self, entry: Entry | None) -> list[Piece]:
        """The maps and lists around an entry, innermost first."""
        found = []
        while entry is not None:
            found.append(entry.parent)
            entry = self._around.get(id(entry.parent))
        return found


def _note_gaps(entries: list[Entry], lines: _Lines) -> None:
    for entry in entries:
        line = lines.line_of(entry.start)
        entry.apart = line > 0 and not lines.lines[line - 1].strip()
