"""The exact analysis against brute force: what it calls impossible, contained or apart is so."""

import random
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.features.contact import HistoryEvent, features_of
from engine.features.spec import Feature, Scalar
from engine.features.wall_clock import zone_of
from rules import regions as regions_module
from rules.boxes import Axis, Below
from rules.domains import domain_of
from rules.expression import Expression, Part
from rules.reference import holds, matches
from rules.regions import Region, Regions
from rules.ties import ties_between
from rules.trees import All, Any, Leaf, LeafType, Tree
from rules.vocabulary import Vocabulary

VOCABULARY = Vocabulary("v.yaml")
FREE = {
    "n": Feature("n", "attribute", attribute="n"),
    "m": Feature("m", "attribute", attribute="m"),
    "t": Feature("t", "attribute", attribute="t"),
    "f": Feature("f", "attribute", attribute="f"),
}
EVERYTHING = Region(({},))
# Every class of values that the constants below leave: each of them, between, beyond, unknown.
VALUES: dict[str, tuple[Scalar, ...]] = {
    "n": (None, -1, 0, 0.5, 1, 1.5, 2, 3),
    "m": (None, -1, 0, 0.5, 1, 1.5, 2, 3),
    "t": (None, "a", "b", "c"),
    "f": (None, False, True),
}
ROWS = [dict(zip(VALUES, row, strict=True)) for row in product(*VALUES.values())]

numbers = st.builds(
    Leaf,
    st.sampled_from(("n", "m")),
    st.just("number"),
    st.sampled_from(("==", "!=", "<", "<=", ">", ">=")),
    st.sampled_from((0, 1, 2)),
)
texts = st.one_of(
    st.builds(
        Leaf,
        st.just("t"),
        st.just("text"),
        st.sampled_from(("==", "!=")),
        st.sampled_from(("a", "b")),
    ),
    st.just(Leaf("t", "text", "in", ("a", "b"))),
)
flags = st.builds(Leaf, st.just("f"), st.just("flag"), st.sampled_from(("==", "!=")), st.booleans())
known = st.builds(
    lambda axis, op: Leaf(*axis, op),
    st.sampled_from((("n", "number"), ("m", "number"), ("t", "text"), ("f", "flag"))),
    st.sampled_from(("missing", "present")),
)
leaf_trees = st.one_of(numbers, texts, flags, known)
parts = st.lists(leaf_trees, min_size=1, max_size=3).map(tuple)
trees = st.one_of(
    leaf_trees, parts.map(All), parts.map(Any), st.lists(parts.map(Any)).map(tuple).map(All)
)


def rule_of(when: list[Tree], unless: list[Tree], specs: dict[str, Feature]) -> Expression:
    return Expression(
        "r",
        tuple(Part("w", "w", tree) for tree in when),
        tuple(Part("u", "u", tree) for tree in unless),
        tuple(specs.values()),
    )


rules = st.builds(
    lambda when, unless: rule_of(when, unless, FREE),
    st.lists(trees, min_size=1, max_size=3),
    st.lists(trees, max_size=2),
)


@settings(max_examples=150, deadline=None)
@given(rules, rules)
def test_on_features_without_ties_every_answer_equals_brute_force(one, other) -> None:
    regions = Regions([(one, VOCABULARY), (other, VOCABULARY)])
    first, second = regions.region(one), regions.region(other)
    one_rows = [matches(one, row) for row in ROWS]
    other_rows = [matches(other, row) for row in ROWS]
    both = list(zip(one_rows, other_rows, strict=True))
    assert bool(first.boxes) == any(one_rows)
    assert regions.contains(first, EVERYTHING) == all(one_rows)
    assert regions.contains(second, first) == all(b for a, b in both if a)
    assert regions.meet(first, second) == any(a and b for a, b in both)
    overlapping = regions.overlapping([first, second])
    assert overlapping[0, 1] == overlapping[1, 0] == any(a and b for a, b in both)
    assert overlapping[0, 0] == any(one_rows)
    if regions.contains(second, first):
        assert regions.candidates([first, second])[0, 1]


