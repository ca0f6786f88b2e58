"""Reads the conditions of a rule; the vocabulary says which words and constants fit."""

from collections.abc import Callable, Mapping
from typing import cast

from engine.features.spec import CONTACT, Scalar
from rules.document import Comparison, Condition, ConditionKind, Place
from rules.findings import shown, suggestion
from rules.reading import Length, Money, Reader
from rules.source import Node
from rules.vocabulary import Field, FieldType, Vocabulary, text_value, typed_value

_COMMON = ("because",)
_NUMBER_WORDS = ("is", "is_not", "more_than", "less_than", "at_least", "at_most")
_BOUNDS = ("at_least", "at_most", "more_than", "less_than")
_KNOWN = ("missing", "present")
_DAYS_WORDS = ("within_next", "overdue_by_at_least", "overdue_by_at_most", "due_in_at_least")
_AGES = ("at_least_ago", "at_most_ago")

# The words that a condition may have after its first line, by type of field and by kind.
WORDS_BY_TYPE: dict[FieldType, tuple[str, ...]] = {
    "number": (*_NUMBER_WORDS, *_KNOWN),
    "text": ("is", "is_not", "is_one_of", "is_none_of", *_KNOWN),
    "flag": ("is", *_KNOWN),
    "date": (*_DAYS_WORDS, *_AGES, "anniversary_within_next", *_KNOWN),
    "list": ("has", "has_one_of", "lacks", *_KNOWN),
}
WORDS_BY_KIND: dict[str, tuple[str, ...]] = {
    "count": ("in_last", "since_last", "at_least", "at_most", "is"),
    "none": ("in_last", "since_last", "for_at_least"),
    "last": (*_AGES, "value_at_least", "value_at_most"),
    "first": _AGES,
    "sum": ("in_last", *_BOUNDS),
    "rate": ("of", "in_last", *_BOUNDS),
}
KINDS = ("field", *WORDS_BY_KIND)
_PERIODS = ("in_last", "since_last", "for_at_least", "of")
_NEEDS_PERIOD = {
    "count": ("in_last", "since_last"),
    "none": ("in_last", "since_last"),
    "sum": ("in_last",),
    "rate": ("in_last",),
}
_EXAMPLE = {"count": "at_least: 1", "sum": "at_least: 500.00 USD", "rate": "at_least: 0.5"}
_LARGEST_COUNT = 100_000


