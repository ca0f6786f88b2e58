"""`fmt` changes how a file looks, never what it says."""

import random
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import rules
from engine.errors import InvalidRules
from rules.layout import WIDTH, formatted
from rules.loader import load_rules, read_rules
from rules.source import parse

PACKS = Path(rules.__file__).parent / "packs"
RULE_FILES = sorted(p for p in PACKS.rglob("*.yaml") if not p.name.endswith(".vocab.yaml"))
ALL_FILES = sorted(PACKS.rglob("*.yaml"))
RETAIL = PACKS / "retail" / "retention.yaml"
FEW = settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)

SMALL = """\
format: 1
pack: small
vocabulary: retail.vocab.yaml
rules:
  - id: small.one
    title: One
    why: Because.
    when:
      - last: visit
        at_least_ago: 30 days
    then:
      action: one
      template: common/win-back
      purpose: marketing
      by: [email]
      value: 60.00 USD
      cost: {email: 0.01}
      expect: {if_contacted: 0.2, if_left: 0.1, weight: 20}
      goal: invoice.issued within 30 days
"""


def remarks(text: str) -> list[str]:
    return sorted(re.findall(r"# note \d+", text))


def other_layout(text: str, chance: random.Random, styles=(None, None, '"', "'")) -> str:
    """The same data as another program would write it: no comments, keys in another order."""

    def shuffled(value: object) -> object:
        if isinstance(value, dict):
            items = [(key, shuffled(inner)) for key, inner in value.items()]
            if {"id", "name", "action", "format", "if_left"} & value.keys():
                chance.shuffle(items)
            return dict(items)
        return [shuffled(inner) for inner in value] if isinstance(value, list) else value

    return yaml.dump(
        shuffled(yaml.load(text, Loader=yaml.BaseLoader)),
        sort_keys=False,
        indent=chance.randint(2, 6),
        width=10_000,
        default_flow_style=chance.choice([None, False]),
        default_style=chance.choice(styles),
        allow_unicode=True,
    )


def lines_inside_texts(node: yaml.Node) -> set[int]:
    """Second and later lines of texts over several lines, where a # is no comment."""
    if isinstance(node, yaml.ScalarNode):
        last = node.end_mark.line + (node.end_mark.column > 0)
        return set(range(node.start_mark.line + 1, last))
    parts = node.value if isinstance(node, yaml.SequenceNode) else sum(node.value, ())
    return set().union(*map(lines_inside_texts, parts))


def with_remarks(text: str, chance: random.Random, share: float = 0.1) -> str:
    """Comments above, beside, between and below, and empty lines, where YAML allows them."""
    lines: list[str] = []
    inside = lines_inside_texts(yaml.compose(text, Loader=yaml.BaseLoader))
    for number, line in enumerate(text.split("\n")):
        if number in inside:
            lines.append(line)
            continue
        if chance.random() < share:
            lines.append(" " * chance.randint(0, 10) + f"# note {number}1")
        if chance.random() < share:
            lines.append("")
        beside = chance.random() < share and bool(line.strip()) and number + 1 not in inside
        lines.append(f"{line} # note {number}2" if beside else line)
    return "\n".join(lines)


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.stem)
def test_the_layout_leaves_the_meaning_of_every_shipped_pack(path) -> None:
    before = read_rules(path)
    after = load_rules(formatted(path.read_text(), path.name), path.name, before.vocabulary)
    assert after.digest == before.digest
    assert [[t.name for t in r.tests] for r in after.rules] == [
        [t.name for t in r.tests] for r in before.rules
    ]


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: path.name)
def test_the_layout_of_a_laid_out_file_stays(path) -> None:
    once = formatted(path.read_text(), path.name)
    assert formatted(once, path.name) == once


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: path.name)
@settings(FEW, max_examples=4)
@given(seed=st.integers(0, 2**32))
def test_any_layout_of_a_pack_becomes_the_one_layout_with_every_comment(path, seed) -> None:
    chance = random.Random(seed)
    text = with_remarks(path.read_text(), chance, chance.choice([0.02, 0.1, 0.5]))
    result = formatted(text, path.name)
    assert remarks(result) == remarks(text)
    assert formatted(result, path.name) == result


@FEW
@given(seed=st.integers(0, 2**32))
def test_another_programs_layout_becomes_the_one_layout(seed) -> None:
    chance = random.Random(seed)
    rule_set = read_rules(RETAIL)
    plain = other_layout(RETAIL.read_text(), chance)
    noted = with_remarks(plain, chance)
    meant = load_rules(plain, "retail.yaml", rule_set.vocabulary).digest
    result = formatted(noted, "retail.yaml")
    assert load_rules(result, "retail.yaml", rule_set.vocabulary).digest == meant
    assert remarks(result) == remarks(noted)
    assert formatted(result, "retail.yaml") == result