@settings(max_examples=60, deadline=None)
@given(rules, st.lists(rules, max_size=3))
def test_what_is_left_uncovered_is_an_example_that_no_other_rule_takes(one, others) -> None:
    regions = Regions([(rule, VOCABULARY) for rule in (one, *others)])
    boxes = [box for rule in others for box in regions.region(rule).boxes]
    for box in regions.region(one).boxes:
        left = regions.space.uncovered(box, boxes)
        if left is not None:
            row = {axis.feature.name: value for axis, value in regions.space.example(left).items()}
            # Axes that the box leaves open may take any value, also the ones asked here.
            full = next(full for full in ({**each, **row} for each in ROWS) if matches(one, full))
            assert matches(one, full)
            assert not any(matches(other, full) for other in others)


A, B, C = ("a.done",), ("b.done",), ("a.done", "b.done")
TIED = [
    *(Feature(f"count {name} {days}", "count", types, days)
      for name, types in (("a", A), ("b", B), ("c", C)) for days in (7, 30, None)),
    *(Feature(f"last {n}", "days_since_last", t) for n, t in (("a", A), ("b", B), ("c", C))),
    *(Feature(f"first {n}", "days_since_first", t) for n, t in (("a", A), ("c", C))),
    Feature("months a", "months_since_last", A),
    Feature("months up a", "months_since_last_up", A),
    Feature("months c", "months_since_last", C),
    Feature("months first a", "months_since_first", A),
    Feature("a since b", "count_since_last", A, anchor="b.done"),
    Feature("c since b", "count_since_last", C, anchor="b.done"),
    Feature("sum a", "sum", A, 30),
    Feature("sum c", "sum", C, None),
    Feature("share", "share", A, 30, of_types=C),
    Feature("share other", "share", A, 30, of_types=B),
    Feature("ratio", "interval_ratio", A),
    Feature("last value", "last_value", A),
    Feature("mean value", "mean_value", A, 30),
    Feature("open", "open_count", A, closed_by=B),
    Feature("oldest open", "oldest_open_days", A, closed_by=B),
    Feature("until", "days_until_date", attribute="day"),
    Feature("months date", "months_since_date", attribute="day"),
    Feature("months date up", "months_since_date_up", attribute="day"),
    Feature("anniversary", "days_until_anniversary", attribute="day"),
    Feature("has x", "has", attribute="tags", value="x"),
    Feature("has y", "has", attribute="tags", value="y"),
    Feature("tags", "attribute", attribute="tags"),
    Feature("today", "local_month_day"),
    Feature("weekday", "local_weekday"),
]  # fmt: skip
SPECS = {spec.name: spec for spec in TIED}
DAY = timedelta(days=1)


def a_life(r: random.Random) -> dict[str, Scalar]:
    """The features of a random history, with many events at the very edge of a window."""
    as_of = datetime(2026, r.randint(1, 12), r.randint(1, 28), r.choice((0, 10, 23)), tzinfo=UTC)
    ages = (0, 1, 6, 7, 8, 27, 28, 29, 30, 31, 32, 58, 61, 62, 90, 92, 180, 365, 366, 400)
    events = [
        HistoryEvent(
            type=r.choice((*A, *B)),
            occurred_at=as_of
            - r.choice(ages) * DAY
            - r.choice((0, 0, 1, -1)) * timedelta(minutes=1),
            amount_cents=r.choice((None, -500, 0, 100)),
            subject=r.choice((None, "x:1", "x:2")),
            value=r.choice((None, 1.0, 5.0)),
        )
        for _ in range(r.choice((0, 1, 1, 2, 3, 6)))
    ]
    day = as_of.date() + r.choice((-1, 1)) * r.choice(ages) * DAY
    attributes: dict[str, Scalar] = {
        "day": r.choice((None, day.isoformat())),
        "tags": r.choice((None, "", "x", "x\ny")),
    }
    return features_of(attributes, events, TIED, as_of=as_of, zone=zone_of("UTC"))


def type_of(spec: Feature) -> LeafType:
    return "flag" if spec.kind == "has" else "text" if spec.kind == "attribute" else "number"


