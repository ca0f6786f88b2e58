"""What the tests inside a rules file have seen: every condition both ways, every boundary too.

A test that is marked todo proves nothing and is not counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from math import floor
from typing import Any

from engine.errors import Finding
from engine.features.spec import CONTACT, Feature, Scalar
from rules.document import Condition, Place, Rule, RuleSet, RuleTest
from rules.domains import Domain, domain_of
from rules.example_rows import given_of
from rules.expression import Expression, Part, expression_of
from rules.reference import holds, matches
from rules.trees import Leaf, Tree, leaves
from rules.vocabulary import Vocabulary

_DAY_SECONDS = 86_400
_ORDERED = frozenset({"<", "<=", ">", ">=", "==", "!="})
_LEAP_YEAR, _LEAP_YEAR_DAYS = 2024, 366
_CENTS = 100


@dataclass(frozen=True, slots=True)
class ConditionCoverage:
    """One condition, or one alternative of an `any`, over all tests of its rule.

    Attributes:
        words: the condition on one line.
        place: where it stands; the rule's start for its season, days, holidays and choice.
        held, failed: whether some test saw it hold, and not hold.
    """

    words: str
    place: Place
    held: bool
    failed: bool

    @property
    def both(self) -> bool:
        return self.held and self.failed


@dataclass(frozen=True, slots=True)
class BoundaryCoverage:
    """One threshold or window: whether a test lies at it, or within one step, on each side.

    A step is a day, a month, one event, one unit of money, or one in the last decimal of the
    threshold.
    """

    words: str
    place: Place
    inside: bool
    outside: bool

    @property
    def both(self) -> bool:
        return self.inside and self.outside


@dataclass(frozen=True, slots=True)
class RuleCoverage:
    """What the tests of one rule have seen; `fires` and `quiet`: whether one showed it so."""

    rule_id: str
    place: Place
    conditions: tuple[ConditionCoverage, ...]
    boundaries: tuple[BoundaryCoverage, ...]
    fires: bool
    quiet: bool

    @property
    def complete(self) -> bool:
        """Every condition seen both ways, and the rule seen firing and quiet."""
        return self.fires and self.quiet and all(each.both for each in self.conditions)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the tests of a rule set have seen, rule by rule, in file order."""

    file: str
    rules: tuple[RuleCoverage, ...]

    @property
    def conditions(self) -> tuple[int, int]:
        """Ways of conditions seen, and all there are: two for each condition and each rule."""
        seen = sum(c.held + c.failed for rule in self.rules for c in rule.conditions)
        seen += sum(rule.fires + rule.quiet for rule in self.rules)
        return seen, 2 * sum(len(rule.conditions) + 1 for rule in self.rules)

    @property
    def boundaries(self) -> tuple[int, int]:
        """Sides of boundaries seen, and all there are."""
        seen = sum(b.inside + b.outside for rule in self.rules for b in rule.boundaries)
        return seen, 2 * sum(len(rule.boundaries) for rule in self.rules)


def coverage(rule_set: RuleSet) -> Coverage:
    """How well the in-file tests cover every rule that is not retired."""
    vocabulary = rule_set.vocabulary
    rules = (rule for rule in rule_set.rules if rule.status != "retired")
    return Coverage(rule_set.file, tuple(_of_rule(rule, vocabulary) for rule in rules))


def percent(seen: int, total: int) -> float:
    """Percent with one decimal, rounded down: 100.0 only when everything was seen."""
    return floor(1000 * seen / total) / 10 if total else 100.0


def coverage_document(covered: Sequence[Coverage]) -> dict[str, Any]:
    """All of it as a document: percent of all files, each file's rules, what was found."""

    def seen(what: str, found: Sequence[Coverage]) -> float:
        counts = [getattr(each, what) for each in found]
        return percent(sum(n for n, _ in counts), sum(total for _, total in counts))

    return {
        "percent": {what: seen(what, covered) for what in ("conditions", "boundaries")},
        "files": [
            {
                "file": each.file,
                "conditions": percent(*each.conditions),
                "boundaries": percent(*each.boundaries),
                "rules": [asdict(rule) | {"complete": rule.complete} for rule in each.rules],
            }
            for each in covered
        ],
        "findings": [finding for each in covered for finding in coverage_findings(each)],
    }


