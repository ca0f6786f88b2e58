"""What each condition asks of the features: conditions as trees, and the features they read."""

from collections.abc import Iterable
from dataclasses import replace

from engine.features.spec import CONTACT, Feature, Kind, Scalar
from rules.document import ChoiceRow, Comparison, Condition
from rules.reading import Length, Money
from rules.trees import All, Any, Leaf, LeafType, Op, Tree, joined
from rules.vocabulary import Field, Vocabulary

_OPS: dict[str, Op] = {
    "is": "==",
    "is_not": "!=",
    "more_than": ">",
    "less_than": "<",
    "at_least": ">=",
    "at_most": "<=",
    "is_one_of": "in",
    "missing": "missing",
    "present": "present",
    "at_least_ago": ">=",
    "at_most_ago": "<=",
    "value_at_least": ">=",
    "value_at_most": "<=",
}
# A window in the name makes a feature's name: the same words mean the same everywhere.
_AGES: dict[str, tuple[Kind, Kind, Kind]] = {
    "last": ("days_since_last", "months_since_last", "months_since_last_up"),
    "first": ("days_since_first", "months_since_first", "months_since_first_up"),
}


class ConditionTrees:
    """Turns the conditions of one rule into trees; `features` gathers what they read."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.features: dict[str, Feature] = {}

    def use(self, feature: Feature) -> str:
        """Note that the rule reads it; the name to find it by."""
        self.features.setdefault(feature.name, feature)
        return feature.name

    def tree(self, condition: Condition) -> Tree:
        if condition.kind == "any":
            return Any(tuple(self.tree(part) for part in condition.any_of))
        if condition.kind == "field":
            about = self._vocabulary.fields[condition.about]
            return joined(_tightest([self._field(about, c) for c in condition.comparisons]))
        if condition.kind in {"last", "first"}:
            return joined(tuple(self._newest(condition, c) for c in condition.comparisons))
        if condition.kind in {"sum", "rate"}:
            return joined(tuple(self._measured(condition)))
        return joined(tuple(self._counted(condition)))

    def row(self, row: ChoiceRow) -> Tree:
        """What a row of a choice table asks; a row of 'any' cells holds always."""
        return joined(tuple(self.tree(condition) for condition in row.conditions))

    # --------------------------------------------------------------------------- fields

    def _field(self, about: Field, comparison: Comparison) -> Tree:
        word, value = comparison.word, comparison.value
        if isinstance(value, Length):
            return joined(tuple(self._date(about, word, value)))
        if about.type == "list" and word not in {"missing", "present"}:
            return self._list(about, word, value)
        type_: LeafType = (
            "number" if about.type == "date" else "text" if about.type == "list" else about.type
        )
        name = self._source(about)
        if word in {"missing", "present"}:
            return Leaf(name, type_, _OPS[word])
        if word == "is_none_of" and isinstance(value, tuple):
            return joined(tuple(Leaf(name, type_, "!=", item) for item in value))
        assert not isinstance(value, Money)  # noqa: S101 - fields are not compared with money
        return Leaf(name, type_, _OPS[word], value)

    def _list(self, about: Field, word: str, value: object) -> Tree:
        items = value if isinstance(value, tuple) else (value,)
        found = [
            Leaf(
                self._source(about, "has", f"has {item}", str(item)), "flag", "==", word != "lacks"
            )
            for item in items
        ]
        return found[0] if len(found) == 1 else Any(tuple(found))

    def _date(self, about: Field, word: str, length: Length) -> Iterable[Leaf]:
        """A date is read as the local days until it, or the whole months since it."""
        count = length.count
        if word == "anniversary_within_next":
            name = self._source(about, "days_until_anniversary", "days until the anniversary of")
            return [Leaf(name, "number", "<=", count)]
        if length.unit == "month":
            up = word == "at_most_ago"
            kind: Kind = "months_since_date_up" if up else "months_since_date"
            words = "months since" + (", rounded up," if up else "")
            return [Leaf(self._source(about, kind, words), "number", _OPS[word], count)]
        low, high = {
            "within_next": (0, count),
            "due_in_at_least": (count, None),
            "overdue_by_at_least": (None, -count),
            "overdue_by_at_most": (-count, 0),
            "at_least_ago": (None, -count),
            "at_most_ago": (-count, 0),
        }[word]
        name = self._source(about)
        bounds: tuple[tuple[Op, int | None], ...] = ((">=", low), ("<=", high))
        return [Leaf(name, "number", op, bound) for op, bound in bounds if bound is not None]

    def _source(
        self, about: Field, kind: Kind | None = None, words: str = "", value: str | None = None
    ) -> str:
        """The field's own feature, or another kind of feature of the same attribute."""
        source = about.source
        if source.property is not None:
            source = replace(source, types=self._vocabulary.types_about(about.about))
        if kind is not None:
            scope = "" if source.scope == CONTACT else f"{source.scope}: "
            name = f"{about.name} {words}" if value is not None else f"{words} {about.name}"
            source = replace(source, name=scope + name, kind=kind, value=value)
        return self.use(source)

    # --------------------------------------------------------------------------- events

    def _of(self, condition: Condition, feature: Feature) -> str:
        """Use a feature in the scope of the condition."""
        if condition.scope == CONTACT:
            return self.use(feature)
        name = f"{condition.scope}: {feature.name}"
        return self.use(replace(feature, name=name, scope=condition.scope))

    def _newest(self, condition: Condition, comparison: Comparison) -> Leaf:
        event, word, value = condition.about, comparison.word, comparison.value
        if isinstance(value, Length):
            return self._age(condition, event, word, value)
        feature = Feature(f"last value of {event}", "last_value", self._vocabulary.types(event))
        return Leaf(self._of(condition, feature), "number", _OPS[word], _constant(value))

    def _age(self, condition: Condition, event: str, word: str, length: Length) -> Leaf:
        which = "first" if condition.kind == "first" else "last"
        days, months, months_up = _AGES[which]
        kind, name = days, f"days since {which} {event}"
        if length.unit == "month":
            up = word == "at_most_ago"
            kind = months_up if up else months
            name = f"months since {which} {event}" + (", rounded up" if up else "")
        feature = Feature(name, kind, self._vocabulary.types(event))
        return Leaf(self._of(condition, feature), "number", _OPS[word], length.count)

    def _measured(self, condition: Condition) -> Iterable[Leaf]:
        event, of, days = condition.about, condition.of_event, condition.in_last_days
        types = self._vocabulary.types(event)
        feature = Feature(f"sum {event} in {days} days", "sum", types, window_days=days)
        if of is not None:
            of_types = self._vocabulary.types(of)
            name = f"rate {event} of {of} in {days} days"
            feature = Feature(name, "share", types, window_days=days, of_types=of_types)
        name = self._of(condition, feature)
        for comparison in condition.comparisons:
            yield Leaf(name, "number", _OPS[comparison.word], _constant(comparison.value))

    def _counted(self, condition: Condition) -> Iterable[Leaf]:
        event, anchor, days = condition.about, condition.since_last, condition.in_last_days
        types = self._vocabulary.types(event)
        counts = []
        if days is not None:
            name = f"count {event} in {days} days"
            counts.append(Feature(name, "count", types, window_days=days))
        if anchor is not None:
            (anchor_type,) = self._vocabulary.types(anchor)
            name = f"count {event} since last {anchor}"
            counts.append(Feature(name, "count_since_last", types, anchor=anchor_type))
        wanted = [(_OPS[c.word], _constant(c.value)) for c in condition.comparisons] or [("==", 0)]
        for count in counts:
            for op, value in wanted:
                yield Leaf(self._of(condition, count), "number", op, value)
        if anchor is not None and condition.for_at_least is not None:
            yield self._age(condition, anchor, "at_least_ago", condition.for_at_least)


def _constant(value: object) -> Scalar:
    if isinstance(value, Money):
        return value.cents
    assert isinstance(value, int | float | None)  # noqa: S101 - the reader gives nothing else
    return value


def _tightest(parts: list[Tree]) -> tuple[Tree, ...]:
    """The parts less a bound of today that a closer one of the same feature implies.

    'overdue by at least 30 days, by at most 90' says 'not in the future' twice over.
    """
    flat = [leaf for part in parts for leaf in (part.parts if isinstance(part, All) else (part,))]
    bounds = [leaf for leaf in flat if isinstance(leaf, Leaf)]
    return tuple(
        part
        for part in flat
        if not (
            isinstance(part, Leaf)
            and part.value == 0
            and any(
                other.feature == part.feature
                and other.op == part.op
                and isinstance(other.value, int | float)
                and ((part.op == ">=" and other.value > 0) or (part.op == "<=" and other.value < 0))
                for other in bounds
            )
        )
    )
