"""A first rule is a draft that works and leaves everything else in the file alone."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rules
from engine.errors import Conflict, InvalidInput, InvalidRules, NotFound
from rules.examples import run_examples
from rules.layout import formatted
from rules.loader import load_rules
from rules.starter import (
    PATTERNS,
    Idea,
    refuse_id,
    rule_from_idea,
    rule_from_shipped,
    with_rule,
)
from rules.vocabulary import read_vocabulary

PACKS = Path(rules.__file__).parent / "packs"
RETAIL = PACKS / "retail" / "retention.yaml"
VOCABULARY = read_vocabulary(PACKS / "retail" / "retail.vocab.yaml")


def make_idea(**changes: object) -> Idea:
    given = {
        "id": "shop.first",
        "title": 'The "first" one: really',
        "why": "To begin # with.",
        "owner": "sales",
        "pattern": "silent",
        "event": "invoice.issued",
        "goal": "invoice.paid",
        "answer": "invoice.paid",
    }
    return Idea(**{**given, **changes})


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    pattern=st.sampled_from(sorted(PATTERNS)),
    days=st.integers(1, 3650),
    times=st.integers(1, 100),
    title=st.text(st.characters(codec="ascii", categories=("L", "P", "N", "S", "Zs")), min_size=1),
)
def test_every_first_rule_is_a_draft_whose_two_tests_pass(pattern, days, times, title) -> None:
    times = min(times, days)
    idea = make_idea(pattern=pattern, days=days, times=times, title=f"x{title}")
    text = with_rule(None, rule_from_idea(idea, VOCABULARY), "shop.yaml", VOCABULARY)
    rule_set = load_rules(text, "shop.yaml", VOCABULARY)
    (rule,) = rule_set.rules
    assert rule.title == f"x{title}".strip()
    assert rule.status == "draft"
    assert {test.expect for test in rule.tests} == {"fires", "quiet"}
    assert all(result.passed for result in run_examples(rule_set))
    assert formatted(text, "shop.yaml") == text


def test_a_rule_is_added_at_the_end_and_nothing_else_changes() -> None:
    before = RETAIL.read_text() + "      # a thought for later\n"
    after = with_rule(before, rule_from_idea(make_idea(), VOCABULARY), "retail.yaml", VOCABULARY)
    assert after.startswith(before)
    ids = [rule.id for rule in load_rules(after, "retail.yaml", VOCABULARY).rules]
    assert ids[-1] == "shop.first"
    assert len(ids) == len(load_rules(before, "retail.yaml", VOCABULARY).rules) + 1


def test_a_rule_goes_before_what_follows_the_list_and_takes_its_indentation() -> None:
    before = (
        "format: 1\npack: shop\nvocabulary: retail.vocab.yaml\nrules:\n    - id: shop.zero\n"
        + rule_from_idea(make_idea(id="shop.zero"), VOCABULARY)
        .split("\n", 1)[1]
        .replace("\n    ", "\n      ")
        .replace("    title", "      title", 1)
        + "# the end of the rules\ndefaults: {owner: sales}\n"
    )
    after = with_rule(before, rule_from_idea(make_idea(), VOCABULARY), "shop.yaml", VOCABULARY)
    assert "\n    - id: shop.first\n      title: " in after
    assert after.endswith("# the end of the rules\ndefaults: {owner: sales}\n")


def test_windows_line_ends_stay() -> None:
    before = RETAIL.read_text().replace("\n", "\r\n")
    after = with_rule(before, rule_from_idea(make_idea(), VOCABULARY), "retail.yaml", VOCABULARY)
    assert after.startswith(before)
    assert "\n" not in after.replace("\r\n", "")


def test_an_id_that_is_taken_is_refused() -> None:
    idea = make_idea(id="shop.win-back")
    with pytest.raises(Conflict, match="already has a rule"):
        with_rule(RETAIL.read_text(), rule_from_idea(idea, VOCABULARY), "retail.yaml", VOCABULARY)


def test_a_file_with_faults_is_refused_with_their_places() -> None:
    text = RETAIL.read_text().replace("at_least: 2\n", "at_leest: 2\n", 1)
    with pytest.raises(InvalidRules) as refused:
        with_rule(text, rule_from_idea(make_idea(), VOCABULARY), "retail.yaml", VOCABULARY)
    assert refused.value.findings[0].hint == "at_least"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"event": "invoice.isued"}, "invoice.issued"),
        ({"pattern": "sillent"}, "silent"),
        ({"pattern": "unanswered", "answer": "nothing"}, "no event 'nothing'"),
        ({"pattern": "repeated", "times": 9, "days": 3}, "makes no rule"),
        ({"days": 0}, "makes no rule"),
    ],
)
def test_answers_that_make_no_rule_are_refused_with_what_would(changes, said) -> None:
    with pytest.raises(InvalidInput, match=said):
        rule_from_idea(make_idea(**changes), VOCABULARY)


def test_a_shipped_rule_is_copied_as_a_draft_with_its_tests() -> None:
    rule, vocabulary = rule_from_shipped("shop.mine", "shop.rhythm-broken")
    assert vocabulary == VOCABULARY.file
    text = with_rule(None, rule, "mine.yaml", VOCABULARY)
    (mine,) = load_rules(text, "mine.yaml", VOCABULARY).rules
    theirs = load_rules(RETAIL.read_text(), "retail.yaml", VOCABULARY).rules[0]
    assert (mine.id, mine.status) == ("shop.mine", "draft")
    assert [test.name for test in mine.tests] == [test.name for test in theirs.tests]
    assert [c.words for c in mine.when] == [c.words for c in theirs.when]
    assert mine.then == theirs.then


def test_a_shipped_rule_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(NotFound, match=r"shop\.win-back"):
        rule_from_shipped("shop.mine", "shop.winback")


@pytest.mark.parametrize("name", ["", "Shop", "shop/one", "shop..one", "shop one", "x" * 201])
def test_an_id_is_words_with_dots_and_dashes(name) -> None:
    with pytest.raises(InvalidInput):
        refuse_id(name)