def coverage_findings(covered: Coverage) -> list[Finding]:
    """What is missing, in file order.

    L305 a rule never seen firing or quiet, L320 a condition never seen true or false, L322 a
    boundary that no test comes near on one side.
    """
    found = []
    for rule in covered.rules:
        missing = [name for name in ("fires", "quiet") if not getattr(rule, name)]
        if missing:
            message = f"{rule.rule_id} has no test with expect: {' or '.join(missing)}"
            found.append(_finding(covered.file, "L305", message, rule.place))
        for condition in rule.conditions:
            if not condition.both:
                ways = _either("true", condition.held, "false", condition.failed)
                message = f'{rule.rule_id}: "{condition.words}" is never {ways} in a test'
                found.append(_finding(covered.file, "L320", message, condition.place))
        for boundary in rule.boundaries:
            if not boundary.both:
                sides = _either("inside", boundary.inside, "outside", boundary.outside)
                message = f'{rule.rule_id}: no test lies just {sides} "{boundary.words}"'
                found.append(_finding(covered.file, "L322", message, boundary.place))
    return sorted(found, key=lambda f: (f.line, f.column, f.code))


def _either(one: str, has_one: bool, other: str, has_other: bool) -> str:
    return " or ".join(word for word, has in ((one, has_one), (other, has_other)) if not has)


def _finding(file: str, code: str, message: str, place: Place) -> Finding:
    return Finding(code, message, file, *place, severity="warning")


def _of_rule(rule: Rule, vocabulary: Vocabulary) -> RuleCoverage:
    expression = expression_of(rule, vocabulary)
    tests = [test for test in rule.tests if test.expect != "todo"]
    given = [given_of(test, vocabulary, rule.subject) for test in tests]
    rows = [each.row(expression.features) for each in given if each.is_open]
    fired = [matches(expression, row) for row in rows]
    conditions = tuple(
        ConditionCoverage(
            words,
            place,
            held=any(holds(tree, row) for row in rows),
            failed=any(not holds(tree, row) for row in rows),
        )
        for words, place, tree in _conditions(rule, expression)
    )
    thresholds = _thresholds(rule, expression, vocabulary, rows)
    windows = (
        boundary
        for condition in (*rule.when, *rule.unless)
        for boundary in _windows(condition, vocabulary, tests)
    )
    return RuleCoverage(
        rule_id=rule.id,
        place=rule.place,
        conditions=conditions,
        boundaries=(*thresholds, *windows),
        fires=any(fired),
        quiet=len(rows) < len(tests) or not all(fired),
    )


def _conditions(rule: Rule, expression: Expression) -> Iterator[tuple[str, Place, Tree]]:
    """Every condition with its place and tree; the alternatives of an any after it."""
    for part, condition in _written(rule, expression):
        yield part.words, condition.place if condition else rule.place, part.tree
        if condition is not None and condition.kind == "any" and not isinstance(part.tree, Leaf):
            for alternative, tree in zip(condition.any_of, part.tree.parts, strict=True):
                yield alternative.words, alternative.place, tree


def _written(rule: Rule, expression: Expression) -> Iterator[tuple[Part, Condition | None]]:
    """The parts of the expression with the conditions they come from; None for the calendar."""
    for parts, conditions in ((expression.when, rule.when), (expression.unless, rule.unless)):
        left = list(conditions)
        for part in parts:
            same = next((condition for condition in left if condition.words == part.words), None)
            if same is not None:
                left.remove(same)
            yield part, same


# ------------------------------------------------------------------------------- boundaries


