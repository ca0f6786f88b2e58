"""Choice tables: which of several offers a rule proposes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.features.spec import Scalar
from rules import reference
from rules.compiled import compile_rules
from rules.document import RuleSet
from rules.expression import Leaf, negated
from tests.factories.language import a_rule, codes, load

TABLE = """choose:
  - id: offer
    columns: [contact.age, contact.plan, contact.tags, count visit in 9 days]
    rows:
      - [any, any, gold, any, one]
      - [between 20 and 30, family, any, any, two]
      - [any, any, any, at most 1, one]
      - [any, any, any, 3 or more, three]
"""
OFFERS = "choose: offer\n      offers: {one: {}, two: {priority: 9, action: b}, three: {}}"


def offers(top: str = TABLE) -> RuleSet:
    return load(a_rule("- {field: contact.months, present: yes}", then=OFFERS), top=top)


def test_a_rule_with_offers_is_one_rule_per_offer() -> None:
    found = [(r.id, r.then.action, r.then.priority, r.title) for r in offers().rules]
    assert found == [
        ("a.rule/one", "one", 50, "A rule"),
        ("a.rule/two", "b", 9, "A rule"),
        ("a.rule/three", "three", 50, "A rule"),
    ]


def first_row(row: dict[str, Scalar]) -> str | None:
    """The table above, as a person reads it."""
    age, plan, visits = row["contact.age"], row["contact.plan"], row["count visit in 9 days"]
    if row["contact.tags has gold"]:
        return "one"
    if age is not None and 20 <= age <= 30 and plan == "family":
        return "two"
    if visits is not None and visits <= 1:
        return "one"
    return "three" if visits is not None and visits >= 3 else None


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    age=st.sampled_from([None, 19, 20, 25.5, 30, 31]),
    plan=st.sampled_from([None, "family", "solo", ""]),
    gold=st.sampled_from([None, True, False]),
    visits=st.sampled_from([None, 0, 1, 2, 3]),
)
def test_the_first_row_that_holds_gives_the_offer(age, plan, gold, visits) -> None:
    row: dict[str, Scalar] = {
        "contact.months": 1,
        "contact.age": age,
        "contact.plan": plan,
        "contact.tags has gold": gold,
        "count visit in 9 days": visits,
    }
    compiled = COMPILED
    offer = first_row(row)
    expected = {f"a.rule/{offer}"} if offer else set()
    assert compiled.reference(row) == compiled.match_one(row) == expected


COMPILED = compile_rules(offers())


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("[any, any, gold, any, one]", "[any, any, gold, one]", "E145"),
        ("[any, any, gold, any, one]", "[any, any, [gold], any, one]", "E145"),
        ("[any, any, gold, any, one]", "[any, golden, any, any, one]", "E112"),
        ("[any, any, gold, any, one]", "[young, any, any, any, one]", "E110"),
        ("[any, any, gold, any, one]", "[any, any, gold, any, other]", "E146"),
        ("[any, any, any, 3 or more, three]", "[any, any, any, 3 or more, two]", "E146"),
        ("contact.plan,", "contact.born,", "E103"),
        ("contact.plan,", "contact.plann,", "E102"),
        ("count visit in 9 days", "count visit in 2 months", "E121"),
        ("id: offer", "id: other", "E102"),
        ("columns:", "hit: only\n    columns:", "E144"),
    ],
)
def test_a_choice_table_that_makes_no_sense_is_refused(old, new, code) -> None:
    assert old in TABLE
    rule = a_rule("- {field: contact.months, present: yes}", then=OFFERS)
    assert code in codes(rule, top=TABLE.replace(old, new))


@pytest.mark.parametrize(
    ("then", "code"),
    [
        (OFFERS.replace("two: {", "two: {choose: offer, "), "E010"),
        (OFFERS.replace("one: {}", "one: {offers: {}}"), "E010"),
        (OFFERS + "\n      action: x", "E105"),
        ("choose: offer", "E105"),
        ("offers: {one: {}}\n      action: x", "E105"),
        (OFFERS.replace("offers: {", "offers: [").replace("three: {}}", "three: {}]"), "E012"),
    ],
)
def test_offers_that_make_no_sense_are_refused(then, code) -> None:
    assert code in codes(a_rule("- {field: contact.months, present: yes}", then=then), top=TABLE)


def test_a_test_that_fires_names_its_offer() -> None:
    tests = "    tests:\n      - {name: x, today: 2026-03-10 10:00, expect: fires}\n"
    rule = a_rule("- {field: contact.months, present: yes}", tests, then=OFFERS)
    assert codes(rule, top=TABLE) == ["E205"]


LEAVES = st.one_of(
    st.builds(
        Leaf,
        st.just("n"),
        st.just("number"),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.sampled_from([1, 2]),
    ),
    st.builds(Leaf, st.just("n"), st.just("number"), st.sampled_from(["missing", "present"])),
    st.just(Leaf("t", "text", "in", ("a", "b"))),
)


@given(LEAVES, st.sampled_from([None, 0, 1, 1.5, 2, 3, float("nan"), "a"]), st.sampled_from("abc"))
def test_the_opposite_of_a_condition_holds_exactly_where_it_does_not(leaf, number, text) -> None:
    row = {"n": number, "t": text}
    assert reference.holds(negated(leaf), row) is not reference.holds(leaf, row)


def test_a_file_has_five_hundred_rules_with_offers_counted_and_twenty_tables() -> None:
    when = "- {field: contact.months, present: yes}"
    rules = [a_rule(when, name=f"r{n}", then=OFFERS) for n in range(167)]
    assert len(load(*rules[:166], top=TABLE).rules) == 498
    assert codes(*rules, top=TABLE) == ["E007"]
    table = TABLE.removeprefix("choose:\n")
    tables = "choose:\n" + "".join(table.replace("id: offer", f"id: t{n}") for n in range(20))
    assert len(load(a_rule(when), top=tables).choices) == 20
    assert codes(a_rule(when), top=tables + table) == ["E007"]
