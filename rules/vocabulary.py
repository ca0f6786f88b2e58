"""The closed vocabulary of a pack: the only events and fields that its rules may name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from engine.features.spec import Feature, Kind, Scalar
from rules.findings import Findings, shown
from rules.reading import Reader
from rules.source import Node, parse, read_text, refuse

FieldType = Literal["number", "text", "flag", "date"]
Sensitivity = Literal["", "personal", "health"]

# What a vocabulary file may compute for a field; rules reach the other kinds by their own words.
_FEATURE_KINDS: tuple[Kind, ...] = (
    "count",
    "sum",
    "days_since_last",
    "days_since_first",
    "median_interval_days",
    "interval_ratio",
    "days_until_next",
    "share",
    "trend",
)
_NEEDS_WINDOW = frozenset({"trend"})
_FIELD = ("type", "label", "unit", "one_of", "from", "to", "sensitive", "source")
_SOURCE = ("kind", "types", "of_types", "closed_by", "in_last")


@dataclass(frozen=True, slots=True)
class Field:
    """Something known of a contact.

    Attributes:
        name: as rules write it.
        type: number, text, flag (yes or no) or date.
        label: plain words.
        source: where the value comes from: an attribute or a computed feature; its name is the
            key in a flat row.
        unit: unit of a number.
        one_of: allowed texts; empty if any.
        low, high: bounds of a number.
        sensitive: personal or health data; empty if neither.
    """

    name: str
    type: FieldType
    label: str
    source: Feature
    unit: str = ""
    one_of: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    sensitive: Sensitivity = ""


@dataclass(frozen=True, slots=True)
class EventName:
    """An event, or a group of events under one name; `types` are the events it stands for."""

    name: str
    label: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Fields and events by name, in file order."""

    file: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    events: Mapping[str, EventName] = field(default_factory=dict)

    def types(self, event: str) -> tuple[str, ...]:
        """The event types that an event name stands for."""
        known = self.events.get(event)
        return known.types if known else (event,)


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in a file; raises InvalidRules with every finding."""
    return load_vocabulary(read_text(path), path.name)


def load_vocabulary(text: str, file: str) -> Vocabulary:
    """The vocabulary in a text; raises InvalidRules with every finding."""
    top, findings = parse(text, file)
    loader = _Loader(findings)
    vocabulary = loader.vocabulary(top, file)
    refuse(findings, file)
    return vocabulary


class _Loader:
    def __init__(self, findings: Findings) -> None:
        self._read = Reader(findings)
        self._findings = findings
        self._events: dict[str, EventName] = {}

    def vocabulary(self, top: Node, file: str) -> Vocabulary:
        found = self._read.settings(
            top, "a vocabulary", ("format", "events", "fields"), ("format", "events", "fields")
        )
        self._read.choice(found.get("format"), "format", ("1",), "1")
        self._load_events(found.get("events"))
        return Vocabulary(file, self._fields(found.get("fields")), self._events)

    def _load_events(self, node: Node | None) -> None:
        for key, value in node.pairs if node else ():
            name = self._read.name(key, "an event")
            found = self._read.settings(value, "an event", ("label", "of"), ("label",))
            members = self._read.each(found.get("of"), "of", self._event)
            types = tuple(dict.fromkeys(t for e in members for t in self._events[e].types))
            label = self._read.text(found.get("label"), "label")
            self._events[name] = EventName(name, label, types or (name,))

    def _event(self, node: Node) -> str | None:
        return self._read.known(node, "event", self._events)

    def _fields(self, node: Node | None) -> dict[str, Field]:
        fields = {}
        for key, value in node.pairs if node else ():
            name = self._read.name(key, "a field")
            found = self._read.settings(value, "a field", _FIELD, ("type", "label"))
            fields[name] = self._field(name, found)
        return fields

    def _field(self, name: str, found: Mapping[str, Node]) -> Field:
        read = self._read
        kind = read.choice(found.get("type"), "type", get_args(FieldType), "text")
        bounds = [read.number(found[key]) if key in found else None for key in ("from", "to")]
        for key, needs in (("from", "number"), ("to", "number"), ("unit", "number")):
            if key in found and kind != needs:
                read.fault("E103", f"{shown(key)} belongs to a {needs}", found[key])
        if "one_of" in found and kind != "text":
            read.fault("E103", '"one_of" belongs to a text', found["one_of"])
        source = self._source(name, found.get("source"))
        if source.kind == "attribute" and kind == "date":
            source = Feature(f"days until {name}", "days_until_date", attribute=source.attribute)
        elif source.kind != "attribute" and kind != "number":
            read.fault("E103", "a computed field is a number", found["source"], "type: number")
        return Field(
            name=name,
            type=cast("FieldType", kind),
            label=read.text(found.get("label"), "label"),
            source=source,
            unit=read.text(found.get("unit"), "unit"),
            one_of=read.each(found.get("one_of"), "one_of", lambda n: read.text(n, "a value")),
            low=bounds[0],
            high=bounds[1],
            sensitive=cast(
                "Sensitivity",
                read.choice(found.get("sensitive"), "sensitive", ("personal", "health"), ""),
            ),
        )

    def _source(self, name: str, node: Node | None) -> Feature:
        """An attribute (the field's own name if nothing is said) or a computed feature."""
        if node is None or node.kind == "text":
            attribute = self._read.name(node, "an attribute") or name
            return Feature(attribute, "attribute", attribute=attribute)
        found = self._read.settings(node, "source", _SOURCE, ("kind", "types"))
        kind = self._read.choice(found.get("kind"), "kind", _FEATURE_KINDS, "count")
        if kind in _NEEDS_WINDOW and "in_last" not in found:
            self._read.fault("E105", f"{shown(kind)} needs a period", node, "in_last: 90 days")
        # Its own name: a standard feature of that name may count other events as visits.
        return Feature(
            f"field {name}",
            cast("Kind", kind),
            types=self._types(found.get("types")),
            window_days=self._read.days(found.get("in_last")),
            of_types=self._types(found.get("of_types")),
            closed_by=self._types(found.get("closed_by")),
        )

    def _types(self, node: Node | None) -> tuple[str, ...]:
        names = self._read.each(node, "types", self._event)
        return tuple(dict.fromkeys(t for name in names for t in self._events[name].types))


def typed_value(read: Reader, about: Field, node: Node) -> Scalar:
    """A constant for a field, typed and checked by the vocabulary; None after a finding."""
    if about.type == "number":
        number = read.number(node)
        low = about.low if about.low is not None else float("-inf")
        high = about.high if about.high is not None else float("inf")
        if number is None or low <= number <= high:
            return number
        message = f"{node.text} is outside {low:g} to {high:g}, the range of {about.name}"
        read.fault("E111", message, node)
        return None
    if about.type in {"flag", "date"}:
        return read.yes_no(node, default=False) if about.type == "flag" else read.date(node)
    if node.kind != "text" or len(node.text) > 200:
        read.fault("E112", "this is a text of at most 200 characters", node)
        return None
    if about.one_of and node.text not in about.one_of:
        return read.choice(node, about.name, about.one_of, "") or None
    return node.text
