"""The closed vocabulary of a pack: the only events, fields and subjects its rules may name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

from engine.features.spec import Feature, Scalar, SubjectKind
from rules.field_sources import SourceReader
from rules.findings import shown
from rules.includes import VocabularySource, flattened, included_texts, vocabulary_sources
from rules.reading import LONGEST_TEXT, Reader
from rules.source import Node, read_text, refuse

FieldType = Literal["number", "text", "flag", "date", "list"]
Sensitivity = Literal["", "personal", "health"]

_TOP = ("format", "include", "subjects", "events", "fields")
_SUBJECT = ("label", "opened_by", "closed_by")
_EVENT = ("label", "of", "about", "origin", "value")
_FIELD = (
    *("type", "label", "unit", "one_of", "from", "to"),
    *("sensitive", "about", "origin", "source"),
)
_NUMBER = ("number",)
_BELONGS_TO = {"from": _NUMBER, "to": _NUMBER, "unit": _NUMBER, "one_of": ("text", "list")}
_DEEPEST_GROUP = 20
_KEPT = 64  # vocabularies

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """Something known of a contact, or of a subject.

    Attributes:
        name: as rules write it.
        type: number, text, flag (yes or no), date or list (of texts).
        label: plain words.
        source: where the value comes from: an attribute, a property of the subject or a computed
            feature; its name is the key in a flat row.
        unit: unit of a number.
        one_of: allowed texts; empty if any.
        low, high: bounds of a number.
        sensitive: personal or health data; empty if neither.
        about: the subject kind it belongs to; empty for the contact.
        origin: where the data comes from, for people.
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
    about: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class EventValue:
    """The number that an event carries, and its bounds."""

    label: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class EventName:
    """An event, or a group of events under one name; `types` are the events it stands for.

    Attributes:
        about: the subject kind that each of them is about; empty if none or several.
        origin: where they come from, for people.
        value: the number they carry; None if none.
    """

    name: str
    label: str
    types: tuple[str, ...]
    about: str = ""
    origin: str = ""
    value: EventValue | None = None


@dataclass(frozen=True, slots=True)
class SubjectName:
    """A kind of thing that rules may be about, and the events that open and close one."""

    name: str
    label: str
    opened_by: tuple[str, ...]
    closed_by: tuple[str, ...]

    @property
    def kind(self) -> SubjectKind:
        """As the feature layer takes it."""
        return SubjectKind(self.name, self.opened_by, self.closed_by)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Fields, events and subject kinds by name, in file order, included files first."""

    file: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    events: Mapping[str, EventName] = field(default_factory=dict)
    subjects: Mapping[str, SubjectName] = field(default_factory=dict)

    def types(self, event: str) -> tuple[str, ...]:
        """The event types that an event name stands for."""
        known = self.events.get(event)
        return known.types if known else (event,)

    def about(self, event: str) -> str:
        """The subject kind that an event is about; empty if none."""
        known = self.events.get(event)
        return known.about if known else ""

    def types_about(self, kind: str) -> tuple[str, ...]:
        """Every event type about a subject kind, sorted."""
        return tuple(sorted({t for e in self.events.values() if e.about == kind for t in e.types}))


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in a file and those it includes; raises InvalidRules with every finding."""
    return load_vocabulary(read_text(path), path.name, path.parent)


def load_vocabulary(text: str, file: str, folder: Path | None = None) -> Vocabulary:
    """The vocabulary in a text; raises InvalidRules with every finding of the first wrong file.

    An included file is looked for in `folder`, then among the shipped ones. Many rule files share
    a vocabulary, so the same texts are read once.
    """
    included = included_texts(text, file, folder)
    load = _loaded if included is None else _kept
    return load(text, file, folder, included)


def _loaded(text: str, file: str, folder: Path | None, _included: object) -> Vocabulary:
    loader = _Loader()
    for source in vocabulary_sources(text, file, folder):
        loader.add(source)
        refuse(source.findings, source.file)
    return Vocabulary(file, loader.fields, loader.events, loader.subjects)


_kept = lru_cache(maxsize=_KEPT)(_loaded)


def flat_vocabulary(path: Path) -> str:
    """The vocabulary of a file as one text that includes nothing, to be stored.

    It means exactly what the file means. Raises InvalidRules as `read_vocabulary` does.
    """
    return flat_text(read_text(path), path.name, path.parent)


def flat_text(text: str, file: str, folder: Path | None = None) -> str:
    """The same for a text; see `load_vocabulary`. A text that includes nothing stays as it is."""
    load_vocabulary(text, file, folder)
    sources = vocabulary_sources(text, file, folder)
    return text if len(sources) == 1 else flattened(sources)


