"""Reference, durable_rules and polars answer alike, whatever the rules and the values."""

import math
import random

import polars as pl
import pytest

from engine.features.spec import Scalar
from rules import reference
from rules.durable import DurableMatcher, MatcherFailed
from rules.expression import All, Any, Expression, Leaf, Part, Tree, alternatives
from rules.frame import rule_columns

TYPES = {"n1": "number", "n2": "number", "n3": "number", "t1": "text", "t2": "text", "f1": "flag"}
NUMBERS = (-3, -1, 0, 1, 2, 2.25, 0.3, 0.1 + 0.2, 1e-9, 0.00005, -0.5, 10**15, -(10**15), 1e15)
TEXTS = ("", "a", "a b", "b", "5", "true", "café", "O'Neil", 'say "x"', "back\\", "😀", "a\x00b")
OPS = ("==", "!=", "<", "<=", ">", ">=")
DTYPES = {"number": pl.Float64, "text": pl.String, "flag": pl.Boolean}
RULES, ROWS, ROUNDS = 40, 60, 90


def leaf(r: random.Random) -> Leaf:
    feature = r.choice(sorted(TYPES))
    kind = TYPES[feature]
    if r.random() < 0.15:
        return Leaf(feature, kind, r.choice(("missing", "present")))
    if kind == "number":
        return Leaf(feature, kind, r.choice(OPS), r.choice(NUMBERS))
    if kind == "flag":
        return Leaf(feature, kind, "==", r.random() < 0.5)
    if r.random() < 0.3:
        return Leaf(feature, kind, "in", tuple(r.sample(TEXTS, r.randint(1, 3))))
    return Leaf(feature, kind, r.choice(("==", "!=")), r.choice(TEXTS))


def tree(r: random.Random, depth: int) -> Tree:
    if r.random() < 0.02:
        return r.choice((All(()), Any(())))
    if depth == 0 or r.random() < 0.4:
        return leaf(r)
    parts = tuple(tree(r, depth - 1) for _ in range(r.randint(2, 3)))
    return All(parts) if r.random() < 0.5 else Any(parts)


def narrow_tree(r: random.Random, depth: int) -> Tree:
    while True:
        found = tree(r, depth)
        if alternatives(found) <= 16:
            return found


def expression(r: random.Random, number: int) -> Expression:
    unless = (Part("u", "u", narrow_tree(r, 1)),) if r.random() < 0.5 else ()
    return Expression(f"rule-{number}", (Part("w", "w", narrow_tree(r, 3)),), unless, ())


def value(r: random.Random, kind: str, *, whole: bool) -> Scalar:
    if r.random() < 0.15:
        return None
    if kind == "flag":
        return r.random() < 0.5
    if kind == "text":
        return r.choice((*TEXTS, "zzz", "x" * 70_000, "A"))
    if whole:
        return r.choice((-3, -1, 0, 1, 2, 3, 2**53 + 1, 2**63 - 1, -(2**63), 10**15))
    near = float(r.choice(NUMBERS))
    return r.choice(
        (
            near,
            math.nextafter(near, math.inf),
            math.nextafter(near, -math.inf),
            r.choice((math.nan, math.inf, -math.inf, 1e300, 5e-324, -0.0, 1e22)),
        )
    )


def rows_and_frame(r: random.Random) -> tuple[list[dict[str, Scalar]], pl.DataFrame]:
    """Random rows and the same rows as a frame; now and then a column is missing or mistyped."""
    columns, series = {}, []
    for feature, kind in TYPES.items():
        if r.random() < 0.05:
            continue
        given = r.choice(sorted(DTYPES)) if r.random() < 0.1 else kind
        whole = given == "number" and r.random() < 0.4
        columns[feature] = [value(r, given, whole=whole) for _ in range(ROWS)]
        dtype = pl.Int64 if whole else DTYPES[given]
        series.append(pl.Series(feature, columns[feature], dtype=dtype))
    rows = [{name: values[n] for name, values in columns.items()} for n in range(ROWS)]
    return rows, pl.DataFrame(series)