def a_leaf(r: random.Random) -> Leaf:
    name = r.choice(sorted(SPECS))
    if SPECS[name].kind in {"has", "attribute"}:
        type_ = "flag" if SPECS[name].kind == "has" else "text"
        op = r.choice(("missing", "present", "==")) if type_ == "flag" else "missing"
        return Leaf(name, type_, op, r.random() < 0.5 if op == "==" else None)
    if r.random() < 0.2:
        return Leaf(name, "number", r.choice(("missing", "present")))
    few = (0, 1, 2, 3) if "days" not in SPECS[name].kind else (-30, 0, 1, 7, 8, 28, 30, 31, 60, 62)
    value = r.choice((229, 301, 1231)) if name == "today" else r.choice((*few, 0.5))
    return Leaf(name, "number", r.choice(("==", "!=", "<", "<=", ">", ">=")), value)


def a_rule(r: random.Random) -> Expression:
    when: list[Tree] = [a_leaf(r) for _ in range(r.randint(1, 3))]
    if r.random() < 0.3:
        when.append(Any((a_leaf(r), a_leaf(r))))
    unless: list[Tree] = [a_leaf(r) for _ in range(r.choice((0, 0, 1)))]
    if r.random() < 0.2:
        unless.append(All((a_leaf(r), a_leaf(r))))
    return rule_of(when, unless, SPECS)


def test_every_tie_and_every_bound_holds_in_every_history() -> None:
    constants = (-60, -30, -1, 0, 0.5, 1, 1.5, 2, 3, 7, 28, 30, 31, 60, 62)
    axes = {Axis(spec, type_of(spec)): constants for spec in TIED}
    ties = ties_between(axes)
    assert len(ties) > 400
    r = random.Random(3)
    for row in (a_life(r) for _ in range(400)):
        for axis in axes:
            domain = domain_of(axis.feature, axis.type, VOCABULARY)
            assert domain.has(row[axis.feature.name]), axis
        for tie in ties:
            if isinstance(tie, Below):
                values = row[tie.first.feature.name], row[tie.second.feature.name]
                first, second = (rank(value, newest_first=tie.newest_first) for value in values)
                assert first <= second, tie
            elif holds(tie.first.leaf, row):
                assert holds(tie.second.leaf, row), tie


def rank(value: Scalar, *, newest_first: bool) -> float:
    if value is None:
        return float("-inf")
    assert isinstance(value, int | float)
    return -value if newest_first else value


@pytest.mark.parametrize("seed", range(3))
def test_no_real_history_does_what_the_analysis_calls_impossible(seed) -> None:
    r = random.Random(seed)
    rows = [a_life(r) for _ in range(200)]
    rules = [a_rule(r) for _ in range(70)]
    analysis = Regions([(rule, VOCABULARY) for rule in rules])
    found = [analysis.region(rule) for rule in rules]
    meets = analysis.overlapping(found)
    inside = [[analysis.contains(outer, inner) for outer in found] for inner in found]
    assert sum(map(sum, inside)) > len(rules) * 2  # there is something to refute
    assert (~meets).sum() > len(rules) * 10
    possible = analysis.candidates(found)
    for row in rows:
        fires = [matches(rule, row) for rule in rules]
        for position in (n for n, hit in enumerate(fires) if hit):
            assert found[position].boxes
            for other, hit in enumerate(fires):
                assert not hit or meets[position, other], (rules[position], rules[other], row)
                assert hit or not inside[position][other], (rules[position], rules[other], row)
                assert possible[position, other] or not inside[position][other]


def test_a_rule_with_too_many_alternatives_is_taken_as_wider_never_as_narrower(monkeypatch) -> None:
    monkeypatch.setattr(regions_module, "_MOST_BOXES", 1)
    r = random.Random(7)
    rules = [a_rule(r) for _ in range(40)]
    analysis = Regions([(rule, VOCABULARY) for rule in rules])
    found = [analysis.region(rule) for rule in rules]
    assert not all(region.exact for region in found)
    for row in (a_life(r) for _ in range(150)):
        for rule, region in zip(rules, found, strict=True):
            assert not matches(rule, row) or region.boxes
            for other, outer in zip(rules, found, strict=True):
                if matches(rule, row) and analysis.contains(outer, region):
                    assert matches(other, row)


