"""The files that a vocabulary is made of, and the same vocabulary as one text."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from engine.errors import InvalidRules
from rules.findings import Findings, shown, suggestion
from rules.source import Node, parse, read_text, refuse

PACKS = Path(__file__).parent / "packs"
MOST_INCLUDES = 20
_KEPT = 64  # texts; a shipped vocabulary has some 10 KB
_PARTS = ("subjects", "events", "fields")


@dataclass(frozen=True, slots=True)
class VocabularySource:
    """One parsed file of a vocabulary, with the findings to note its faults in."""

    file: str
    text: str
    top: Node
    findings: Findings


@cache
def _shipped() -> Mapping[str, Path]:
    """The shipped files by name; they don't change while the program runs."""
    return {path.name: path for path in sorted(PACKS.rglob("*.yaml"), reverse=True)}


def shipped(name: str) -> Path | None:
    """Where the shipped file of that name lies; None if there is none."""
    return _shipped().get(name)


def vocabulary_path(rules: Path, name: str) -> Path:
    """Where the vocabulary `name` of a rules file lies; beside it where there is none anywhere."""
    beside = rules.parent / name
    return beside if beside.exists() else shipped(name) or beside


def vocabulary_sources(text: str, file: str, folder: Path | None) -> list[VocabularySource]:
    """The vocabulary and everything it includes, each file once, included ones first.

    A name under `include` is looked for in `folder`, then among the shipped files. Raises
    InvalidRules if a file can't be read, is not there or includes itself.
    """
    found: dict[str, VocabularySource] = {}
    _gather(text, file, folder, found, ())
    return list(found.values())


def included_texts(text: str, file: str, folder: Path | None) -> tuple[tuple[str, str], ...] | None:
    """Name and text of every file that a vocabulary includes; None where one has a fault.

    All that a vocabulary means follows from its own text and these.
    """
    found: dict[str, str] = {}
    waiting = [(text, file, folder)]
    while waiting:
        each, name, inside = waiting.pop()
        names = _names_in(each, name)
        if names is None or len(found) > MOST_INCLUDES:
            return None
        for included in names:
            if included in found:
                continue
            path = _place_of(included, inside)
            if path is None:
                return None
            found[included] = read_text(path)
            waiting.append((found[included], path.name, path.parent))
    return tuple(found.items())


@lru_cache(maxsize=_KEPT)
def _names_in(text: str, file: str) -> tuple[str, ...] | None:
    """What a text includes; None if it has a fault that reading it will tell."""
    try:
        top, findings = parse(text, file)
    except InvalidRules:
        return None
    names = tuple(node.text for node in _included(top, findings))
    return None if findings.in_order() else names


def _gather(
    text: str,
    file: str,
    folder: Path | None,
    found: dict[str, VocabularySource],
    including: tuple[str, ...],
) -> None:
    top, findings = parse(text, file)
    names = list(_included(top, findings))
    refuse(findings, file)
    for node in names:
        if node.text in (*including, file):
            message = f"{shown(node.text)} includes itself: {' → '.join((*including, file))}"
            findings.add("E141", message, node.place, hint="delete one of the includes")
            refuse(findings, file)
        if node.text not in found:
            path = _place_of(node.text, folder)
            if path is None or len(found) + len(including) > MOST_INCLUDES:
                _refuse_include(node, findings, known=path is not None)
                refuse(findings, file)
            assert path is not None  # noqa: S101 - refused above
            _gather(read_text(path), path.name, path.parent, found, (*including, file))
    found[file] = VocabularySource(file, text, top, findings)


def _included(top: Node, findings: Findings) -> Iterator[Node]:
    node = top.get("include")
    if node is None:
        return
    if node.kind != "list":
        findings.add("E012", "include is a list; start each line with a dash", node.place)
    for item in node.items:
        if item.kind == "text" and item.text and Path(item.text).name == item.text:
            yield item
        else:
            hint = "include: [common.vocab.yaml]"
            findings.add("E014", "an include is the name of a file", item.place, hint=hint)


def _place_of(name: str, folder: Path | None) -> Path | None:
    if folder is not None and (folder / name).exists():
        return folder / name
    return shipped(name)


def _refuse_include(node: Node, findings: Findings, *, known: bool) -> None:
    if known:
        findings.add("E007", f"more than {MOST_INCLUDES} files are included", node.place)
        return
    hint = suggestion(node.text, (path.name for path in PACKS.rglob("*.vocab.yaml")))
    findings.add("E143", f"there is no file {shown(node.text)}", node.place, hint=hint)


def flattened(sources: Iterable[VocabularySource]) -> str:
    """One text that says what all sources say, without includes and comments."""
    lines = ["format: 1"]
    parts: dict[str, dict[str, Node]] = {part: {} for part in _PARTS}
    for source in sources:
        for part in _PARTS:
            node = source.top.get(part)
            for key, value in node.pairs if node else ():
                parts[part].setdefault(key.text, value)
    for part, said in parts.items():
        if said or part != "subjects":
            lines += [f"{part}:" if said else f"{part}: {{}}"]
            lines += [f"  {_flow(name)}: {_flow_of(node)}" for name, node in said.items()]
    return "\n".join(lines) + "\n"


def _flow_of(node: Node) -> str:
    if node.kind == "text":
        return _flow(node.text)
    if node.kind == "list":
        return "[" + ", ".join(map(_flow_of, node.items)) + "]"
    return "{" + ", ".join(f"{_flow(key.text)}: {_flow_of(v)}" for key, v in node.pairs) + "}"


def _flow(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
