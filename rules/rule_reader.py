"""Reads one rule of a file; a rule that chooses among offers becomes one rule per offer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from engine.features.spec import CONTACT
from rules.allowances import beside
from rules.choices import in_scope
from rules.conditions import ConditionReader
from rules.document import (
    NIGHTLY,
    STATUSES,
    ActionProposal,
    Allowance,
    Choice,
    ChoiceTable,
    Condition,
    Place,
    Rule,
    RuleTest,
    Season,
    Status,
)
from rules.example_reader import ExampleReader
from rules.findings import shown
from rules.proposals import ProposalReader
from rules.reading import WEEKDAYS, Reader
from rules.source import Node
from rules.vocabulary import Vocabulary

DEFAULTS = ("status", "cooldown", "send_between", "owner")
_RULE = (
    "id",
    "title",
    "why",
    "owner",
    "status",
    "check",
    "season",
    "for_each",
    "on_days",
    "holidays",
    "subject",
    "when",
    "unless",
    "then",
    "cooldown",
    "send_between",
    "tests",
)
_REQUIRED = ("id", "title", "why", "when", "then")


class RuleReader:
    """Reads rules of one file."""

    def __init__(
        self,
        read: Reader,
        vocabulary: Vocabulary,
        defaults: Mapping[str, Node],
        tables: Mapping[str, ChoiceTable],
        allowances: dict[int, tuple[Allowance, ...]],
    ) -> None:
        self._read = read
        self._vocabulary = vocabulary
        self._defaults = defaults
        self._tables = tables
        self._allowances = allowances
        self._conditions = ConditionReader(read, vocabulary)
        self._proposals = ProposalReader(read, vocabulary)
        self._examples = ExampleReader(read, vocabulary)
        self._lines: dict[str, int] = {}

    def rules(self, node: Node) -> tuple[Rule, ...]:
        """The rule, or one per offer that it chooses from."""
        read = self._read
        found = read.settings(node, "a rule", _RULE, _REQUIRED)
        subject = self._subject(found)
        proposals = self._proposals.proposals(found.get("then"), self._tables, subject)
        if not proposals:
            return ()
        rule = self._rule(node, found, subject, proposals[0][1])
        offers = tuple(choice.offer for choice, _ in proposals if choice is not None)
        tests = self._examples.examples(found.get("tests"), subject, offers)
        return (
            tuple(
                self._expanded(rule, choice, proposal, tests, found["then"])
                for choice, proposal in proposals
            )
            if "then" in found
            else (rule,)
        )

    def _rule(
        self, node: Node, found: Mapping[str, Node], subject: str, proposal: ActionProposal
    ) -> Rule:
        read = self._read
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
            when=self._when(found.get("when"), subject),
            unless=self._unless(found.get("unless"), subject),
            then=proposal,
            cooldown_days=read.days(settings.get("cooldown")) or 0,
            send_between=read.minutes(settings.get("send_between")),
            subject=subject,
            tests=(),
            place=Place(*node.place),
            on_days=self._on_days(found.get("on_days")),
            quiet_on_holidays=read.choice(found.get("holidays"), "holidays", ("quiet",), "")
            == "quiet",
            allows=beside(node.line, self._allowances),
        )

    def _expanded(
        self,
        rule: Rule,
        choice: Choice | None,
        proposal: ActionProposal,
        tests: tuple[tuple[str, RuleTest], ...],
        then: Node,
    ) -> Rule:
        """The rule with its own proposal and the tests that speak of its offer or of none."""
        if choice is None:
            return replace(rule, tests=tuple(test for _, test in tests))
        rows = tuple(in_scope(r, rule.subject, self._vocabulary) for r in choice.table.rows)
        choice = replace(choice, table=replace(choice.table, rows=rows))
        self._refuse_foreign(choice.table, rule.subject, then)
        return replace(
            rule,
            id=f"{rule.id}/{choice.offer}",
            then=proposal,
            tests=tuple(test for offer, test in tests if offer in {"", choice.offer}),
            choice=choice,
        )

    def _refuse_foreign(self, table: ChoiceTable, subject: str, then: Node) -> None:
        """Notes a column about a subject that the rule is not about."""
        for condition in (c for row in table.rows for c in row.conditions):
            field = self._vocabulary.fields.get(condition.about)
            if condition.kind == "field" and field and field.about not in {"", subject}:
                message = f"{condition.about} is about a {field.about}, this rule is not"
                node = then.get("choose") or then
                self._read.fault("E108", message, node, f"for_each: {field.about}")

    def _subject(self, found: Mapping[str, Node]) -> str:
        self._read.choice(found.get("subject"), "subject", (CONTACT,), CONTACT)
        if "for_each" not in found:
            return CONTACT
        kinds = self._vocabulary.subjects
        return self._read.known(found["for_each"], "subject", kinds) or CONTACT

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
                message = f"{shown(word)} is neither nightly nor on an event"
                self._read.fault("E112", message, item, hint)
        return tuple(dict.fromkeys(events)), nightly

    def _season(self, node: Node | None) -> Season | None:
        if node is None:
            return None
        found = self._read.settings(node, "season", ("from", "to"), ("from", "to"))
        return Season(
            self._read.month_day(found.get("from")), self._read.month_day(found.get("to"))
        )

    def _on_days(self, node: Node | None) -> tuple[int, ...]:
        words = self._read.each(node, "on_days", self._weekday)
        if node is not None and node.kind == "list" and not node.items:
            self._read.fault("E106", "a rule for no day would never propose", node)
        return tuple(sorted(set(words)))

    def _weekday(self, node: Node) -> int | None:
        day = self._read.choice(node, "on_days", WEEKDAYS, "")
        return WEEKDAYS.index(day) + 1 if day else None

    def _when(self, node: Node | None, subject: str) -> tuple[Condition, ...]:
        conditions = self._conditions.conditions(node, "when", subject)
        if node is not None and node.kind == "list" and not node.items:
            self._read.fault("E106", "a rule without a condition would fire for everybody", node)
        for condition in conditions:
            if condition.because:
                self._add("E103", '"because" belongs under "unless"', condition)
        return conditions

    def _unless(self, node: Node | None, subject: str) -> tuple[Condition, ...]:
        conditions = self._conditions.conditions(node, "unless", subject)
        for condition in conditions:
            if not condition.because:
                hint = "because: the accounts team calls these patients first"
                self._add("E011", "an unless needs a because, for staff", condition, hint)
        return conditions

    def _add(self, code: str, message: str, condition: Condition, hint: str = "") -> None:
        self._read.findings.add(code, message, condition.place, hint=hint)
