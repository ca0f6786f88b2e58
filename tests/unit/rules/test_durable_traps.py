"""What durable_rules gets wrong, and that none of it reaches a decision.

One fact per known trap of the engine that a rule, a contact or a caller can lead to; what our
matcher never asks of it (joins, timers, actions, deleting) is shown by what it calls at all.
"""

import ast
import math
import re
import threading
from pathlib import Path

import pytest

from engine.features.spec import Scalar
from rules import durable, reference
from rules.durable import DurableMatcher, MatcherFailed
from rules.expression import All, Any, Expression, Leaf, Part, Tree

SOURCE = Path(durable.__file__).read_text(encoding="utf-8")


def rule(*when: Tree, unless: Tree | None = None, name: str = "r") -> Expression:
    blocked = () if unless is None else (Part("u", "u", unless),)
    return Expression(name, tuple(Part("w", "w", part) for part in when), blocked, ())


def number(op: str, value: float, feature: str = "n") -> Leaf:
    return Leaf(feature, "number", op, value)  # type: ignore[arg-type]


def agree(expressions: list[Expression], row: dict[str, Scalar]) -> frozenset[str]:
    found = DurableMatcher(expressions).matches(row)
    assert found == {e.rule_id for e in expressions if reference.matches(e, row)}, row
    return found


