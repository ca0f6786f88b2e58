"""Reads `then`: the action that a rule proposes, or one for each offer it chooses from."""

import re
from collections.abc import Mapping
from typing import cast

from engine.actions import CHANNELS, PURPOSES
from engine.features.spec import CONTACT
from rules.document import (
    ActionProposal,
    Choice,
    ChoiceTable,
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
_CHOOSE = ("choose", "offers")
_REQUIRED = ("action", "template", "purpose", "by", "value", "cost", "expect", "goal")
_GOAL = re.compile(r"(\S+) within (\S.*)\Z")
_STILL = re.compile(r"none (\S+)\Z")
_TEMPLATE = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+)+\Z")
_NOTHING = Expectation(0.0, 0.0, 0)


class ProposalReader:
    """Reads proposals of one file."""

    def __init__(self, read: Reader, vocabulary: Vocabulary) -> None:
        self._read = read
        self._vocabulary = vocabulary
        self._subject = CONTACT

    def proposals(
        self, node: Node | None, tables: Mapping[str, ChoiceTable], subject: str
    ) -> list[tuple[Choice | None, ActionProposal]]:
        """The proposal of a rule about `subject`, or one per offer of the table it names.

        Faults are noted and leave a harmless value in their place.
        """
        self._subject = subject
        read = self._read
        if node is None:
            return [(None, self._proposal({}))]
        chooses = node.get("choose") is not None
        required = () if chooses else _REQUIRED
        allowed = (*_THEN, *_CHOOSE) if chooses else _THEN
        found = read.settings(node, '"then"', allowed, required)
        if not chooses:
            if node.get("offers") is not None:
                read.fault("E105", '"offers" needs a table to choose from', node, "choose: …")
            return [(None, self._proposal(found))]
        return list(self._offers(node, found, tables))

    def _offers(
        self, node: Node, found: dict[str, Node], tables: Mapping[str, ChoiceTable]
    ) -> list[tuple[Choice | None, ActionProposal]]:
        read = self._read
        name = read.known(found["choose"], "choice table", tables)
        if "offers" not in found or "action" in found:
            message = "each offer has its own action; write it under offers"
            read.fault("E105", message, found.get("action", node), "offers: {first-offer: {…}}")
            return []
        if found["offers"].kind != "map":
            read.settings(found["offers"], '"offers"', ())
            return []
        base = {key: value for key, value in found.items() if key not in _CHOOSE}
        proposals: list[tuple[Choice | None, ActionProposal]] = []
        for key, value in found["offers"].pairs:
            own = read.settings(value, "an offer", _THEN)
            merged = {"action": key, **base, **own}
            for word in _REQUIRED:
                if word not in merged:
                    message = f"the offer {shown(key.text)} needs the setting {shown(word)}"
                    read.fault("E011", message, key, f"{word}: …")
            offer = read.identifier(key, "an offer")
            proposal = self._proposal(merged)
            if name is not None:
                proposals.append((Choice(tables[name], offer), proposal))
        if name is not None:
            self._match_offers(found["offers"], tables[name])
        return proposals

    def _match_offers(self, node: Node, table: ChoiceTable) -> None:
        """Notes offers that no row gives, and rows whose offer is not there."""
        offered = {key.text for key, _ in node.pairs}
        given = {row.offer for row in table.rows}
        for key, _ in node.pairs:
            if key.text not in given:
                message = f"no row of {table.id} gives the offer {shown(key.text)}"
                self._read.fault("E146", message, key, ", ".join(sorted(given - {""})))
        for offer in sorted(given - offered - {""}):
            message = f"{table.id} gives {shown(offer)}, which is not among the offers"
            self._read.fault("E146", message, node, f"{offer}: {{template: …}}")

    def _proposal(self, found: Mapping[str, Node]) -> ActionProposal:
        read = self._read
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
        own = self._vocabulary.about(match[1]) == self._subject
        return StillFact("none", match[1], self._subject if own else "")

    def _event(self, node: Node, name: str) -> None:
        if name not in self._vocabulary.events:
            self._read.unknown(node, "event", name, self._vocabulary.events)
