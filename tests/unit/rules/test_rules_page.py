"""The reference page of the rules language: every example on it works, every word is on it."""

import re
from pathlib import Path

import pytest

import rules
from rules.check import check
from rules.conditions import KINDS, WORDS_BY_KIND, WORDS_BY_TYPE
from rules.document import RuleSet
from rules.examples import run_examples
from rules.field_sources import COMPUTED
from rules.loader import load_rules
from rules.rule_reader import _RULE
from rules.vocabulary import Vocabulary, flat_text, load_vocabulary

PAGE = Path(rules.__file__).parent.parent / "docs" / "rules.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
(VOCABULARY,) = [block for block in BLOCKS if "\nsubjects:" in block]
EXAMPLES = [block for block in BLOCKS if block != VOCABULARY]

# What the page's examples leave out of a rule.
REST = """\
  - id: page.example
    title: An example
    why: It shows a word of the language.
    owner: front-desk
    status: live
    then:
      action: example
      template: healthcare/example
      purpose: service
      by: [email]
      value: 1.00 USD
      cost: {email: 0.01}
      expect: {if_contacted: 0.2, if_left: 0.1, weight: 20}
      goal: visit within 14 days
"""


def vocabulary() -> Vocabulary:
    return load_vocabulary(VOCABULARY, "my.vocab.yaml")


def loaded(block: str) -> RuleSet:
    if not block.startswith("format"):
        head = "format: 1\npack: page\nvocabulary: my.vocab.yaml\nrules:\n"
        comment = "".join(f"  {line}\n" for line in block.splitlines() if line[0] == "#")
        rule = "".join(f"    {line}\n" for line in block.splitlines())
        cooldown = "" if "cooldown:" in block else "    cooldown: 60 days\n"
        block = head + comment + REST + cooldown + rule
    return load_rules(block, "rules.md", vocabulary())


@pytest.mark.parametrize("block", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_of_the_page_is_tested_on_all_matchers_and_without_warnings(block) -> None:
    rule_set = loaded(block)
    results = run_examples(rule_set)
    assert {"fires", "quiet"} <= {result.expected for result in results}
    assert [f"{r.name}: {r.message}" for r in results if not r.passed] == []
    assert [f.message for f in check(rule_set) if f.code != "L312"] == []


def test_every_word_of_the_language_is_on_the_page() -> None:
    yaml = "\n".join(BLOCKS)
    words = {
        *KINDS,
        *(word for words in (*WORDS_BY_TYPE.values(), *WORDS_BY_KIND.values()) for word in words),
        *(word for word in _RULE if word != "subject"),
        *("any", "because", "choose", "offers", "offer", "hit", "subject", "holiday"),
        *("include", "subjects", "about", "origin", "value", "property", "sensitive", "one_of"),
    }
    assert (
        sorted(word for word in words if not re.search(rf"\b{word}:|\b{word}$", yaml, re.M)) == []
    )
    assert [kind for kind in COMPUTED if f"kind: {kind}" not in yaml] == []


def test_the_page_s_vocabulary_means_the_same_when_it_is_stored_as_one_text() -> None:
    flat = flat_text(VOCABULARY, "my.vocab.yaml")
    assert "include" not in flat
    assert load_vocabulary(flat, "my.vocab.yaml") == vocabulary()
