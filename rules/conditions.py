"""Reads the conditions of a rule; the vocabulary says which words and constants fit."""

from collections.abc import Mapping
from typing import cast

from engine.features.spec import Scalar
from rules.document import Comparison, Condition, ConditionKind, Place
from rules.findings import shown, suggestion
from rules.reading import Length, Reader
from rules.source import Node
from rules.vocabulary import Field, FieldType, Vocabulary, typed_value

_KINDS = ("field", "count", "none", "last")
_COMMON = ("because",)
_BY_TYPE: dict[FieldType, tuple[str, ...]] = {
    "number": (
        "is",
        "is_not",
        "more_than",
        "less_than",
        "at_least",
        "at_most",
        "missing",
        "present",
    ),
    "text": ("is", "is_not", "is_one_of", "missing", "present"),
    "flag": ("is", "missing", "present"),
    "date": ("overdue_by_at_least", "within_next", "missing", "present"),
}
_BY_KIND: dict[str, tuple[str, ...]] = {
    "count": ("in_last", "since_last", "at_least", "at_most", "is"),
    "none": ("in_last", "since_last", "for_at_least"),
    "last": ("at_least_ago", "at_most_ago"),
}
_LARGEST_COUNT = 100_000


class ConditionReader:
    """Reads conditions of one file."""

    def __init__(self, read: Reader, vocabulary: Vocabulary) -> None:
        self._read = read
        self._vocabulary = vocabulary

    def conditions(self, node: Node | None, what: str) -> tuple[Condition, ...]:
        """The conditions of a list; what can't be read is noted and left out."""
        return self._read.each(node, what, self._condition_or_any)

    def _condition_or_any(self, node: Node) -> Condition | None:
        inner = node.get("any") if node.kind == "map" else None
        if inner is None:
            return self._condition(node)
        found = self._read.settings(node, '"any"', ("any", *_COMMON))
        parts = self._read.each(inner, "any", self._condition)
        if len(inner.items) == 1:
            self._read.fault("E106", '"any" with one alternative is that condition itself', inner)
        because = self._read.text(found.get("because"), "because")
        return Condition("any", "", Place(*node.place), because=because, any_of=parts)

    def _condition(self, node: Node) -> Condition | None:
        if node.kind != "map" or not node.pairs:
            hint = "for example: field: contact.age"
            self._read.fault(
                "E101", "a condition starts with field, count, none or last", node, hint
            )
            return None
        kind = next((name.text for name, _ in node.pairs if name.text in _KINDS), None)
        if kind is None:
            key = node.pairs[0][0]
            if key.text == "any":
                self._read.fault("E104", '"any" can\'t stand inside "any"', key)
                return None
            hint = suggestion(key.text, (*_KINDS, "any"))
            self._read.fault("E101", f"{shown(key.text)} does not start a condition", key, hint)
            return None
        subject = node.get(kind)
        assert subject is not None  # noqa: S101 - kind was found in its pairs
        known = self._vocabulary.fields if kind == "field" else self._vocabulary.events
        about = self._read.known(subject, "field" if kind == "field" else "event", known)
        if about is None:
            return None
        return self._filled(node, cast("ConditionKind", kind), about)

    def _filled(self, node: Node, kind: ConditionKind, about: str) -> Condition:
        found = self._words(node, kind, about)
        if kind == "field":
            comparisons = self._field_comparisons(self._vocabulary.fields[about], found)
        elif kind == "last":
            comparisons = self._lengths(found, _BY_KIND["last"])
        else:
            comparisons = self._counts(found)
        condition = Condition(
            kind=kind,
            about=about,
            place=Place(*node.place),
            comparisons=comparisons,
            in_last_days=self._read.days(found.get("in_last")),
            since_last=self._anchor(found.get("since_last")),
            for_at_least=self._read.length(found.get("for_at_least")),
            because=self._read.text(found.get("because"), "because"),
        )
        self._complete(node, condition, found)
        return condition

    def _words(self, node: Node, kind: str, about: str) -> dict[str, Node]:
        """The words after the first line; those that do not fit are noted."""
        if kind == "field":
            type_ = self._vocabulary.fields[about].type
            allowed, what = _BY_TYPE[type_], f"{about}, which is a {type_}"
        else:
            allowed, what = _BY_KIND[kind], f'"{kind}"'
        found = {}
        for key, value in node.pairs:
            if key.text in allowed or key.text in _COMMON:
                found[key.text] = value
            elif key.text != kind:
                hint = suggestion(key.text, allowed)
                self._read.fault("E103", f"{shown(key.text)} can't be used with {what}", key, hint)
        return found

    def _complete(self, node: Node, condition: Condition, found: Mapping[str, Node]) -> None:
        """Notes a condition that says too little."""
        kind = condition.kind
        if kind in {"count", "none"} and not found.keys() & {"in_last", "since_last"}:
            self._read.fault("E105", f'"{kind}" needs a period', node, "in_last: 60 days")
        if "for_at_least" in found and "since_last" not in found:
            hint = "since_last: appointment.no_show"
            self._read.fault("E105", '"for_at_least" needs to know since what', node, hint)
        says = set(found) - {"because", "in_last", "since_last", "for_at_least"}
        if kind != "none" and not says:
            hint = "at_least: 1" if kind == "count" else suggestion("", self._allowed(condition))
            self._read.fault("E106", "this condition compares with nothing", node, hint)

    def _allowed(self, condition: Condition) -> tuple[str, ...]:
        if condition.kind == "field":
            return _BY_TYPE[self._vocabulary.fields[condition.about].type]
        return _BY_KIND[condition.kind]

    def _field_comparisons(self, about: Field, found: Mapping[str, Node]) -> tuple[Comparison, ...]:
        comparisons = []
        for word, node in found.items():
            if word in _COMMON:
                continue
            if word in {"missing", "present"}:
                if node.text != "yes":
                    hint = f"{word}: yes"
                    self._read.fault("E113", f'"{word}" is written with yes', node, hint)
                comparisons.append(Comparison(word, value=True))
            elif word == "is_one_of":
                comparisons.append(Comparison(word, self._one_of(about, node)))
            elif about.type == "date":
                days = self._read.days(node)
                comparisons.append(Comparison(word, Length(days or 0, "day")))
            else:
                comparisons.append(Comparison(word, typed_value(self._read, about, node)))
        return tuple(comparisons)

    def _one_of(self, about: Field, node: Node) -> tuple[Scalar, ...]:
        values = (typed_value(self._read, about, item) for item in self._read.items(node, "a list"))
        known = tuple(dict.fromkeys(value for value in values if value is not None))
        if node.kind == "list" and not node.items:
            self._read.fault("E106", "this list is empty", node)
        return known

    def _lengths(self, found: Mapping[str, Node], words: tuple[str, ...]) -> tuple[Comparison, ...]:
        lengths = [(word, self._read.length(found.get(word))) for word in words]
        return tuple(Comparison(word, length) for word, length in lengths if length is not None)

    def _counts(self, found: Mapping[str, Node]) -> tuple[Comparison, ...]:
        return tuple(
            Comparison(word, self._read.whole(found[word], 0, 0, _LARGEST_COUNT))
            for word in ("is", "at_least", "at_most")
            if word in found
        )

    def _anchor(self, node: Node | None) -> str | None:
        if node is None:
            return None
        name = self._read.known(node, "event", self._vocabulary.events)
        if name is not None and len(self._vocabulary.types(name)) > 1:
            hint = suggestion("", self._vocabulary.types(name))
            self._read.fault("E107", f"{shown(name)} is several events; name one", node, hint)
            return None
        return name