def test_the_order_in_which_keys_were_written_does_not_show() -> None:
    text = RETAIL.read_text()
    bare = "\n".join(line for line in text.split("\n") if not line.strip().startswith("#"))
    bare = re.sub(r" #.*", "", bare)
    layouts = {
        formatted(other_layout(bare, random.Random(seed), (None,)), "retail.yaml")
        for seed in range(5)
    }
    # a dumped text that looks like a number has quotes, which fmt leaves alone
    assert {re.sub("['\"]", "", layout) for layout in layouts} == {
        re.sub("['\"]", "", formatted(bare, "retail.yaml"))
    }


TEXTS = st.text(
    st.one_of(
        st.sampled_from(list(" :#-?,[]{}&*!|>'\"%@`\\~nyo019.=\nA")),
        st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")),
    ),
    max_size=30,
)


@settings(FEW, max_examples=300)
@given(words=st.lists(TEXTS, min_size=1, max_size=5), long=st.booleans())
@example(
    words=["a: b", "a #b", "a:", "- a", "a, b", "{a", "a]", " a", "a ", "? a", "-", "~"], long=False
)
@example(
    words=["it's", "#a", "1.5", "no", "null", "2026-01-01", "a\\b", 'say "a"', "é", "%a"],
    long=False,
)
def test_every_text_comes_back_as_it_was(words, long) -> None:
    said = [word * (20 if long else 1) for word in words]
    data = {"fields": {"a": {"label": said[0], "one_of": [*said]}}, "x": [[*said], {"k": said[-1]}]}
    text = yaml.dump(data, allow_unicode=True, default_style='"', width=10_000)
    try:
        parse(text, "x.yaml")
    except InvalidRules:
        return  # a character that is refused in any file
    result = formatted(text, "x.yaml")
    assert yaml.load(result, Loader=yaml.BaseLoader) == data
    assert formatted(result, "x.yaml") == result


def test_a_comment_stays_with_what_it_speaks_about() -> None:
    text = SMALL.replace(
        "      - last: visit\n        at_least_ago: 30 days\n",
        "      # the rhythm\n      - at_least_ago: 30 days  # a month\n"
        "        last: visit\n      # - field: visits_730d\n",
    )
    result = formatted(text, "small.yaml")
    assert (
        "    when:\n"
        "      # the rhythm\n"
        "      # a month\n"
        "      - last: visit\n"
        "        at_least_ago: 30 days\n"
        "      # - field: visits_730d\n"
        "    then:\n"
    ) in result


def test_a_reason_to_allow_a_warning_stays_on_or_above_the_first_line_of_its_rule() -> None:
    text = SMALL.replace(
        "  - id: small.one\n    title: One\n",
        "  - title: One # allow L304: two shops share it\n    id: small.one\n",
    )
    result = formatted(text, "small.yaml").split("\n")
    first = result.index("  - id: small.one")
    assert "# allow L304: two shops share it" in result[first - 1]


def test_an_allowance_above_a_rule_stays_next_to_it_whatever_its_indentation() -> None:
    second = SMALL.partition("rules:\n")[2].replace("small.one", "small.two")
    second = second.replace(
        "  - id: small.two\n    title: One\n", "  - title: One # a title\n    id: small.two\n"
    )
    text = SMALL + "        # allow L304: two shops share it\n" + second
    result = formatted(text, "small.yaml").split("\n")
    first = result.index("  - id: small.two")
    assert result[first - 2 : first] == ["  # a title", "  # allow L304: two shops share it"]


def test_settings_come_in_the_order_of_the_reference_and_short_lists_in_brackets() -> None:
    text = SMALL.replace("      by: [email]\n", "").replace(
        "      action: one\n",
        "      by:\n          - email\n          - 'sms'\n      action: 'one'\n",
    )
    text = text.replace(
        "    title: One\n    why: Because.\n", "    why: Because.\n    title: One\n"
    )
    assert formatted(text, "small.yaml") == formatted(SMALL, "small.yaml").replace(
        "by: [email]", "by: [email, sms]"
    )


def test_a_long_sentence_is_folded_and_says_the_same() -> None:
    sentence = "Whoever does not come back within days mostly does not come back: " * 4
    result = formatted(SMALL.replace("Because.", f'"{sentence.strip()}"'), "small.yaml")
    assert max(map(len, result.split("\n"))) <= WIDTH
    assert yaml.load(result, Loader=yaml.BaseLoader)["rules"][0]["why"] == sentence.strip()


def test_quotes_stay_where_other_readers_would_take_a_text_for_a_number() -> None:
    text = 'format: 1\nevents: {}\nfields:\n  size: {type: "text", label: x, one_of: ["10", "S"]}\n'
    assert '{type: text, one_of: ["10", S], label: x}' in formatted(text, "a.vocab.yaml")


def test_a_file_that_cannot_be_read_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidRules) as refused:
        formatted(SMALL.replace("    title: One", "\ttitle: One"), "small.yaml")
    assert refused.value.findings[0].line == 6
