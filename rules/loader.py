"""A rule file as a RuleSet, or every fault in it."""

from collections.abc import Iterable
from pathlib import Path

from rules.allowances import allowances_in
from rules.choices import ChoiceReader
from rules.document import Rule, RuleSet, digest_of
from rules.expression import expression_of
from rules.findings import Findings
from rules.includes import PACKS, vocabulary_path
from rules.reading import Reader
from rules.rule_reader import DEFAULTS, RuleReader
from rules.source import Node, parse, read_text, refuse
from rules.trees import MOST_ALTERNATIVES, MOST_FIELDS, All, alternatives
from rules.vocabulary import Vocabulary, read_vocabulary

__all__ = ["MOST_RULES", "PACKS", "load_rules", "read_rules", "vocabulary_path"]

MOST_RULES = 500
_TOP = ("format", "pack", "vocabulary", "days_are", "defaults", "choose", "rules")
_DAYS_ARE = "calendar days in the contact's time zone"


def read_rules(path: Path) -> RuleSet:
    """The rules of a file, with the vocabulary it names: in the same folder, else the shipped one.

    Raises InvalidRules with every finding of the file (or, first, of its vocabulary).
    """
    text = read_text(path)
    top, findings = parse(text, path.name)
    node = top.get("vocabulary")
    name = Reader(findings).text(node, "vocabulary") if node else ""
    if node is None or not name or Path(name).name != name:
        place = node.place if node else top.place
        hint = "vocabulary: healthcare.vocab.yaml"
        findings.add("E011", "the file has to name its vocabulary", place, hint=hint)
        refuse(findings, path.name)
    return _rules(text, top, findings, read_vocabulary(vocabulary_path(path, name)))


def load_rules(text: str, file: str, vocabulary: Vocabulary) -> RuleSet:
    """The rules of a text; raises InvalidRules with every finding, in file order."""
    return _rules(text, *parse(text, file), vocabulary)


def _rules(text: str, top: Node, findings: Findings, vocabulary: Vocabulary) -> RuleSet:
    read, file = Reader(findings), findings.file
    found = read.settings(top, "a rule file", _TOP, ("format", "pack", "rules"))
    read.choice(found.get("format"), "format", ("1",), "1")
    read.choice(found.get("days_are"), "days_are", (_DAYS_ARE,), _DAYS_ARE)
    pack = read.identifier(found.get("pack"), "a pack")
    defaults = read.settings(found["defaults"], "defaults", DEFAULTS) if "defaults" in found else {}
    tables = ChoiceReader(read, vocabulary).tables(found.get("choose"))
    rule_reader = RuleReader(read, vocabulary, defaults, tables, allowances_in(text, top))
    rules: list[Rule] = []
    for node in read.items(found.get("rules"), "rules"):
        rules += rule_reader.rules(node)
        if findings.full or len(rules) > MOST_RULES:
            message = f"a file has at most {MOST_RULES} rules, offers counted one by one"
            read.fault("E007", message, node, "split the file")
            break
    if not findings.in_order():
        _refuse_too_wide(rules, vocabulary, findings)
    refuse(findings, file)
    digest = digest_of(pack, tuple(rules), vocabulary)
    return RuleSet(pack, file, tuple(rules), vocabulary, digest, tuple(tables.values()))


def _refuse_too_wide(rules: Iterable[Rule], vocabulary: Vocabulary, findings: Findings) -> None:
    for rule in rules:
        expression = expression_of(rule, vocabulary)
        widest = max(alternatives(expression.applies), alternatives(expression.blocked or All(())))
        if widest > MOST_ALTERNATIVES:
            message = f"this rule has {widest} alternatives, at most 48 are possible"
            findings.add("E130", message, rule.place, hint="split this rule")
        if len(expression.features) > MOST_FIELDS:
            message = f"this rule reads {len(expression.features)} values, at most 200 are possible"
            findings.add("E130", message, rule.place, hint="split this rule")