def test_three_matchers_agree_on_random_rules_and_hostile_values() -> None:
    r = random.Random(20_260_301)
    evaluated, fired = 0, 0
    for _ in range(ROUNDS):
        expressions = [expression(r, number) for number in range(RULES)]
        matcher = DurableMatcher(expressions)
        rows, frame = rows_and_frame(r)
        batch = rule_columns(frame, expressions).to_numpy()
        for position, row in enumerate(rows):
            judge = {e.rule_id for e in expressions if reference.matches(e, row)}
            hits = zip(expressions, batch[position], strict=True)
            assert {e.rule_id for e, hit in hits if hit} == judge, row
            assert matcher.matches(row) == judge, row
            evaluated += RULES
            fired += len(judge)
    assert evaluated >= 200_000
    assert 0.1 < fired / evaluated < 0.9


def rule(*when: Tree, unless: Tree | None = None) -> Expression:
    blocked = () if unless is None else (Part("u", "u", unless),)
    return Expression("r", tuple(Part("w", "w", part) for part in when), blocked, ())


@pytest.mark.parametrize("junk", [None, float("nan"), "5", True])
def test_what_is_unknown_or_of_another_type_is_never_true(junk) -> None:
    for op in OPS:
        expression = rule(Leaf("n1", "number", op, 5))
        assert not reference.matches(expression, {"n1": junk})
        assert not DurableMatcher([expression]).matches({"n1": junk})


def test_an_unknown_unless_does_not_silence() -> None:
    expression = rule(Leaf("n1", "number", ">", 0), unless=Leaf("n2", "number", ">", 0))
    assert reference.matches(expression, {"n1": 1})
    assert DurableMatcher([expression]).matches({"n1": 1}) == {"r"}
    frame = pl.DataFrame({"n1": [1, 1, 1], "n2": [None, 0, 1]})
    assert rule_columns(frame, [expression])["0"].to_list() == [True, True, False]


@pytest.mark.parametrize("op", [">", ">=", "!=", "<", "<=", "==", "present"])
def test_numbers_that_are_none_are_unknown_in_columns_too(op) -> None:
    leaf = Leaf("n", "number", op, None if op == "present" else 5)
    expression = Expression("r", (Part("w", "w", leaf),), (), ())
    frame = pl.DataFrame({"n": [math.nan, None, 9.0, 1.0, 5.0]}, strict=False)
    found = rule_columns(frame, [expression])["0"].to_list()
    assert found[:2] == [False, False]
    assert found == [reference.matches(expression, row) for row in frame.to_dicts()]


def test_a_rule_that_only_asks_for_absence_ends() -> None:
    expression = rule(Leaf("n1", "number", "missing"))
    assert DurableMatcher([expression]).matches({}) == {"r"}
    assert DurableMatcher([expression]).matches({"n1": 0}) == frozenset()


def test_more_than_forty_eight_alternatives_are_refused() -> None:
    seven = Any(tuple(Leaf("n1", "number", "==", n) for n in range(7)))
    with pytest.raises(MatcherFailed, match="49"):
        DurableMatcher([rule(seven, seven)])


def test_two_hundred_rules_that_all_hold_all_fire() -> None:
    # past 64 alternatives that are true at once an undivided ruleset fires nothing
    expressions = [
        Expression(f"r{n}", (Part("w", "w", Leaf("n1", "number", ">=", 0)),), (), ())
        for n in range(200)
    ]
    matcher = DurableMatcher(expressions)
    for _ in range(50):
        assert len(matcher.matches({"n1": 1})) == 200


def test_a_matcher_that_failed_answers_the_next_contact_afresh() -> None:
    expression = rule(Leaf("n1", "number", ">", 0))
    matcher = DurableMatcher([expression])
    with pytest.raises(KeyboardInterrupt):
        matcher.matches(_Interrupting())
    matcher._handles = [10**6]  # a handle that durable_rules does not know
    with pytest.raises(MatcherFailed):
        matcher.matches({"n1": 1})
    assert matcher.matches({"n1": 1}) == {"r"}
    assert matcher.matches({"n1": 0}) == frozenset()


class _Interrupting(dict[str, Scalar]):
    def get(self, *_: object) -> Scalar:
        raise KeyboardInterrupt


def test_a_frame_without_rows_or_columns_matches_nothing() -> None:
    expressions = [rule(Leaf("n1", "number", ">", 0)), rule(Leaf("n1", "number", "missing"))]
    assert rule_columns(pl.DataFrame({"n1": []}), expressions).shape == (0, 2)
    one = rule_columns(pl.DataFrame({"other": [1]}), expressions)
    assert one.row(0) == (False, True)
