"""What is always so between two features of one row: limits for the exact analysis of rules.

A count in 30 days is never above the count in 60; who has no event has no age of the last one.
Where no tie is written down the analysis takes two features as independent: it then says 'may
meet' too often, never 'can't meet' wrongly.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations

from engine.features.spec import CONTACT, Feature, Kind
from rules.boxes import Axis, Below, Implies, Test, Tie
from rules.trees import Leaf, Op

Constants = Mapping[Axis, Sequence[float]]

# Mean length of a month in the Gregorian calendar (146,097 days in 4,800 months). A span of n
# months differs from n times that by less than four days: 28 days for one, 181 to 184 for six.
_MONTH_DAYS = 146_097 / 4_800
_MONTH_SLACK_DAYS = 4


def ties_between(constants: Constants) -> list[Tie]:
    """The ties between number axes, each given with the constants that rules compare it with."""
    about: dict[object, list[Axis]] = {}
    for axis in constants:
        if axis.type == "number":
            for thing in _about(axis.feature):
                about.setdefault(thing, []).append(axis)
    pairs = {pair: None for axes in about.values() for pair in permutations(axes, 2)}
    ties = [tie for first, second in pairs for tie in _pair(first, second, constants)]
    return ties + list(_lists(tuple(constants)))


def _about(spec: Feature) -> set[object]:
    """What a feature looks at: two that share nothing of it are not tied."""
    if not spec.types:
        return {_attribute(spec)}
    anchor = () if spec.anchor is None else (spec.anchor,)
    return {*spec.types, *spec.of_types, *anchor}


def _pair(first: Axis, second: Axis, constants: Constants) -> Iterator[Tie]:
    """The ties in which the first axis is named first."""
    a, b = first.feature, second.feature
    found = _TIES.get((a.kind, b.kind))
    if found is not None:
        yield from found(first, second, constants)
    if a.kind in _NEEDS_EVENT and b.kind in _SHOWS_EVENT and _covers(b, a) and _within(a, b):
        some = _test(second, ">=", 1) if b.kind == "count" else _test(second, "present")
        yield Implies(_test(first, "present"), some)


def _counts(first: Axis, second: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    if _covers(second.feature, first.feature) and _within(first.feature, second.feature):
        yield Below(first, second)


def _newest(first: Axis, second: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    if _covers(second.feature, first.feature):
        yield Below(first, second, newest_first=True)


def _oldest(first: Axis, second: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    if _covers(second.feature, first.feature):
        yield Below(first, second)


def _since(first: Axis, second: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    a, b = first.feature, second.feature
    if a.anchor == b.anchor and a.scope == b.scope and _covers(b, a):
        yield Below(first, second)


def _count_and_age(count: Axis, age: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    days = count.feature.window_days
    some = _test(count, ">=", 1)
    recent = _test(age, "present") if days is None else _test(age, "<=", days)
    if _covers(age.feature, count.feature):
        yield Implies(some, recent)
    if _covers(count.feature, age.feature):
        yield Implies(recent, some)


def _count_and_months(count: Axis, months: Axis, constants: Constants) -> Iterator[Tie]:
    days = count.feature.window_days
    if days is None or not _same_types(count.feature, months.feature):
        return
    some = _test(count, ">=", 1)
    for _, younger, fewest, most in _month_edges(months, constants[months]):
        if fewest > days:
            yield Implies(some, younger)
        if most <= days:
            yield Implies(younger, some)


def _count_and_share(count: Axis, share: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    a, b = count.feature, share.feature
    some, above = _test(count, ">=", 1), _test(share, ">", 0)
    same = a.window_days == b.window_days
    if same and _covers(b, a) and set(a.types) <= set(b.of_types):
        yield Implies(some, above)
    if _covers(a, b) and _within(b, a):
        yield Implies(above, some)
    if same and a.scope == b.scope and set(a.types) == set(b.of_types):
        yield from _both_ways(some, _test(share, "present"))


def _sum_and_count(total: Axis, count: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    if _covers(count.feature, total.feature) and _within(total.feature, count.feature):
        yield Implies(_test(total, ">", 0), _test(count, ">=", 1))


def _since_and_count(since: Axis, count: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    a, b = since.feature, count.feature
    if b.window_days is not None:
        return
    if _covers(b, a):
        yield Below(since, count)
    if b.types == (a.anchor,) and b.scope == a.scope:
        yield from _both_ways(_test(since, "present"), _test(count, ">=", 1))


def _since_and_age(since: Axis, age: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    a, b = since.feature, age.feature
    if b.types == (a.anchor,) and b.scope == a.scope:
        yield from _both_ways(_test(since, "present"), _test(age, "present"))
    if _covers(b, a):
        yield Implies(_test(since, ">=", 1), _test(age, "present"))


def _last_and_first(last: Axis, first: Axis, constants: Constants) -> Iterator[Tie]:
    if not _same_types(last.feature, first.feature):
        return
    yield from _both_ways(_test(last, "present"), _test(first, "present"))
    for value in sorted({*constants[last], *constants[first]}):
        yield Implies(_test(last, ">=", value), _test(first, ">=", value))
        yield Implies(_test(last, ">", value), _test(first, ">", value))


def _open(count: Axis, age: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    a, b = count.feature, age.feature
    if _same_types(a, b) and a.closed_by == b.closed_by and a.window_days == b.window_days:
        yield from _both_ways(_test(count, ">=", 1), _test(age, "present"))


def _event_age(days: Axis, months: Axis, constants: Constants) -> Iterator[Tie]:
    if _same_types(days.feature, months.feature):
        yield from _both_ways(_test(days, "present"), _test(months, "present"))
        yield from _days_and_months(days, months, constants[months], past_is_positive=True)


def _event_months(down: Axis, up: Axis, constants: Constants) -> Iterator[Tie]:
    if _same_types(down.feature, up.feature):
        yield from _rounding(down, up, {*constants[down], *constants[up]})


def _date_age(days: Axis, months: Axis, constants: Constants) -> Iterator[Tie]:
    if _attribute(days.feature) == _attribute(months.feature):
        yield from _both_ways(_test(days, "<=", 0), _test(months, "present"))
        yield from _days_and_months(days, months, constants[months], past_is_positive=False)


def _date_months(down: Axis, up: Axis, constants: Constants) -> Iterator[Tie]:
    if _attribute(down.feature) == _attribute(up.feature):
        yield from _rounding(down, up, {*constants[down], *constants[up]})


def _anniversary(days: Axis, until: Axis, constants: Constants) -> Iterator[Tie]:  # noqa: ARG001
    if _attribute(days.feature) == _attribute(until.feature):
        yield from _both_ways(_test(days, "present"), _test(until, "present"))


_TIES: dict[tuple[Kind, Kind], Callable[[Axis, Axis, Constants], Iterator[Tie]]] = {
    ("count", "count"): _counts,
    ("days_since_last", "days_since_last"): _newest,
    ("months_since_last", "months_since_last"): _newest,
    ("days_since_first", "days_since_first"): _oldest,
    ("count_since_last", "count_since_last"): _since,
    ("count", "days_since_last"): _count_and_age,
    ("count", "months_since_last"): _count_and_months,
    ("count", "months_since_last_up"): _count_and_months,
    ("count", "share"): _count_and_share,
    ("sum", "count"): _sum_and_count,
    ("count_since_last", "count"): _since_and_count,
    ("count_since_last", "days_since_last"): _since_and_age,
    ("days_since_last", "days_since_first"): _last_and_first,
    ("open_count", "oldest_open_days"): _open,
    ("days_since_last", "months_since_last"): _event_age,
    ("days_since_last", "months_since_last_up"): _event_age,
    ("days_since_first", "months_since_first"): _event_age,
    ("days_since_first", "months_since_first_up"): _event_age,
    ("months_since_last", "months_since_last_up"): _event_months,
    ("months_since_first", "months_since_first_up"): _event_months,
    ("days_until_date", "months_since_date"): _date_age,
    ("days_until_date", "months_since_date_up"): _date_age,
    ("months_since_date", "months_since_date_up"): _date_months,
    ("days_until_date", "days_until_anniversary"): _anniversary,
}
# Known only for who has an event of the types (within the window), and what shows that event.
_NEEDS_EVENT = frozenset(
    {
        "days_since_first",
        "months_since_last",
        "months_since_first",
        "median_interval_days",
        "interval_ratio",
        "last_value",
        "value_change",
        "mean_value",
    }
)
_SHOWS_EVENT = frozenset({"count", "days_since_last", "days_since_first"})


def _days_and_months(
    days: Axis, months: Axis, values: Sequence[float], *, past_is_positive: bool
) -> Iterator[Tie]:
    """An age in days and the same age in whole months, rounded down or up."""
    for older, younger, fewest, most in _month_edges(months, values):
        if past_is_positive:
            yield Implies(older, _test(days, ">=", fewest))
            yield Implies(younger, _test(days, "<=", most))
        else:
            yield Implies(older, _test(days, "<=", -fewest))
            yield Implies(younger, _test(days, ">=", -most))


def _rounding(down: Axis, up: Axis, values: set[float]) -> Iterator[Tie]:
    yield from _both_ways(_test(down, "present"), _test(up, "present"))
    for value in sorted(values):
        yield Implies(_test(down, ">=", value), _test(up, ">=", value))
        yield Implies(_test(up, ">=", value + 1), _test(down, ">=", value))


def _lists(axes: Sequence[Axis]) -> Iterator[Tie]:
    """A list is known or not, whatever it is asked for."""
    asked: dict[object, list[Axis]] = {}
    for axis in axes:
        if axis.feature.kind == "has" or axis.type == "text":
            asked.setdefault(_attribute(axis.feature), []).append(axis)
    for first, *others in asked.values():
        for other in others:
            yield from _both_ways(_test(first, "present"), _test(other, "present"))


def _test(axis: Axis, op: Op, value: float | None = None) -> Test:
    return Test(axis, Leaf(axis.feature.name, axis.type, op, value))


def _both_ways(one: Test, other: Test) -> Iterator[Tie]:
    yield Implies(one, other)
    yield Implies(other, one)


def _covers(wide: Feature, narrow: Feature) -> bool:
    """Whether every event that the one looks at is seen by the other."""
    seen = wide.scope in {narrow.scope, CONTACT}
    return seen and set(narrow.types) <= set(wide.types)


def _same_types(a: Feature, b: Feature) -> bool:
    return a.scope == b.scope and set(a.types) == set(b.types)


def _within(a: Feature, b: Feature) -> bool:
    """Whether the window of a lies in that of b; no window is the whole history."""
    return b.window_days is None or (a.window_days is not None and a.window_days <= b.window_days)


def _attribute(spec: Feature) -> tuple[str, str, str]:
    """Where a value that is no matter of events is read."""
    return (spec.property or "", "" if spec.property else spec.attribute or spec.name, spec.scope)


def _month_edges(
    months: Axis, values: Sequence[float]
) -> Iterator[tuple[Test, Test, float, float]]:
    """The edges between whole months at given values: both sides, fewest and most days.

    An age of n months, rounded down, has passed n months; rounded up, it has not passed them.
    """
    passed: Op = ">="
    not_passed: Op = "<"
    if months.feature.kind.endswith("_up"):
        passed, not_passed = ">", "<="
        edges = {whole for v in values for whole in (math.floor(v), math.ceil(v) - 1)}
    else:
        edges = {whole for v in values for whole in (math.ceil(v), math.floor(v) + 1)}
    for whole in sorted(edges):
        days = whole * _MONTH_DAYS
        fewest, most = math.floor(days) - _MONTH_SLACK_DAYS, math.ceil(days) + _MONTH_SLACK_DAYS
        yield _test(months, passed, whole), _test(months, not_passed, whole), fewest, most
