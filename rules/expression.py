"""Rules as typed trees over flat features: and, or, and leaves; there is no not.

A leaf compares one feature with one constant. Unknown is never true: a leaf on a missing value,
or on a value of another type than its own, does not hold, except `missing`.
"""

from dataclasses import dataclass
from typing import Literal

from engine.features.spec import Feature, Kind, Scalar
from rules.document import Comparison, Condition, Rule, Season
from rules.reading import MONTHS, Length
from rules.vocabulary import Field, Vocabulary

Op = Literal["==", "!=", "<", "<=", ">", ">=", "in", "missing", "present"]
LeafType = Literal["number", "text", "flag"]

TODAY = Feature("today", "local_month_day")
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
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """`feature op value`; value is a tuple for in and None for missing and present."""

    feature: str
    type: LeafType
    op: Op
    value: Scalar | tuple[Scalar, ...] = None


@dataclass(frozen=True, slots=True)
class All:
    """Holds when every part holds."""

    parts: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Any:
    """Holds when one part holds."""

    parts: tuple["Tree", ...]


Tree = Leaf | All | Any


@dataclass(frozen=True, slots=True)
class Part:
    """One condition of a rule (or its season) with its tree.

    Attributes:
        label: how a test's `because` names it, e.g. 'field contact.age', 'unless …', 'season'.
        words: the whole condition on one line.
        tree: what has to hold.
        because: for unless, why the rule then stays quiet.
    """

    label: str
    words: str
    tree: Tree
    because: str = ""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled rule: it matches a row when all of `when` holds and none of `unless`."""

    rule_id: str
    when: tuple[Part, ...]
    unless: tuple[Part, ...]
    features: tuple[Feature, ...]

    @property
    def applies(self) -> Tree:
        return All(tuple(part.tree for part in self.when))

    @property
    def blocked(self) -> Tree | None:
        return Any(tuple(part.tree for part in self.unless)) if self.unless else None

    @property
    def everything(self) -> Tree:
        """Both together, to walk over."""
        return All(tuple(part.tree for part in (*self.when, *self.unless)))


def expression_of(rule: Rule, vocabulary: Vocabulary) -> Expression:
    """The tree of a rule and the features it reads, each once, in order of appearance."""
    compiler = _Compiler(vocabulary)
    season = () if rule.season is None else (compiler.season(rule.season),)
    when = tuple(compiler.part(condition) for condition in rule.when)
    unless = tuple(compiler.part(condition, unless=True) for condition in rule.unless)
    return Expression(rule.id, (*season, *when), unless, tuple(compiler.features.values()))


# durable_rules holds 64 alternatives that are true at once; beyond it nothing fires.
MOST_ALTERNATIVES = 48


def alternatives(tree: Tree) -> int:
    """How many and-only alternatives a tree expands to (product over and, sum over or)."""
    if isinstance(tree, Leaf):
        return len(tree.value) if isinstance(tree.value, tuple) else 1
    counts = [alternatives(part) for part in tree.parts]
    if isinstance(tree, Any):
        return sum(counts)
    product = 1
    for count in counts:
        product *= count
    return product


def leaves(tree: Tree) -> tuple[Leaf, ...]:
    """The leaves, left to right."""
    if isinstance(tree, Leaf):
        return (tree,)
    return tuple(leaf for part in tree.parts for leaf in leaves(part))


class _Compiler:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.features: dict[str, Feature] = {}

    def part(self, condition: Condition, *, unless: bool = False) -> Part:
        label = f"unless {condition.about or 'any'}" if unless else condition.label
        return Part(label, condition.words, self._tree(condition), condition.because)

    def season(self, season: Season) -> Part:
        feature = self._use(TODAY)
        since = Leaf(feature, "number", ">=", season.first)
        until = Leaf(feature, "number", "<=", season.last)
        both = (since, until)
        tree: Tree = All(both) if season.first <= season.last else Any(both)
        words = f"season from {_day(season.first)} to {_day(season.last)}"
        return Part("season", words, tree)

    def _tree(self, condition: Condition) -> Tree:
        if condition.kind == "any":
            return Any(tuple(self._tree(part) for part in condition.any_of))
        if condition.kind == "field":
            about = self._vocabulary.fields[condition.about]
            parts: list[Tree] = [x for c in condition.comparisons for x in self._field(about, c)]
        elif condition.kind == "last":
            parts = [self._age(condition.about, c.word, c.value) for c in condition.comparisons]
        else:
            parts = self._counted(condition)
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _use(self, feature: Feature) -> str:
        self.features.setdefault(feature.name, feature)
        return feature.name

    def _field(self, about: Field, comparison: Comparison) -> list[Leaf]:
        name, word, value = self._use(about.source), comparison.word, comparison.value
        type_: LeafType = "number" if about.type == "date" else about.type
        if word in {"missing", "present"}:
            return [Leaf(name, type_, _OPS[word])]
        if isinstance(value, Length):  # a date, read as the days until it
            if word == "within_next":
                return [Leaf(name, type_, ">=", 0), Leaf(name, type_, "<=", value.count)]
            return [Leaf(name, type_, "<=", -value.count)]
        return [Leaf(name, type_, _OPS[word], value)]

    def _counted(self, condition: Condition) -> list[Tree]:
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
        wanted = [(_OPS[c.word], c.value) for c in condition.comparisons] or [("==", 0)]
        parts: list[Tree] = [
            Leaf(self._use(count), "number", op, value if not isinstance(value, Length) else None)
            for count in counts
            for op, value in wanted
        ]
        if anchor is not None and condition.for_at_least is not None:
            parts.append(self._age(anchor, "at_least_ago", condition.for_at_least))
        return parts

    def _age(self, event: str, word: str, length: object) -> Leaf:
        assert isinstance(length, Length)  # noqa: S101 - the reader gives nothing else
        kind: Kind = "days_since_last"
        name = f"days since last {event}"
        if length.unit == "month":
            up = word == "at_most_ago"
            kind = "months_since_last_up" if up else "months_since_last"
            name = f"months since last {event}" + (", rounded up" if up else "")
        feature = Feature(name, kind, self._vocabulary.types(event))
        return Leaf(self._use(feature), "number", _OPS[word], length.count)


def _day(month_day: int) -> str:
    return f"{month_day % 100} {MONTHS[month_day // 100 - 1]}"
