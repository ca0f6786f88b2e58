"""docs/rule-packs.md says of every shipped rule what the rule says, under what it is for."""

import re
from pathlib import Path

import rules
from rules.document import Rule
from rules.loader import read_rules

PACKS = Path(rules.__file__).parent / "packs"
PAGE = PACKS.parents[1] / "docs" / "rule-packs.md"
# what each kind of business has to be served with
WANTED = {
    "Healthcare": (
        "no-show and late cancellation recovery", "adherence risk before a visit",
        "preventive recall per procedure interval", "unscheduled treatment plan",
        "patient satisfaction and review pattern, detractor recovery",
        "insurance change or lapse, benefits about to expire", "new patient's second visit",
        "reactivation", "family grouped into one message",
    ),
    "Trades": (
        "maintenance contract renewal with usage", "seasonal tune-up by climate and last service",
        "emergency response follow-up by response time and outcome",
        "warranty follow-up and expiry", "equipment end of life", "unsold estimate",
        "membership offer after the second repair", "missed maintenance visit",
        "safety and small reminders",
    ),
    "Professional services": (
        "milestone satisfaction pulse and drop", "project completion follow-up",
        "additional service opportunity", "referral ask only after proven satisfaction",
        "contract renewal 120, 90, 60, 30 days ahead with predicted outcome", "invoice friction",
        "silence of a key contact", "change of sponsor", "scope creep",
    ),
    "Every business": (
        "payment failure", "complaint open too long", "sentiment drop", "engagement decay",
        "win-back", "thank-you", "birthday only with consent",
    ),
    "Retail": ("rhythm of purchases",),
}  # fmt: skip


def shipped() -> dict[str, list[Rule]]:
    """The rules as they are written: the offers of one together."""
    found: dict[str, list[Rule]] = {}
    for path in sorted(PACKS.rglob("*.yaml")):
        if not path.name.endswith(".vocab.yaml"):
            for rule in read_rules(path).rules:
                found.setdefault(rule.id.partition("/")[0], []).append(rule)
    return found


def line_of(rule_id: str, offers: list[Rule]) -> str:
    """A row of the page."""
    first = offers[0]
    channels = sorted({channel for offer in offers for channel in offer.then.channels})
    actions = ", ".join(f"`{offer.then.action}`" for offer in offers)
    about = "" if first.subject == "contact" else f", each {first.subject}"
    return (
        f"| `{rule_id}` | {first.title}{about} | {actions} | {first.then.purpose} | "
        f"{', '.join(channels)} | {first.status} |"
    )


def page() -> dict[str, dict[str, list[str]]]:
    """Rows under each line of each part."""
    parts: dict[str, dict[str, list[str]]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            part = parts.setdefault(line[3:], {})
        elif line.startswith("### "):
            rows = part.setdefault(line[4:], [])
        elif line.startswith("| `"):
            rows.append(line)
    return parts


def test_every_line_of_every_kind_of_business_has_its_rules() -> None:
    told = page()
    assert {part: tuple(lines) for part, lines in told.items()} == WANTED
    assert [line for lines in told.values() for line, rows in lines.items() if not rows] == []


def test_the_page_says_of_each_rule_what_the_rule_says() -> None:
    rows = [row for lines in page().values() for listed in lines.values() for row in listed]
    named = [match[1] for row in rows if (match := re.match(r"\| `([^`]+)`", row))]
    assert len(set(named)) == len(named)
    found = shipped()
    assert sorted(named) == sorted(found)
    assert [
        row for row in rows if row != line_of(named[rows.index(row)], found[named[rows.index(row)]])
    ] == []


def test_the_page_counts_the_rules() -> None:
    found = shipped()
    offers = sum(len(listed) for listed in found.values())
    assert f"{len(found)} rules, {offers} with their offers" in PAGE.read_text(encoding="utf-8")
