"""Shipped packs and shipped templates fit each other, and the packs run side by side."""

from pathlib import Path

import pytest

import rules
from content.render import list_templates, list_variants
from rules.document import Rule
from rules.loader import read_rules
from rules.merged import merge_rule_sets

PACKS = Path(rules.__file__).parent / "packs"
FILES = sorted(path for path in PACKS.rglob("*.yaml") if not path.name.endswith(".vocab.yaml"))
INDUSTRIES = sorted({path.parent.name for path in FILES} - {"common"})


def rules_of(*folders: str) -> list[Rule]:
    return [r for p in FILES if p.parent.name in folders for r in read_rules(p).rules]


@pytest.mark.parametrize("path", FILES, ids=[f"{p.parent.name}-{p.stem}" for p in FILES])
def test_every_channel_that_a_rule_may_use_has_its_texts(path: Path) -> None:
    expected = {
        "email": ("brief", "friendly"),
        "sms": ("brief", "friendly"),
        "call_task": ("friendly",),
    }
    lacking = [
        f"{rule.id}: {rule.then.template} by {channel}"
        for rule in read_rules(path).rules
        for channel in rule.then.channels
        if list_variants(rule.then.template, channel) != expected[channel]
    ]
    assert lacking == []


def test_no_shipped_template_is_left_without_a_rule() -> None:
    named = {rule.then.template for rule in rules_of("common", *INDUSTRIES)}
    assert set(list_templates()) - named == set()


@pytest.mark.parametrize("industry", INDUSTRIES)
def test_an_industry_runs_beside_the_rules_for_every_business(industry: str) -> None:
    together = [p for p in FILES if p.parent.name in {"common", industry}]
    merged = merge_rule_sets([read_rules(path) for path in together])
    assert len(merged.rules) == sum(len(read_rules(path).rules) for path in together)


def test_calls_and_advertising_start_as_shadow_rules() -> None:
    acting = [
        rule.id
        for path in FILES
        if path.parent.name in {"common", "professional_services"}
        for rule in read_rules(path).rules
        if rule.status == "live"
        and (rule.then.purpose == "marketing" or "call_task" in rule.then.channels)
    ]
    assert acting == []