def test_the_page_of_traps_names_tests_that_there_are() -> None:
    folder = Path(__file__).parent
    page = folder.parents[2] / "docs/decisions/0003-durable-rules-in-a-safe-subset.md"
    named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
    there = {
        node.name
        for file in folder.glob("test_*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert len(named) > 25
    assert named <= there
    own = {name for name in globals() if name.startswith("test_") and "page_of_traps" not in name}
    assert own - named == {
        "test_the_engine_is_told_only_what_a_condition_holds_for_and_asked_only_what_may_hold"
    }


def test_more_contacts_than_the_engine_has_sessions_and_messages_are_all_answered() -> None:
    # 1,025 sessions crash it; the 46,011th fact is the first it takes for one seen before
    matcher = DurableMatcher([rule(number(">", 5))])
    for contact in range(50_000):
        expected = {"r"} if contact % 7 > 5 else set()
        assert matcher.matches({"n": contact % 7, "contact": f"contact-{contact}"}) == expected


def test_contacts_whose_names_the_engine_confuses_are_told_apart() -> None:
    # both names have the same 32-bit hash
    one, other = "contact-946978", "contact-1482446"
    assert durable._hash(one) == durable._hash(other)
    matcher = DurableMatcher([rule(Leaf("who", "text", "==", one))])
    assert matcher.matches({"who": one}) == {"r"}
    assert matcher.matches({"who": other}) == frozenset()
    assert agree([rule(number("==", 1, one))], {other: 1}) == frozenset()


def test_only_the_sound_calls_of_the_engine_are_used() -> None:
    # no delete (crashes), no post (events are consumed), no timer, no client, no background thread
    calls = {
        node.attr
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "native"
    }
    assert calls == {
        "assert_fact",
        "complete_and_start_action",
        "create_ruleset",
        "error",
        "retract_fact",
        "start_action_for_state",
    }
    assert "durable.engine" not in SOURCE


def test_what_enters_the_engine_is_one_flat_pattern_of_small_integers(monkeypatch) -> None:
    # no joins (out-of-bounds reads), no arithmetic (division by zero kills the process), no second
    # field in a comparison (an absent one is read from uninitialised memory), no regular expression
    seen: list[str] = []
    create = durable.native.create_ruleset
    monkeypatch.setattr(
        durable.native, "create_ruleset", lambda name, text: seen.append(text) or create(name, text)
    )
    tree = All((number("<=", 1e22), Any((number(">", 0.1), Leaf("t", "text", "==", 'a"b')))))
    DurableMatcher([rule(tree, unless=Leaf("t", "text", "missing"))])
    assert "".join(seen) == (
        '{"w0.0":{"all":[{"m":{"$and":[{"$k":1},{"$gt":{"v0":1}},{"$lte":{"v0":3}}]}}]},'
        '"w0.1":{"all":[{"m":{"$and":[{"$k":1},{"v1":1},{"$lte":{"v0":3}}]}}]}}'
        '{"u0.0":{"all":[{"m":{"$and":[{"v2":1},{"$nex":{"v1":1}}]}}]}}'
    )


def test_the_engine_is_told_only_what_a_condition_holds_for_and_asked_only_what_may_hold(
    monkeypatch,
) -> None:
    facts: list[str] = []
    tell = durable.native.assert_fact
    monkeypatch.setattr(
        durable.native, "assert_fact", lambda handle, text: facts.append(text) or tell(handle, text)
    )
    tree = All((number(">=", 5, "a"), number("!=", 2, "b"), number("missing", None, "c")))
    matcher = DurableMatcher([rule(tree)])
    assert matcher.matches({"a": 9, "b": 3}) == {"r"}
    assert matcher.matches({"a": 9, "b": 2}) == frozenset()
    assert matcher.matches({"a": 9, "b": 3, "c": 0}) == frozenset()
    assert matcher.matches({"a": 4, "b": 3}) == frozenset()  # the rarest does not hold: not asked
    assert matcher.matches({}) == frozenset()
    assert facts == [
        '{"$k":1,"id":"f","v0":2,"v1":2}',
        '{"$k":1,"id":"f","v0":2}',
        '{"$k":1,"id":"f","v0":2,"v1":2,"v2":0}',
    ]


def test_a_pattern_whose_last_comparison_fails_is_harmless() -> None:
    tree = All((number("==", 1, "a"), number("==", 2, "b"), number("==", 3, "c")))
    for row in ({"a": 1, "b": 2, "c": 4}, {"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}):
        agree([rule(tree)], row)


def test_six_hundred_constants_of_one_feature_are_told_apart() -> None:
    # the engine hangs with 513 different conditions at one level
    expressions = [rule(number("==", n), name=f"r{n}") for n in range(600)]
    assert agree(expressions, {"n": 517}) == {"r517"}


def test_three_hundred_rules_share_a_condition() -> None:
    # the 256th that shares one crashes it
    expressions = [rule(number("==", 1), number(">=", 1, "m"), name=f"r{n}") for n in range(300)]
    assert len(agree(expressions, {"n": 1, "m": 1})) == 300


def test_rules_over_more_features_than_a_fact_can_hold_still_match() -> None:
    # the engine refuses a fact of more than 251 fields
    expressions = [
        rule(*(number(">=", 1, f"f{n}-{m}") for m in range(9)), name=f"r{n}") for n in range(60)
    ]
    row: dict[str, Scalar] = {f"f{n}-{m}": n % 2 for n in range(60) for m in range(9)}
    assert len(agree(expressions, row)) == 30
    wide = rule(*(number(">=", 1, f"f{n}") for n in range(201)))
    with pytest.raises(MatcherFailed, match="201 features"):
        DurableMatcher([wide])


def test_an_or_whose_branches_all_hold_counts_once() -> None:
    tree = Any((number(">", 1), number(">", 2), number(">", 3)))
    assert agree([rule(tree)], {"n": 9}) == {"r"}


def test_a_value_that_the_last_contact_had_and_this_one_lacks_is_unknown() -> None:
    matcher = DurableMatcher([rule(number(">", 5, "a"), number(">", 5, "b"))])
    for _ in range(3):
        assert matcher.matches({"a": 9, "b": 9}) == {"r"}
        assert matcher.matches({"a": 9}) == frozenset()
        assert matcher.matches({"b": 9, "a": None}) == frozenset()


@pytest.mark.parametrize(
    "value",
    [
        0.00005,
        1e-7,
        -1e-9,
        1e16,
        1e300,
        math.inf,
        -math.inf,
        math.nan,
        2**63,
        2**64,
        -(2**64),
        -0.0,
    ],
)
def test_numbers_that_the_engine_refuses_or_rounds_are_compared_exactly(value) -> None:
    for op in ("==", "!=", "<", "<=", ">", ">="):
        for constant in (0, 0.00005, 10**15, -(10**15)):
            agree([rule(number(op, constant))], {"n": value})


@pytest.mark.parametrize("value", ["5", "10", "abc", "", True, False, None])
def test_a_number_is_never_equal_to_a_text_or_a_yes(value) -> None:
    for op in ("==", "!=", "<", ">"):
        for constant in (0, 1, 5):
            assert agree([rule(number(op, constant))], {"n": value}) == frozenset()


def test_the_same_facts_twice_and_a_changed_fact_are_both_seen() -> None:
    # it refuses an equal event, and keeps the old value of a fact that changes
    matcher = DurableMatcher([rule(number(">", 5), name="a"), rule(number(">", 4), name="b")])
    assert matcher.matches({"n": 9}) == matcher.matches({"n": 9}) == {"a", "b"}
    assert matcher.matches({"n": 5}) == {"b"}
    assert matcher.matches({"n": 9}) == {"a", "b"}


def test_threads_that_share_a_matcher_get_their_own_answers() -> None:
    matcher = DurableMatcher([rule(number("==", n), name=f"r{n}") for n in range(60)])
    wrong: list[int] = []

    def ask(own: int) -> None:
        wrong.extend(own for _ in range(300) if matcher.matches({"n": own}) != {f"r{own}"})

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_operator_that_the_engine_would_pass_over_in_silence_is_refused() -> None:
    with pytest.raises(KeyError):
        DurableMatcher([rule(Leaf("t", "text", "=~", "a"))])  # type: ignore[arg-type]
    with pytest.raises(MatcherFailed, match="no order"):
        DurableMatcher([rule(Leaf("t", "text", "<", "abc"))])


@pytest.mark.parametrize("size", [65_535, 65_536, 70_000])
def test_long_texts_that_differ_at_the_end_are_told_apart(size) -> None:
    text = "x" * size
    expression = rule(Leaf("t", "text", "==", text))
    assert agree([expression], {"t": text}) == {"r"}
    assert agree([expression], {"t": text[:-1] + "y"}) == frozenset()


@pytest.mark.parametrize(
    "text",
    ['say "hi"', "it's", "back\\slash", "end\\", "tab\tline\n", "café 😀", "nul\0", "\ud800", "$k"],
)
def test_any_text_can_be_compared(text) -> None:
    expression = rule(Leaf("t", "text", "==", text), unless=Leaf("t", "text", "==", "other"))
    assert agree([expression], {"t": text}) == {"r"}
    assert agree([rule(number("==", 1, text))], {text: 1}) == {"r"}
    assert agree([rule(Leaf("t", "text", "==", "cafe\u0301"))], {"t": "café"}) == frozenset()


@pytest.mark.parametrize("name", ["sid", "id", "$k", "$s", "$m", "a.b", "v0"])
def test_a_feature_named_like_the_engine_s_own_is_just_a_feature(name) -> None:
    assert agree([rule(number("==", 1, name))], {name: 1}) == {"r"}
    assert agree([rule(number("==", 1, name))], {name: 2}) == frozenset()


def test_a_rule_that_asks_for_nothing_holds_once() -> None:
    assert agree([rule(All(()))], {}) == {"r"}
    assert agree([rule(number("==", 1), unless=All(()))], {"n": 1}) == frozenset()
    assert agree([rule(Any(()))], {}) == frozenset()