def test_nothing_is_said_to_lie_in_a_rule_that_is_only_known_to_be_wider(monkeypatch) -> None:
    either = Any((Leaf("n", "number", "<", 0), Leaf("m", "number", "<", 0)))
    narrow = rule_of([Leaf("t", "text", "==", "a"), either], [], FREE)
    wide = rule_of([Leaf("t", "text", "==", "a")], [], FREE)
    for most, exact in ((5, True), (1, False)):
        monkeypatch.setattr(regions_module, "_MOST_BOXES", most)
        analysis = Regions([(narrow, VOCABULARY), (wide, VOCABULARY)])
        inner, outer = analysis.region(narrow), analysis.region(wide)
        assert inner.exact == exact
        assert analysis.contains(outer, inner)
        assert not analysis.contains(inner, outer)


PAIRS = [
    (("count a 7", ">=", 2), ("count a 30", "<=", 1), "a window lies in a longer one"),
    (("count a 7", ">=", 1), ("count c 7", "==", 0), "events of one type are events of the group"),
    (("count a 30", ">=", 1), ("last a", ">", 30), "a counted event is not older than its window"),
    (("last a", "<=", 30), ("count a 30", "==", 0), "a young event is counted"),
    (("last a", "missing", None), ("count c 7", ">=", 0), None),
    (("last a", "missing", None), ("count a None", ">=", 1), "no event has no age"),
    (("last c", "missing", None), ("first a", "present", None), "the group has no event"),
    (("last a", ">=", 10), ("first a", "<", 10), "the last is not before the first"),
    (("months a", ">=", 2), ("last a", "<", 50), "two months are more than fifty days"),
    (("months a", ">=", 2), ("last a", "<", 62), None),
    (("months a", "<=", 1), ("last a", ">", 90), "one month is less than ninety days"),
    (("months a", ">=", 3), ("months up a", "<=", 2), "rounded up is not below rounded down"),
    (("months a", ">=", 7), ("count a 30", ">=", 1), "seven months ago is outside the window"),
    (("a since b", "present", None), ("last b", "missing", None), "since what never happened"),
    (("a since b", ">=", 1), ("count a None", "==", 0), "what came since was counted"),
    (("share", ">", 0), ("count a 30", "==", 0), "a share of nothing"),
    (("share", ">", 1), ("count a 30", ">=", 1), "a part is not more than the whole"),
    (("share other", ">", 1), ("count a 30", ">=", 1), None),
    (("share", "missing", None), ("count c 30", ">=", 1), "a share of something is known"),
    (("sum a", ">", 0), ("count a 30", "==", 0), "money comes with an event"),
    (("sum a", "<", 0), ("count a 30", ">=", 1), None),
    (("mean value", "present", None), ("count a 30", "==", 0), "a value comes with an event"),
    (("open", ">=", 1), ("oldest open", "missing", None), "what is open has an age"),
    (("until", ">=", 1), ("months date", "present", None), "a date ahead is not months ago"),
    (("until", "<=", -200), ("months date", "<=", 5), "two hundred days are over six months"),
    (("until", "missing", None), ("anniversary", "present", None), "no date, no anniversary"),
    (("has x", "missing", None), ("has y", "present", None), "a list is known or not"),
    (("tags", "missing", None), ("has y", "present", None), "a list is known or not"),
    (("weekday", ">", 7), ("weekday", "present", None), "a week has seven days"),
    (("today", ">", 131), ("today", "<", 201), "no day between 31 January and 1 February"),
    (("count a 7", ">", 1), ("count a 7", "<", 2), "a count is a whole number"),
    (("count a 7", ">=", 0), ("count a 7", "==", 0.5), "a count is a whole number"),
]


@pytest.mark.parametrize(("one", "other", "why"), PAIRS, ids=[f"{a}-{b}" for a, b, _ in PAIRS])
def test_two_conditions_exclude_each_other_where_their_features_are_tied(one, other, why) -> None:
    def leaf(name: str, op, value) -> Leaf:
        return Leaf(name, type_of(SPECS[name]), op, value)

    first, second = leaf(*one), leaf(*other)
    rule = rule_of([first, second], [], SPECS)
    found = Regions([(rule, VOCABULARY)]).region(rule)
    assert bool(found.boxes) == (why is None)
    r = random.Random(5)
    rows = [a_life(r) for _ in range(400)]
    assert any(holds(first, row) for row in rows) or one[0] in {"weekday", "share"}
    assert why is None or not any(matches(rule, row) for row in rows)
