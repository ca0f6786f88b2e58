"""`keepwell rules fmt`: one layout for rule and vocabulary files; meaning and comments stay."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from engine.errors import Conflict, InvalidRules
from rules.commented import ALLOWANCE, Entry, Piece, read_commented
from rules.source import parse

WIDTH = 100
_STEP = 2

# What YAML 1.2 readers take for a number, yes/no or nothing; quotes around it keep it a text.
_TYPED = re.compile(
    r"(?:[-+]?(?:\d[\d_]*)?\.?\d*(?:[eE][-+]?\d+)?|0[xo][0-9a-fA-F]+|[-+]?\.(?:inf|Inf|INF)"
    r"|\.(?:nan|NaN|NAN)|~|null|Null|NULL|true|True|TRUE|false|False|FALSE)\Z"
)
# Stricter than YAML, whose readers differ about marks at the start.
_BARE = re.compile(r"(?:\w|[-+.$(/~^;]\w)(?:[^\n]*[^\s])?\Z")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


@dataclass(frozen=True)
class _Shape:
    """How a map or list is laid out.

    Attributes:
        first, last: settings in this order at the start and at the end; others keep theirs.
        inside: shapes of named settings; `each` is the shape of all others and of items.
        open: one entry a line always, else in brackets where that fits.
        spread: settings with an empty line before each; `parted` keeps the author's empty lines.
        most_in_brackets: with more entries than this, one entry a line.
    """

    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    inside: dict[str, "_Shape"] = field(default_factory=dict)
    each: "_Shape | None" = None
    open: bool = False
    spread: tuple[str, ...] = ()
    parted: bool = False
    most_in_brackets: int = 1000

    def of(self, name: str) -> "_Shape":
        return self.inside.get(name) or self.each or _SHORT


_SHORT = _Shape()
_CONDITION = _Shape(
    first=(
        *("field", "count", "none", "last", "first", "sum", "rate", "any"),
        *("of", "in_last", "since_last", "for_at_least"),
    ),
    last=("because",),
    open=True,
)
_CONDITIONS = _Shape(
    each=replace(_CONDITION, inside={"any": _Shape(each=_CONDITION, open=True)}), open=True
)
_TEST = _Shape(
    first=("name", "today", "offer", "contact", "subject", "events", "expect", "because"),
    inside={"events": _Shape(most_in_brackets=1)},  # one event a line reads as a story
    open=True,
)
_EXPECT = _Shape(first=("if_contacted", "if_left", "weight"))
_PROPOSAL = (
    *("action", "template", "purpose", "by", "value", "cost", "expect", "goal", "still"),
    *("priority", "approval"),
)
_OFFER = _Shape(first=_PROPOSAL, inside={"expect": _EXPECT})
_THEN = _Shape(
    first=("choose", *_PROPOSAL, "offers"),
    inside={"expect": _EXPECT, "offers": _Shape(each=_OFFER, open=True)},
    open=True,
)
_RULE = _Shape(
    first=(
        *("id", "title", "why", "owner", "status", "check", "season", "on_days", "holidays"),
        *("subject", "for_each", "when", "unless", "then", "cooldown", "send_between", "tests"),
    ),
    inside={
        "season": _Shape(first=("from", "to")),
        "when": _CONDITIONS,
        "unless": _CONDITIONS,
        "then": _THEN,
        "tests": _Shape(each=_TEST, open=True),
    },
    open=True,
)
_TABLE = _Shape(
    first=("id", "hit", "columns", "rows"), inside={"rows": _Shape(open=True)}, open=True
)
_RULES_FILE = _Shape(
    first=("format", "pack", "vocabulary", "days_are", "defaults", "choose", "rules"),
    inside={
        "defaults": _Shape(first=("status", "owner", "cooldown", "send_between"), open=True),
        "choose": _Shape(each=_TABLE, open=True, parted=True),
        "rules": _Shape(each=_RULE, open=True, spread=("",)),
    },
    open=True,
    spread=("defaults", "choose", "rules"),
    parted=True,
)
_SOURCE = _Shape(first=("kind", "property", "types", "of_types", "closed_by"))
_FIELD = _Shape(
    first=(
        *("type", "unit", "one_of", "from", "to", "label", "sensitive", "about", "origin"),
        "source",
    ),
    inside={"source": _SOURCE},
)
_KNOWN_EVENT = _Shape(
    first=("label", "of", "about", "value", "origin"),
    inside={"value": _Shape(first=("label", "unit", "from", "to"))},
)
_VOCABULARY_FILE = _Shape(
    first=("format", "include", "subjects", "events", "fields"),
    inside={
        "subjects": _Shape(each=_Shape(first=("label",)), open=True, parted=True),
        "events": _Shape(each=_KNOWN_EVENT, open=True, parted=True),
        "fields": _Shape(each=_FIELD, open=True, parted=True),
    },
    open=True,
    spread=("include", "subjects", "events", "fields"),
    parted=True,
)


def formatted(text: str, file: str) -> str:
    """The file in the one layout; the same text comes back if it has it already.

    Order of rules, conditions and comparisons, every value and every comment stay.

    Raises:
        InvalidRules: the text is no plain YAML document, with every finding.
        Conflict: the new text would not say the same; a fault of this program.
    """
    parse(text, file)
    top = read_commented(text)
    if not top.entries:
        return text
    content, remarks = _content(top), sorted(_remarks(top))
    shape = _RULES_FILE if top.get("rules") else _VOCABULARY_FILE
    result = "\n".join(_open_map(top, shape, 0)) + "\n"
    if not _says(result, file, content, remarks):
        raise Conflict(
            f"The layout of {file} can't be changed without changing what it says.",
            hint="This is a fault of the program; the file was left as it is.",
        )
    return result


def _says(text: str, file: str, content: object, remarks: list[str]) -> bool:
    """Whether the text can be read and has this content with these comments."""
    try:
        parse(text, file)
    except InvalidRules:
        return False
    top = read_commented(text)
    return _content(top) == content and sorted(_remarks(top)) == remarks


def _content(piece: Piece) -> object:
    if piece.kind == "text":
        return piece.text
    if piece.kind == "map":
        return {entry.name: _content(entry.value) for entry in piece.entries}
    return [_content(entry.value) for entry in piece.entries]


def _remarks(piece: Piece) -> list[str]:
    found = [line for line in piece.after if line]
    for entry in piece.entries:
        found += [line for line in (*entry.above, *entry.beside) if line]
        found += _remarks(entry.value)
    return found


def _ordered(piece: Piece, shape: _Shape) -> list[Entry]:
    """Settings in the order of the shape; items as they are."""

    def rank(entry: Entry) -> int:
        if entry.name in shape.first:
            return shape.first.index(entry.name)
        late = 1 + shape.last.index(entry.name) if entry.name in shape.last else 0
        return len(shape.first) + late

    return sorted(piece.entries, key=rank)


def _open_map(piece: Piece, shape: _Shape, indent: int) -> list[str]:
    lines: list[str] = []
    for position, entry in enumerate(_ordered(piece, shape)):
        spread = position > 0 and entry.name in shape.spread
        lines += _above(entry, indent, spread=spread, parted=shape.parted and position > 0)
        lines += _setting(entry, shape.of(entry.name), indent)
    return lines + _comment_lines(piece.after, indent, parted=True)


def _open_list(piece: Piece, shape: _Shape, indent: int) -> list[str]:
    lines: list[str] = []
    for position, entry in enumerate(piece.entries):
        above, body = _item(entry, shape.of(""), indent)
        moved = replace(entry, above=_joined(entry.above, above))
        spread = position > 0 and bool(shape.spread)
        lines += _above(moved, indent, spread=spread, parted=shape.parted and position > 0)
        lines += body
    return lines + _comment_lines(piece.after, indent, parted=bool(shape.spread))


def _joined(above: list[str], moved: list[str]) -> list[str]:
    """Comment lines above an item; an allowance counts only directly above its rule."""
    cut = len(above)
    while cut and ALLOWANCE.match(above[cut - 1]):
        cut -= 1
    allowing = [line for line in moved if ALLOWANCE.match(line)]
    others = [line for line in moved if not ALLOWANCE.match(line)]
    return [*above[:cut], *others, *above[cut:], *allowing]


def _above(entry: Entry, indent: int, *, spread: bool, parted: bool) -> list[str]:
    """Comment lines before an entry, and the empty line if one belongs there."""
    keep = spread or parted
    lines = _comment_lines(entry.above, indent, parted=keep)
    if entry.apart and keep:
        lines.append("")
    if spread and (not lines or lines[0]):
        lines.insert(0, "")
    return lines


def _comment_lines(texts: Iterable[str], indent: int, *, parted: bool) -> list[str]:
    return [" " * indent + text if text else "" for text in texts if text or parted]


def _setting(entry: Entry, shape: _Shape, indent: int) -> list[str]:
    head = " " * indent + _text(entry.key, in_brackets=False) + ":" if entry.key else ""
    return _valued(head, entry, shape, indent)


def _item(entry: Entry, shape: _Shape, indent: int) -> tuple[list[str], list[str]]:
    """Comments that have to stand above the item, and its lines."""
    head = " " * indent + "-"
    if entry.value.kind == "text" or _in_one_line(entry.value, shape, len(head)):
        return [], _valued(head, entry, shape, indent)
    inner = indent + _STEP
    above = [*entry.beside]
    if entry.value.kind == "map":
        before = entry.value.entries[0] if entry.value.entries else None
        first = _ordered(entry.value, shape)[0]
        above = [*above, *(line for line in first.above if line)]
        first.above, first.apart = [], False
        if before is not None and before is not first:
            above += before.beside
            before.beside = []
        lines = _open_map(entry.value, shape, inner)
    else:
        lines = _open_list(entry.value, shape, inner)
    lines[0] = head + lines[0][len(head) :]
    return above, lines


def _valued(head: str, entry: Entry, shape: _Shape, indent: int) -> list[str]:
    """The lines of a setting or item from its head on."""
    piece = entry.value
    beside = "".join(f" {text}" for text in entry.beside[:1])
    extra = _comment_lines(entry.beside[1:], indent, parted=False)
    if piece.kind == "text":
        return [*extra, *_worded(head, piece, beside, indent)]
    short = _in_one_line(piece, shape, len(head))
    if short:
        return [*extra, f"{head} {short}{beside}"]
    inner = indent + _STEP
    write = _open_map if piece.kind == "map" else _open_list
    return [*extra, head + beside, *write(piece, shape, inner)]


def _in_one_line(piece: Piece, shape: _Shape, taken: int) -> str:
    """The map or list in brackets; empty if it does not belong or fit there."""
    if not piece.entries:
        return "{}" if piece.kind == "map" else "[]"
    if shape.open or piece.commented or len(piece.entries) > shape.most_in_brackets:
        return ""
    found = _in_brackets(piece, shape)
    return found if taken + 1 + len(found) <= WIDTH and "\n" not in found else ""


def _in_brackets(piece: Piece, shape: _Shape) -> str:
    if piece.kind == "text":
        return _text(piece, in_brackets=True)
    parts = []
    for entry in _ordered(piece, shape):
        value = _in_brackets(entry.value, shape.of(entry.name))
        parts.append(f"{_text(entry.key, in_brackets=True)}: {value}" if entry.key else value)
    return "{" + ", ".join(parts) + "}" if piece.kind == "map" else "[" + ", ".join(parts) + "]"


def _worded(head: str, piece: Piece, beside: str, indent: int) -> list[str]:
    """A text after its head: on the same line, or folded over several where it is too long."""
    if not piece.text and not piece.quoted:
        return [head + beside]
    short = _text(piece, in_brackets=False)
    body = piece.text.removesuffix("\n")
    foldable = body == " ".join(body.split()) and body.isprintable() and body
    ended = piece.text != body
    if foldable and (ended or len(head) + 1 + len(short) > WIDTH):
        inner = " " * (indent + _STEP)
        return [f"{head} >{'' if ended else '-'}{beside}", *_folded(body, inner)]
    return [f"{head} {short}{beside}"]


def _folded(text: str, indent: str) -> list[str]:
    lines = [indent]
    for word in text.split(" "):
        if len(lines[-1]) + 1 + len(word) > WIDTH and lines[-1] != indent:
            lines.append(indent)
        lines[-1] += word if lines[-1] == indent else f" {word}"
    return lines


def _text(piece: Piece | None, *, in_brackets: bool) -> str:
    """A text on one line, bare where every YAML reader takes it for the same text."""
    text = piece.text if piece else ""
    keep = piece is not None and piece.quoted and bool(_TYPED.match(text))
    troubled = ": " in text or " #" in text or text.endswith(":") or not text.isprintable()
    bracketed = in_brackets and any(mark in text for mark in ",[]{}?")
    if text and not keep and not troubled and not bracketed and _BARE.match(text):
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\U{number:08X}" if number > 0xFFFF else f"\\u{number:04X}"
