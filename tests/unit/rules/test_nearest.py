"""What is told to be missing is enough, is checked by the judge, and no smaller change would do."""

import random
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.features.spec import Feature, Scalar
from rules import reference
from rules.compiled import compile_rules
from rules.expression import All, Any, Expression, Leaf, Part, Tree, leaves
from rules.nearest import changed, nearest
from tests.factories.language import a_rule, load, vocabulary

KINDS = {"counted": "count", "days": "days_since_last", "plan": "attribute", "vip": "attribute"}
SPECS = tuple(Feature(name, kind, attribute=name) for name, kind in KINDS.items())
TYPES = {"counted": "number", "days": "number", "plan": "text", "vip": "flag"}
VALUES: dict[str, tuple[Scalar, ...]] = {
    "counted": (0, 1, 2, 3, 4, 5, 6),
    "days": (None, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0),
    "plan": (None, "a", "b", "c", "other"),
    "vip": (None, True, False),
}


def leaf(rng: random.Random) -> Leaf:
    name = rng.choice(sorted(TYPES))
    kind = TYPES[name]
    if rng.random() < 0.15 and name != "counted":
        return Leaf(name, kind, rng.choice(("missing", "present")))
    if kind == "flag":
        return Leaf(name, kind, "==", rng.random() < 0.5)
    if kind == "text":
        op = rng.choice(("==", "!=", "in"))
        return Leaf(name, kind, op, ("a", "b") if op == "in" else rng.choice("abc"))
    op = rng.choice(("==", "!=", "<", "<=", ">", ">="))
    return Leaf(name, kind, op, rng.randrange(1, 5))


def tree(rng: random.Random, depth: int = 2) -> Tree:
    if depth == 0 or rng.random() < 0.5:
        return leaf(rng)
    parts = tuple(tree(rng, depth - 1) for _ in range(2))
    return All(parts) if rng.random() < 0.4 else Any(parts)


def expression(rng: random.Random) -> Expression:
    when = tuple(Part("w", "w", tree(rng)) for _ in range(rng.randrange(1, 4)))
    unless = tuple(Part("u", "u", tree(rng)) for _ in range(rng.randrange(3)))
    return Expression("r", when, unless, SPECS)


def row(rng: random.Random) -> dict[str, Scalar]:
    return {name: rng.choice(values) for name, values in VALUES.items()}


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10**9))
def test_the_change_makes_it_propose_and_fewer_features_would_not(seed) -> None:
    rng = random.Random(seed)
    rule, now = expression(rng), row(rng)
    found = nearest(rule, now, vocabulary())
    used = sorted({one.feature for one in leaves(rule.everything)})

    if found.changes is None:
        assert not any(
            reference.matches(rule, {**now, **dict(zip(used, values, strict=True))})
            for values in product(*(VALUES[name] for name in used))
        )
        return
    assert reference.matches(rule, changed(now, found.changes))
    assert (found.distance == 0) == (not found.changes) == reference.matches(rule, now)
    for fewer in range(len(found.changes)):
        for names in combinations(used, fewer):
            for values in product(*(VALUES[name] for name in names)):
                assert not reference.matches(rule, {**now, **dict(zip(names, values, strict=True))})


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9))
def test_a_number_moves_no_further_than_it_must(seed) -> None:
    rng = random.Random(seed)
    rule, now = expression(rng), row(rng)
    found = nearest(rule, now, vocabulary())
    if found.changes is None or len(found.changes) != 1:
        return
    (change,) = found.changes
    if change.feature != "counted":
        return
    for value in VALUES["counted"]:
        if abs(value - now["counted"]) < abs(change.to - now["counted"]):
            assert not reference.matches(rule, {**now, "counted": value})


def test_what_is_missing_is_named_in_the_rules_own_order() -> None:
    rules = compile_rules(
        load(
            a_rule(
                "- {field: contact.plan, is: family}\n"
                "- {count: appointment.no_show, in_last: 30 days, at_least: 2}",
                "    unless:\n      - {field: contact.age, at_least: 90, because: too old}\n",
            )
        )
    )
    now = {"contact.plan": "solo", "count appointment.no_show in 30 days": 1, "contact.age": 95}
    found = nearest(rules.expressions[0], now, vocabulary())
    assert [part.label for part in found.missing] == [
        "field contact.plan",
        "count appointment.no_show",
        "unless contact.age",
    ]
    assert {change.feature: change.to for change in found.changes or ()} == {
        "contact.plan": "family",
        "count appointment.no_show in 30 days": 2,
        "contact.age": 89,
    }


@pytest.mark.parametrize(("missed", "nearer"), [(1, 2), (2, 3)])
def test_one_more_event_is_nearer_than_two(missed, nearer) -> None:
    rules = compile_rules(
        load(a_rule("- {count: appointment.no_show, in_last: 30 days, at_least: 4}"))
    )
    name = "count appointment.no_show in 30 days"
    far = nearest(rules.expressions[0], {name: missed}, vocabulary())
    near = nearest(rules.expressions[0], {name: nearer}, vocabulary())
    assert 0 < near.distance < far.distance
