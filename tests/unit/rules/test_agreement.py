"""Two ways to evaluate a rule that disagree are found, and named."""

from typing import Any

import polars as pl
import pytest

from engine.features.spec import CONTACT
from rules.agreement import Difference, Sampled, differences
from rules.compiled import CompiledRules, compile_rules
from rules.frame import rule_columns
from tests.factories.language import a_rule, load

ADULT = a_rule("- {field: contact.age, at_least: 18}", name="a.adult")
FAMILY = a_rule("- {field: contact.plan, is: family}", name="b.family", then="action: b")
PRESENT = a_rule("- {field: contact.age, present: yes}", name="c.known", then="action: c")
CONTRACT = a_rule(
    "- {field: contract.tier, is: gold}",
    "    for_each: contract\n",
    name="d.gold",
    then="action: d",
)
ROWS = [{"contact.age": 40.0, "contact.plan": "family"}, {"contact.age": 40.0}, {}]


def compiled(*rules: str) -> CompiledRules:
    return compile_rules(load(*(rules or (ADULT, FAMILY, PRESENT))))


def sampled(rows: list[dict[str, Any]], subject: str | None = None) -> list[Sampled]:
    return [Sampled(f"c-{number}", row, subject) for number, row in enumerate(rows)]


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"contact.age": pl.Float64, "contact.plan": pl.String})


def test_ways_that_agree_are_left_in_peace() -> None:
    assert differences(compiled(), sampled(ROWS), frame(ROWS)) == []
    assert differences(compiled(), [], frame([])) == []


@pytest.mark.parametrize(("age", "told"), [(17.0, "17.0"), (41.0, "41.0"), (None, "unknown")])
def test_a_feature_with_two_values_names_its_rules_contact_and_both_values(age, told) -> None:
    batch = [{**ROWS[0], "contact.age": age}, *ROWS[1:]]
    first, second = differences(compiled(), sampled(ROWS), frame(batch))
    assert first == Difference("a.adult", "contact c-0", "'contact.age'", "40.0", told)
    assert second.rule_id == "c.known"
    assert str(first) == (
        f"a.adult, contact c-0: 'contact.age' is 40.0 alone and {told} in a batch"
    )


def test_several_contacts_of_one_rule_are_one_difference() -> None:
    batch = [{**row, "contact.age": 1.0} for row in ROWS]
    found = {each.rule_id: each for each in differences(compiled(), sampled(ROWS), frame(batch))}
    assert (found["a.adult"].name, found["a.adult"].times) == ("contact c-0", 3)
    assert "3 differ" in str(found["a.adult"])


def test_a_matcher_that_says_otherwise_is_found_though_all_features_agree(monkeypatch) -> None:
    """As after an upgrade of the library that broke a comparison."""

    def upside_down(rows: pl.DataFrame, expressions: Any) -> pl.DataFrame:
        return rule_columns(rows, expressions).with_columns(~pl.col("0"))

    monkeypatch.setattr("rules.compiled.rule_columns", upside_down)
    (found,) = differences(compiled(), sampled(ROWS), frame(ROWS))
    assert (found.rule_id, found.what) == ("a.adult", "what its conditions say")
    assert (found.alone, found.batch) == ("proposes (judge: proposes)", "quiet")
    assert found.times == 3


def test_rules_about_subjects_are_compared_on_subjects() -> None:
    rules = compiled(ADULT, CONTRACT)
    tier = next(spec.name for spec in rules.features if spec.scope != CONTACT)
    one = sampled([{"contact.age": 40.0, tier: "gold"}], "contract:1")
    batch = pl.DataFrame({"contact.age": [40.0], tier: [None]}, schema_overrides={tier: pl.String})
    (found,) = differences(rules, one, batch, "contract")
    assert (found.rule_id, found.name) == ("d.gold", "contact c-0, contract:1")
    assert differences(rules, one, batch.with_columns(pl.lit("gold").alias(tier)), "contract") == []


def test_a_yes_is_not_a_one() -> None:
    flag = a_rule("- {field: contact.tags, has: gold}", name="e.flag")
    rules = compiled(flag)
    (spec,) = rules.features
    batch = pl.DataFrame({spec.name: [1]})
    (found,) = differences(rules, sampled([{spec.name: True}]), batch)
    assert (found.alone, found.batch) == ("True", "1")