class _Loader:
    """Reads one source after the other; each may use the names of those before it."""

    def __init__(self) -> None:
        self.fields: dict[str, Field] = {}
        self.events: dict[str, EventName] = {}
        self.subjects: dict[str, SubjectName] = {}
        self._places: dict[tuple[str, str], str] = {}

    def add(self, source: VocabularySource) -> None:
        self._read = Reader(source.findings)
        self._findings = source.findings
        self._file = source.file
        parts = ("format", "events", "fields") if source.top.get("include") is None else ("format",)
        found = self._read.settings(source.top, "a vocabulary", _TOP, parts)
        self._read.choice(found.get("format"), "format", ("1",), "1")
        kinds = self._subject_names(found.get("subjects"))
        events = self._events(found.get("events"), kinds)
        subjects = self._subjects(found.get("subjects"), events)
        events = self._about_their_subjects(events, subjects)
        self._keep("subject", self.subjects, subjects, found.get("subjects"))
        self._keep("event", self.events, events, found.get("events"))
        fields = self._fields(found.get("fields"))
        self._keep("field", self.fields, fields, found.get("fields"))
        self._check_intervals(fields, found.get("fields"))

    def _keep(
        self, what: str, known: dict[str, T], new: Mapping[str, T], node: Node | None
    ) -> None:
        """Add what is new; what another file says differently is noted."""
        for name, value in new.items():
            earlier = self._places.setdefault((what, name), self._file)
            if known.setdefault(name, value) != value:
                key = next(key for key, _ in (node.pairs if node else ()) if key.text == name)
                message = f"the {what} {shown(name)} is said differently in {earlier}"
                self._read.fault("E142", message, key, "delete it here or give it another name")

    # ------------------------------------------------------------------------ subjects

    def _subject_names(self, node: Node | None) -> set[str]:
        if node is not None and node.kind != "map":
            self._read.settings(node, "subjects", ())
        return {*self.subjects, *(key.text for key, _ in (node.pairs if node else ()))}

    def _subjects(
        self, node: Node | None, events: Mapping[str, EventName]
    ) -> dict[str, SubjectName]:
        read, subjects = self._read, {}
        for key, value in node.pairs if node else ():
            name = read.name(key, "a subject")
            if name == "contact" or "." in name:
                hint = "for example: contract"
                read.fault("E014", f"{shown(name)} is no name for a subject", key, hint)
            found = read.settings(value, "a subject", _SUBJECT, ("label", "opened_by"))
            opened, closed = (
                self._types_among(found.get(word), {**self.events, **events}, name)
                for word in ("opened_by", "closed_by")
            )
            subjects[name] = SubjectName(
                name, read.text(found.get("label"), "label"), opened, closed
            )
        return subjects

    @staticmethod
    def _about_their_subjects(
        events: Mapping[str, EventName], subjects: Mapping[str, SubjectName]
    ) -> dict[str, EventName]:
        """Whatever opens or closes a subject is about it, said or not."""
        kinds = {t: s.name for s in subjects.values() for t in (*s.opened_by, *s.closed_by)}
        return {
            name: event
            if event.about or event.types != (name,) or name not in kinds
            else replace(event, about=kinds[name])
            for name, event in events.items()
        }

    # -------------------------------------------------------------------------- events

    def _events(self, node: Node | None, kinds: set[str]) -> dict[str, EventName]:
        if node is not None and node.kind != "map":
            self._read.settings(node, "events", ())
        said = {}
        for key, value in node.pairs if node else ():
            name = self._read.name(key, "an event")
            said[name] = self._read.settings(value, "an event", _EVENT, ("label",))
        done: dict[str, EventName] = {}
        for name in said:
            self._event_named(name, said, done, ())
        return {name: self._valued(done[name], said[name], kinds) for name in said if name in done}

    def _event_named(
        self,
        name: str,
        said: Mapping[str, Mapping[str, Node]],
        done: dict[str, EventName],
        path: tuple[str, ...],
    ) -> EventName | None:
        """The event with its members; a group that contains itself is noted."""
        if name in done or name not in said:
            return done.get(name) or self.events.get(name)
        members: list[EventName] = []
        for node in self._read.items(said[name].get("of"), "of"):
            word = self._read.known(node, "event", {**self.events, **said})
            if word in (*path, name) or len(path) > _DEEPEST_GROUP:
                message = f"the group {shown(name)} contains itself"
                self._read.fault("E141", message, node, "name only other events")
            elif word is not None:
                member = self._event_named(word, said, done, (*path, name))
                members += [member] if member else []
        types = tuple(dict.fromkeys(t for member in members for t in member.types)) or (name,)
        abouts = {member.about for member in members}
        about = abouts.pop() if len(abouts) == 1 else ""
        done[name] = EventName(name, "", types, about)
        return done[name]

    def _valued(self, event: EventName, found: Mapping[str, Node], kinds: set[str]) -> EventName:
        read = self._read
        about = event.about
        if "about" in found:
            about = read.known(found["about"], "subject", kinds) or ""
        value = None
        if "value" in found:
            said = read.settings(found["value"], "a value", ("label", "from", "to"), ("label",))
            low, high = (read.number(said[k]) if k in said else None for k in ("from", "to"))
            value = EventValue(read.text(said.get("label"), "label"), low, high)
        label = read.text(found.get("label"), "label")
        origin = read.text(found.get("origin"), "origin")
        return replace(event, label=label, about=about, origin=origin, value=value)

    def _types(self, node: Node | None, about: str) -> tuple[str, ...]:
        return self._types_among(node, self.events, about)

    def _types_among(
        self, node: Node | None, events: Mapping[str, EventName], about: str
    ) -> tuple[str, ...]:
        """Event types of the names in a list; with `about`, only events about that kind."""
        names = []
        for item in self._read.items(node, "a list of events"):
            name = self._read.known(item, "event", events)
            if name is None:
                continue
            names.append(name)
            if about and events[name].about not in {"", about}:
                message = f"{shown(name)} is about a {events[name].about}, not about a {about}"
                self._read.fault("E108", message, item)
        return tuple(dict.fromkeys(t for name in names for t in events[name].types))

    # -------------------------------------------------------------------------- fields

    def _fields(self, node: Node | None) -> dict[str, Field]:
        if node is not None and node.kind != "map":
            self._read.settings(node, "fields", ())
        fields = {}
        for key, value in node.pairs if node else ():
            name = self._read.name(key, "a field")
            found = self._read.settings(value, "a field", _FIELD, ("type", "label"))
            fields[name] = self._field(key, found)
        return fields

    def _field(self, key: Node, found: Mapping[str, Node]) -> Field:
        read = self._read
        type_ = read.choice(found.get("type"), "type", get_args(FieldType), "text")
        for word, needs in _BELONGS_TO.items():
            if word in found and type_ not in needs:
                read.fault("E103", f"{shown(word)} belongs to a {needs[0]}", found[word])
        about = read.known(found["about"], "subject", self.subjects) if "about" in found else ""
        low, high = (read.number(found[word]) if word in found else None for word in ("from", "to"))
        sources = SourceReader(read, self._types)
        return Field(
            name=key.text,
            type=cast("FieldType", type_),
            label=read.text(found.get("label"), "label"),
            source=sources.source(key, type_, about or "", found.get("source")),
            unit=read.text(found.get("unit"), "unit"),
            one_of=read.each(found.get("one_of"), "one_of", lambda n: read.text(n, "a value")),
            low=low,
            high=high,
            sensitive=cast(
                "Sensitivity",
                read.choice(found.get("sensitive"), "sensitive", ("personal", "health"), ""),
            ),
            about=about or "",
            origin=read.text(found.get("origin"), "origin"),
        )

    def _check_intervals(self, fields: Mapping[str, Field], node: Node | None) -> None:
        """The months of a recall that stand with the contact are a number that is known."""
        for key, value in node.pairs if node else ():
            source = value.get("source")
            every = source.get("every_from") if source else None
            if every is None or key.text not in fields:
                continue
            known = self._read.known(every, "field", self.fields)
            if known and (self.fields[known].type != "number" or self.fields[known].about):
                self._read.fault("E103", f"{shown(known)} is no number of the contact", every)


def typed_value(read: Reader, about: Field, node: Node) -> Scalar:
    """A constant for a field, typed and checked by the vocabulary; None after a finding.

    A list comes back as one text, its items in lines.
    """
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
    if about.type == "list" and node.kind == "list":
        return "\n".join(str(text_value(read, about, item) or "") for item in node.items)
    return text_value(read, about, node)


def text_value(read: Reader, about: Field, node: Node) -> str | None:
    """A text, or one item of a list; None after a finding."""
    empty_item = about.type == "list" and not node.text.strip()
    if node.kind != "text" or len(node.text) > LONGEST_TEXT or "\n" in node.text or empty_item:
        read.fault("E112", f"this is a text of at most {LONGEST_TEXT} characters", node)
        return None
    if about.one_of and node.text not in about.one_of:
        return read.choice(node, about.name, about.one_of, "") or None
    return node.text
