"""Reads `then`: the action that a rule proposes."""

import re
from typing import cast

from engine.actions import CHANNELS, PURPOSES
from rules.document import (
    ActionProposal,
    Expectation,
    Goal,
    Purpose,
    StillFact,
)
from rules.findings import shown
from rules.reading import Reader
from rules.source import Node
from rules.vocabulary import Vocabulary

_THEN = (
    "action",
    "template",
    "purpose",
    "by",
    "value",
    "cost",
    "expect",
    "goal",
    "still",
    "priority",
    "approval",
)
_REQUIRED = ("action", "template", "purpose", "by", "value", "cost", "expect", "goal")
_GOAL = re.compile(r"(\S+) within (\S.*)\Z")
_STILL = re.compile(r"none (\S+)\Z")
_TEMPLATE = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)+\Z")
_NOTHING = Expectation(0.0, 0.0, 0)


class ProposalReader:
    """Reads proposals of one file."""

    def __init__(self, read: Reader, vocabulary: Vocabulary) -> None:
        self._read = read
        self._vocabulary = vocabulary

    def proposal(self, node: Node | None) -> ActionProposal:
        """The proposal; faults are noted and leave a harmless value in their place."""
        read = self._read
        found = {} if node is None else read.settings(node, '"then"', _THEN, _REQUIRED)
        channels = read.each(found.get("by"), "by", self._channel)
        value, currency = self._value(found.get("value"))
        return ActionProposal(
            action=read.identifier(found.get("action"), "an action"),
            template=self._template(found.get("template")),
            purpose=cast(
                "Purpose", read.choice(found.get("purpose"), "purpose", PURPOSES, "marketing")
            ),
            channels=tuple(dict.fromkeys(channels)),
            value_cents=value,
            currency=currency,
            cost_cents=self._costs(found.get("cost"), channels, currency),
            expect=self._expect(found.get("expect")),
            goal=self._goal(found.get("goal")),
            still=read.each(found.get("still"), "still", self._still),
            priority=read.whole(found.get("priority"), 50, 0, 100),
            needs_approval=read.yes_no(found.get("approval"), default=False),
        )

    def _channel(self, node: Node) -> str | None:
        return self._read.choice(node, "by", CHANNELS, "") or None

    def _template(self, node: Node | None) -> str:
        name = self._read.text(node, "template")
        if node is not None and name and not _TEMPLATE.match(name):
            message = f"{shown(name)} is no folder of templates"
            self._read.fault("E014", message, node, "healthcare/no-show-rescue")
        return name

    def _value(self, node: Node | None) -> tuple[int, str]:
        cents, currency = self._read.money_cents(node)
        if node is not None and cents and (not currency or cents != int(cents)):
            hint = "120.00 USD"
            self._read.fault("E123", "a value has whole cents and a currency", node, hint)
        return int(cents), currency

    def _costs(
        self, node: Node | None, channels: tuple[str, ...], currency: str
    ) -> tuple[tuple[str, float], ...]:
        if node is None:
            return ()
        costs = []
        for channel, amount in self._read.settings(node, '"cost"', channels, channels).items():
            cents, said = self._read.money_cents(amount)
            if said not in {"", currency}:
                message = f"costs are in the currency of the value, {currency}"
                self._read.fault("E123", message, amount)
            costs.append((channel, cents))
        return tuple(sorted(costs))

    def _expect(self, node: Node | None) -> Expectation:
        if node is None:
            return _NOTHING
        words = ("if_contacted", "if_left", "weight")
        found = self._read.settings(node, '"expect"', words, words)
        return Expectation(
            self._read.share(found.get("if_contacted"), 0.0),
            self._read.share(found.get("if_left"), 0.0),
            self._read.whole(found.get("weight"), 1, 1, 100_000),
        )

    def _goal(self, node: Node | None) -> Goal:
        text = self._read.text(node, "goal")
        match = _GOAL.match(text)
        if node is None or not text:
            return Goal("", 0)
        if not match:
            hint = "appointment.booked within 14 days"
            self._read.fault("E125", f"{shown(text)} is not an event and a time", node, hint)
            return Goal("", 0)
        self._event(node, match[1])
        days = self._read.days(Node("text", *node.place, text=match[2]))
        return Goal(match[1], days or 0)

    def _still(self, node: Node) -> StillFact | None:
        text = self._read.text(node, "still")
        match = _STILL.match(text)
        if text and not match:
            hint = "none appointment.booked"
            self._read.fault("E126", f"{shown(text)} is no fact to check again", node, hint)
        if not match:
            return None
        self._event(node, match[1])
        return StillFact("none", match[1])

    def _event(self, node: Node, name: str) -> None:
        if name not in self._vocabulary.events:
            self._read.unknown(node, "event", name, self._vocabulary.events)
