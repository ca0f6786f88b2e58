"""A rule file as a RuleSet, or every fault in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

from rules.conditions import ConditionReader
from rules.document import (
    NIGHTLY,
    STATUSES,
    Condition,
    Place,
    Rule,
    RuleSet,
    Season,
    Status,
    digest_of,
)
from rules.example_reader import ExampleReader
from rules.expression import MOST_ALTERNATIVES, All, alternatives, expression_of
from rules.findings import Findings
from rules.proposals import ProposalReader
from rules.reading import Reader
from rules.source import Node, parse, read_text, refuse
from rules.vocabulary import Vocabulary, read_vocabulary

MOST_RULES = 500
_TOP = ("format", "pack", "vocabulary", "days_are", "defaults", "rules")
_DAYS_ARE = "calendar days in the contact's time zone"
_DEFAULTS = ("status", "cooldown", "send_between", "owner")
_RULE = (
    "id",
    "title",
    "why",
    "owner",
    "status",
    "check",
    "season",
    "subject",
    "when",
    "unless",
    "then",
    "cooldown",
    "send_between",
    "tests",
)
PACKS = Path(__file__).parent / "packs"
_REQUIRED = ("id", "title", "why", "when", "then")


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
    return load_rules(text, path.name, read_vocabulary(vocabulary_path(path, name)))


def vocabulary_path(rules: Path, name: str) -> Path:
    """Where the vocabulary `name` of a rules file lies; beside it where there is none anywhere."""
    beside = rules.parent / name
    if beside.exists():
        return beside
    return next(iter(sorted(PACKS.rglob(name))), beside)


def load_rules(text: str, file: str, vocabulary: Vocabulary) -> RuleSet:
    """The rules of a text; raises InvalidRules with every finding, in file order."""
    top, findings = parse(text, file)
    rule_set = _Loader(findings, vocabulary).rule_set(top, file)
    refuse(findings, file)
    return rule_set


class _Loader:
    def __init__(self, findings: Findings, vocabulary: Vocabulary) -> None:
        self._findings = findings
        self._vocabulary = vocabulary
        self._read = Reader(findings)
        self._conditions = ConditionReader(self._read, vocabulary)
        self._proposals = ProposalReader(self._read, vocabulary)
        self._examples = ExampleReader(self._read, vocabulary)
        self._defaults: Mapping[str, Node] = {}
        self._lines: dict[str, int] = {}

    def rule_set(self, top: Node, file: str) -> RuleSet:
        read = self._read
        found = read.settings(top, "a rule file", _TOP, ("format", "pack", "rules"))
        read.choice(found.get("format"), "format", ("1",), "1")
        read.choice(found.get("days_are"), "days_are", (_DAYS_ARE,), _DAYS_ARE)
        pack = read.identifier(found.get("pack"), "a pack")
        if "defaults" in found:
            self._defaults = read.settings(found["defaults"], "defaults", _DEFAULTS)
        nodes = read.items(found.get("rules"), "rules")
        if len(nodes) > MOST_RULES:
            hint = "split the file"
            read.fault("E007", f"a file has at most {MOST_RULES} rules", nodes[MOST_RULES], hint)
        rules = tuple(self._rule(node) for node in nodes[:MOST_RULES] if not self._findings.full)
        if not self._findings.in_order():
            self._refuse_too_wide(rules)
        return RuleSet(
            pack, file, rules, self._vocabulary, digest_of(pack, rules, self._vocabulary)
        )

    def _rule(self, node: Node) -> Rule:
        read = self._read
        found = read.settings(node, "a rule", _RULE, _REQUIRED)
        settings = {**self._defaults, **found}
        check_on, nightly = self._check(found.get("check"))
        return Rule(
            id=self._id(found.get("id")),
            title=read.text(found.get("title"), "title"),
            why=read.text(found.get("why"), "why"),
            owner=read.text(settings.get("owner"), "owner"),
            status=cast("Status", read.choice(settings.get("status"), "status", STATUSES, "draft")),
            check_on=check_on,
            nightly=nightly,
            season=self._season(found.get("season")),
            when=self._when(found.get("when")),
            unless=self._unless(found.get("unless")),
            then=self._proposals.proposal(found.get("then")),
            cooldown_days=read.days(settings.get("cooldown")) or 0,
            send_between=read.minutes(settings.get("send_between")),
            subject=cast(
                "Literal['contact']",
                read.choice(found.get("subject"), "subject", ("contact",), "contact"),
            ),
            tests=self._examples.examples(found.get("tests")),
            place=Place(*node.place),
        )

    def _id(self, node: Node | None) -> str:
        name = self._read.identifier(node, "a rule")
        if node is not None and name in self._lines:
            message = f'the id "{name}" is already used on line {self._lines[name]}'
            self._read.fault("E013", message, node)
        elif node is not None:
            self._lines[name] = node.line
        return name

    def _check(self, node: Node | None) -> tuple[tuple[str, ...], bool]:
        """Event types and whether nightly; nightly only if nothing is said."""
        if node is None:
            return (), True
        events: list[str] = []
        nightly = False
        for item in self._read.items(node, "check"):
            word = self._read.text(item, "check")
            if word == NIGHTLY:
                nightly = True
            elif word.startswith("on "):
                name = word.removeprefix("on ").strip()
                if name in self._vocabulary.events:
                    events += self._vocabulary.types(name)
                else:
                    self._read.unknown(item, "event", name, self._vocabulary.events)
            else:
                hint = "check: [on appointment.no_show, nightly]"
                self._read.fault(
                    "E112", f'"{word[:60]}" is neither nightly nor on an event', item, hint
                )
        return tuple(dict.fromkeys(events)), nightly

    def _season(self, node: Node | None) -> Season | None:
        if node is None:
            return None
        found = self._read.settings(node, "season", ("from", "to"), ("from", "to"))
        return Season(
            self._read.month_day(found.get("from")), self._read.month_day(found.get("to"))
        )

    def _when(self, node: Node | None) -> tuple[Condition, ...]:
        conditions = self._conditions.conditions(node, "when")
        if node is not None and node.kind == "list" and not node.items:
            self._read.fault("E106", "a rule without a condition would fire for everybody", node)
        for condition in conditions:
            if condition.because:
                line, column, width = condition.place
                message = '"because" belongs under "unless"'
                self._findings.add("E103", message, (line, column, width))
        return conditions

    def _unless(self, node: Node | None) -> tuple[Condition, ...]:
        conditions = self._conditions.conditions(node, "unless")
        for condition in conditions:
            if not condition.because:
                hint = "because: the accounts team calls these patients first"
                self._findings.add(
                    "E011", "an unless needs a because, for staff", condition.place, hint=hint
                )
        return conditions

    def _refuse_too_wide(self, rules: tuple[Rule, ...]) -> None:
        for rule in rules:
            expression = expression_of(rule, self._vocabulary)
            widest = max(
                alternatives(expression.applies),
                alternatives(expression.blocked or All(())),
            )
            if widest > MOST_ALTERNATIVES:
                message = f"this rule has {widest} alternatives, at most 48 are possible"
                self._findings.add("E130", message, rule.place, hint="split this rule")