class ConditionReader:
    """Reads conditions of one file."""

    def __init__(self, read: Reader, vocabulary: Vocabulary) -> None:
        self._read = read
        self._vocabulary = vocabulary
        self._subject = CONTACT

    def conditions(
        self, node: Node | None, what: str, subject: str = CONTACT
    ) -> tuple[Condition, ...]:
        """The conditions of a list in a rule about `subject`.

        What can't be read is noted and left out.
        """
        self._subject = subject
        return self._read.each(node, what, self._condition_or_any)

    def _condition_or_any(self, node: Node) -> Condition | None:
        inner = node.get("any") if node.kind == "map" else None
        if inner is None:
            return self._condition(node)
        found = self._read.settings(node, '"any"', ("any", *_COMMON))
        parts = self._read.each(inner, "any", self._condition)
        if inner.kind == "list" and len(inner.items) < 2:
            self._read.fault("E106", '"any" is a choice between at least two conditions', inner)
        because = self._read.text(found.get("because"), "because")
        return Condition("any", "", Place(*node.place), because=because, any_of=parts)

    def _condition(self, node: Node) -> Condition | None:
        if node.kind != "map" or not node.pairs:
            hint = "for example: field: contact.age"
            message = f"a condition starts with {', '.join(KINDS[:-1])} or {KINDS[-1]}"
            self._read.fault("E101", message, node, hint)
            return None
        kind = next((name.text for name, _ in node.pairs if name.text in KINDS), None)
        if kind is None:
            key = node.pairs[0][0]
            if key.text == "any":
                self._read.fault("E104", '"any" can\'t stand inside "any"', key)
                return None
            hint = suggestion(key.text, (*KINDS, "any"))
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
        condition = Condition(
            kind=kind,
            about=about,
            place=Place(*node.place),
            comparisons=self._comparisons(kind, about, found),
            in_last_days=self._read.days(found.get("in_last")),
            since_last=self._anchor(found.get("since_last")),
            for_at_least=self._read.length(found.get("for_at_least")),
            because=self._read.text(found.get("because"), "because"),
            of_event=self._event(found.get("of")),
            scope=self._scope(node, kind, about, found),
        )
        self._complete(node, condition, found)
        return condition

    def _words(self, node: Node, kind: str, about: str) -> dict[str, Node]:
        """The words after the first line; those that do not fit are noted."""
        if kind == "field":
            field = self._vocabulary.fields[about]
            allowed, what = words_of(field), f"{about}, which is a {field.type}"
        else:
            allowed, what = WORDS_BY_KIND[kind], f'"{kind}"'
        found = {}
        for key, value in node.pairs:
            if key.text in allowed or key.text in _COMMON:
                found[key.text] = value
            elif key.text != kind:
                hint = suggestion(key.text, allowed)
                self._read.fault("E103", f"{shown(key.text)} can't be used with {what}", key, hint)
        return found

    def _scope(self, node: Node, kind: ConditionKind, about: str, found: Mapping[str, Node]) -> str:
        """The rule's subject if the condition looks at that alone, else contact."""
        if kind == "field":
            kinds = [self._vocabulary.fields[about].about]
            if kinds[0] not in {"", self._subject}:
                message = f"{about} is about a {kinds[0]}, this rule is not"
                self._read.fault("E108", message, node, f"for_each: {kinds[0]}")
        else:
            others = [found[word].text for word in ("since_last", "of") if word in found]
            kinds = [self._vocabulary.about(event) for event in (about, *others)]
        own = {kind == self._subject for kind in kinds}
        if len(own) > 1:
            message = f"one event is about the {self._subject}, the other is not"
            self._read.fault("E108", message, node, "compare events about the same thing")
        return self._subject if own == {True} else CONTACT

    def _complete(self, node: Node, condition: Condition, found: Mapping[str, Node]) -> None:
        """Notes a condition that says too little; not where a refused word was meant to say it."""
        kind = condition.kind
        if any(key.text != kind and key.text not in found for key, _ in node.pairs):
            return
        needs = _NEEDS_PERIOD.get(kind, ())
        if needs and not found.keys() & set(needs):
            self._read.fault("E105", f'"{kind}" needs a period', node, "in_last: 60 days")
        if kind == "rate" and "of" not in found:
            self._read.fault("E105", '"rate" needs to know of what', node, "of: appointment.booked")
        if "for_at_least" in found and "since_last" not in found:
            hint = "since_last: appointment.no_show"
            self._read.fault("E105", '"for_at_least" needs to know since what', node, hint)
        if kind != "none" and not set(found) - {"because", *_PERIODS}:
            hint = _EXAMPLE.get(kind) or suggestion("", self._allowed(condition))
            self._read.fault("E106", "this condition compares with nothing", node, hint)

    def _allowed(self, condition: Condition) -> tuple[str, ...]:
        if condition.kind == "field":
            return words_of(self._vocabulary.fields[condition.about])
        return WORDS_BY_KIND[condition.kind]

    # -------------------------------------------------------------------- comparisons

    def _comparisons(
        self, kind: ConditionKind, about: str, found: Mapping[str, Node]
    ) -> tuple[Comparison, ...]:
        if kind == "field":
            field = self._vocabulary.fields[about]
            values = [
                Comparison(word, self._field_value(field, word, node))
                for word, node in found.items()
                if word not in _COMMON
            ]
            return tuple(values)
        read: dict[str, Callable[[Node], Scalar | Length | Money]] = {
            word: self._reader_of(kind, about, word)
            for word in WORDS_BY_KIND[kind]
            if word not in _PERIODS
        }
        return tuple(Comparison(word, read[word](found[word])) for word in read if word in found)

    def _reader_of(
        self, kind: ConditionKind, about: str, word: str
    ) -> Callable[[Node], Scalar | Length | Money]:
        if word in _AGES:
            return self._read.length
        if word.startswith("value_"):
            return lambda node: self._carried(about, node)
        if kind == "sum":
            return self._read.money
        if kind == "rate":
            return lambda node: self._read.share(node, 0.0)
        return lambda node: self._read.whole(node, 0, 0, _LARGEST_COUNT)

    def _field_value(
        self, about: Field, word: str, node: Node
    ) -> Scalar | tuple[Scalar, ...] | Length:
        if word in _KNOWN:
            if node.text != "yes":
                self._read.fault("E113", f'"{word}" is written with yes', node, f"{word}: yes")
            return True
        if word in {"is_one_of", "is_none_of", "has_one_of"}:
            return self._one_of(about, node)
        if word in _AGES and about.source.kind != "days_until_recall":
            return self._read.length(node)
        if about.type == "date":
            return Length(self._read.days(node) or 0, "day")
        if about.type == "list":
            return text_value(self._read, about, node)
        return typed_value(self._read, about, node)

    def _one_of(self, about: Field, node: Node) -> tuple[Scalar, ...]:
        values = (text_value(self._read, about, item) for item in self._read.items(node, "a list"))
        known = tuple(dict.fromkeys(value for value in values if value is not None))
        if node.kind == "list" and not node.items:
            self._read.fault("E106", "this list is empty", node)
        return known

    def _carried(self, event: str, node: Node) -> Scalar:
        """A constant for the number that an event carries."""
        value = self._vocabulary.events[event].value
        if value is None:
            message = f"{event} carries no value in the vocabulary"
            self._read.fault("E103", message, node, "value: {label: score, from: 0, to: 10}")
            return None
        number = self._read.number(node)
        low = value.low if value.low is not None else float("-inf")
        high = value.high if value.high is not None else float("inf")
        if number is not None and not low <= number <= high:
            message = f"{node.text} is outside {low:g} to {high:g}, the range of {event}"
            self._read.fault("E111", message, node)
        return number

    def _anchor(self, node: Node | None) -> str | None:
        name = self._event(node)
        if node is not None and name is not None and len(self._vocabulary.types(name)) > 1:
            hint = suggestion("", self._vocabulary.types(name))
            self._read.fault("E107", f"{shown(name)} is several events; name one", node, hint)
            return None
        return name

    def _event(self, node: Node | None) -> str | None:
        if node is None:
            return None
        return self._read.known(node, "event", self._vocabulary.events)


def words_of(field: Field) -> tuple[str, ...]:
    """The words that a condition on this field may have; a recall has no year to come round."""
    words = WORDS_BY_TYPE[field.type]
    if field.source.kind == "days_until_recall":
        return tuple(word for word in words if word != "anniversary_within_next")
    return words
