"""The handbook says of every rule what it does, in words and without anything from outside."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

import rules
from rules.handbook import handbook
from rules.handbook_pages import handbook_html, handbook_markdown
from rules.loader import load_rules, read_rules
from rules.vocabulary import load_vocabulary

PACKS = Path(rules.__file__).parent / "packs"
RETAIL = PACKS / "retail" / "retention.yaml"
VOID = {"meta", "br", "link", "img", "hr", "input"}

VOCABULARY = """\
format: 1
events:
  booked: {label: new booking}
  missed: {label: missed appointment}
fields:
  contact.plan: {type: text, one_of: [family, single], label: plan}
"""

CHOOSING = """\
format: 1
pack: choosing
choose:
  - id: which
    columns: [contact.plan, count missed in 60 days]
    rows:
      - [family, 2 or more, family]
      - [any, any, single]
rules:
  - id: choosing.recall
    title: Recall <b>now</b> | later
    why: So that *nobody* is forgotten.
    season: {from: 1 Mar, to: 31 May}
    on_days: [Mon]
    holidays: quiet
    when:
      - none: booked
        in_last: 90 days
    unless:
      - count: missed
        in_last: 9 days
        at_least: 1
        because: somebody calls them
    then:
      choose: which
      template: common/recall
      purpose: service
      by: [email]
      value: 60.00 USD
      cost: {email: 0.01}
      expect: {if_contacted: 0.2, if_left: 0.1, weight: 20}
      goal: booked within 9 days
      approval: yes
      offers:
        family: {action: recall-family}
        single: {action: recall-single}
    send_between: 09:00-12:00
    tests:
      - name: nothing booked
        today: 2026-03-09 10:00
        contact: {contact.plan: single}
        expect: fires
        offer: single
      - name: was missed yesterday
        today: 2026-03-09 10:00
        events: [2026-03-08 10:00 missed]
        expect: quiet
        because: unless missed
"""


class Outline(HTMLParser):
    """Tags with attributes in order; refuses what is closed wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def outline(html: str) -> Outline:
    found = Outline()
    found.feed(html)
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def choosing():
    vocabulary = load_vocabulary(VOCABULARY, "choosing.vocab.yaml")
    return handbook([load_rules(CHOOSING, "choosing.yaml", vocabulary)])


def test_a_rule_is_told_with_reason_conditions_price_and_examples() -> None:
    text = handbook_markdown(handbook([read_rules(RETAIL)]), "Rules")
    for words in (
        "### Twice as long without a purchase as usual",
        "Live: contacts people. Owner: sales.",
        "- purchases in two years: at least 4",
        "- complaint in the last 30 days: at least 1 – a person is dealing with a complaint",
        "- By: e-mail (0.01 USD), else text message (0.02 USD)",
        "- Success: invoice issued within 30 days",
        "- Expected: 34 % succeed when contacted, 31 % when left alone",
        "- Not again within 60 days.",
        "*monthly buyer, two months silent*: on 1 June 2026, 10:00",
        "The rule stays quiet, because of: a person is dealing with a complaint.",
    ):
        assert words in text


def test_offers_of_one_rule_share_its_page_and_table(choosing) -> None:
    (page,) = choosing[0].rules
    assert page.id == "choosing.recall"
    assert [proposal.offer for proposal in page.proposals] == ["family", "single"]
    assert page.offers.columns == ("plan", "missed appointment in 60 days", "offer")
    assert page.offers.rows[0] == ("family", "2 or more", "family")
    assert [example.name for example in page.examples] == ["nothing booked", "was missed yesterday"]
    assert page.timing == (
        "Asked every night.",
        "Only from 1 March to 31 May.",
        "Only on Monday.",
        "Never on public holidays.",
        "Sent between 09:00 and 12:00, where the contact lives.",
    )


def test_the_page_needs_nothing_from_elsewhere_and_can_be_read_by_everybody(choosing) -> None:
    html = handbook_html([*choosing, *handbook([read_rules(RETAIL)])], "What we do & when")
    found = outline(html)
    names = [tag for tag, _ in found.tags]
    assert not {"script", "img", "link", "iframe", "object"} & set(names)
    assert "url(" not in html
    assert "@import" not in html
    assert names.count("h1") == names.count("main") == names.count("title") == 1
    assert dict(found.tags[0][1]) == {"lang": "en"}
    headings = [int(tag[1]) for tag in names if tag in {"h1", "h2", "h3", "h4"}]
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert all("scope" in attributes for tag, attributes in found.tags if tag == "th")
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    assert {link.removeprefix("#") for link in links} == set(ids)
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_what_an_author_writes_is_shown_and_never_run(choosing) -> None:
    html = handbook_html(choosing, "<script>")
    assert "<script>" not in html
    assert "Recall &lt;b&gt;now&lt;/b&gt; | later" in html
    text = handbook_markdown(choosing, "Rules")
    assert "### Recall \\<b\\>now\\</b\\> | later" in text
    assert "So that \\*nobody\\* is forgotten." in text


@pytest.mark.parametrize(
    "path",
    sorted(p for p in PACKS.rglob("*.yaml") if not p.name.endswith(".vocab.yaml")),
    ids=lambda path: path.stem,
)
def test_every_shipped_pack_can_be_read_as_a_handbook(path) -> None:
    rule_set = read_rules(path)
    chapters = handbook([rule_set])
    outline(handbook_html(chapters, "Rules"))
    text = handbook_markdown(chapters, "Rules")
    assert all(f"`{page.id}`" in text for page in chapters[0].rules)


def contrast(first: str, second: str) -> float:
    """WCAG 2.2 contrast ratio of two #rgb or #rrggbb colours."""

    def luminance(colour: str) -> float:
        digits = colour.lstrip("#")
        digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_every_text_stands_out_from_its_background_in_light_and_dark() -> None:
    html = handbook_html((), "Rules")
    schemes = re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]+)", scheme))
        for text in ("text", "soft", "link"):
            for background in ("page", "box"):
                assert contrast(colours[text], colours[background]) >= 4.5