def _thresholds(
    rule: Rule, expression: Expression, vocabulary: Vocabulary, rows: Sequence[Mapping[str, Scalar]]
) -> Iterator[BoundaryCoverage]:
    """Each constant that numbers are compared with, once."""
    specs = {spec.name: spec for spec in expression.features}
    seen = set()
    for part, condition in _written(rule, expression):
        place = condition.place if condition else rule.place
        for leaf in leaves(part.tree):
            if leaf.type != "number" or leaf.op not in _ORDERED or leaf in seen:
                continue
            seen.add(leaf)
            spec = specs[leaf.feature]
            domain = domain_of(spec, leaf.type, vocabulary)
            boundary = _threshold(leaf, spec, place, [row.get(leaf.feature) for row in rows])
            possible = _reachable(leaf, spec, domain)
            if possible == {True, False}:
                yield boundary


def _threshold(
    leaf: Leaf, spec: Feature, place: Place, values: Iterable[Scalar]
) -> BoundaryCoverage:
    near = [value for value in values if _steps_away(leaf, spec, value)]
    ways = {holds(leaf, {leaf.feature: value}) for value in near}
    words = f"{leaf.feature} {leaf.op} {leaf.value}"
    return BoundaryCoverage(words, place, inside=True in ways, outside=False in ways)


def _steps_away(leaf: Leaf, spec: Feature, value: Scalar) -> bool:
    """Whether a value lies at the threshold or within one step of it."""
    threshold = leaf.value
    if isinstance(value, str | None) or not isinstance(threshold, int | float):
        return False
    if spec.kind == "local_month_day":
        apart = abs(_day_of_year(int(value)) - _day_of_year(int(threshold)))
        return min(apart, _LEAP_YEAR_DAYS - apart) <= 1
    # A share such as 0.3 is not exactly what its decimals say; a millionth of a step is.
    step = _step(spec, threshold)
    return abs(value - threshold) <= step * (1 + 1e-6)


def _step(spec: Feature, threshold: float) -> float:
    if spec.kind == "sum":
        return _CENTS
    decimals = f"{threshold:.9f}".rstrip("0").partition(".")[2]
    return float(10 ** -len(decimals))


def _day_of_year(month_day: int) -> int:
    return date(_LEAP_YEAR, month_day // 100, month_day % 100).timetuple().tm_yday


def _reachable(leaf: Leaf, spec: Feature, domain: Domain) -> set[bool]:
    """On which sides of the threshold the feature has values near it at all."""
    threshold = leaf.value
    if not isinstance(threshold, int | float) or spec.kind == "local_month_day":
        return {True, False}
    step = _step(spec, threshold)
    near: list[float | None] = [threshold - step, threshold, threshold + step]
    near += [
        domain.between(threshold - step, threshold),
        domain.between(threshold, threshold + step),
    ]
    values = [value for value in near if value is not None and domain.has(value)]
    return {holds(leaf, {leaf.feature: value}) for value in values}


def _windows(
    condition: Condition, vocabulary: Vocabulary, tests: Sequence[RuleTest]
) -> Iterator[BoundaryCoverage]:
    """How far back events are counted: one just inside, and one just outside."""
    for part in condition.any_of:
        yield from _windows(part, vocabulary, tests)
    days = condition.in_last_days
    if days is None:
        return
    types = {*vocabulary.types(condition.about)}
    if condition.of_event is not None:
        types |= {*vocabulary.types(condition.of_event)}
    own = f"{condition.scope}:1"
    ages = [
        (test.today - event.at).total_seconds() / _DAY_SECONDS
        for test in tests
        for event in test.events
        if event.type in types and (condition.scope == CONTACT or event.subject == own)
    ]
    yield BoundaryCoverage(
        f"{condition.label} in the last {days} days",
        condition.place,
        inside=any(days - 1 <= age <= days for age in ages),
        outside=any(days < age <= days + 1 for age in ages),
    )
