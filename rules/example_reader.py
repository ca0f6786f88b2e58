"""Reads the tests under a rule."""

import re
from typing import Literal, cast

from engine.features.spec import Scalar
from rules.document import PastEvent, Place, RuleTest
from rules.findings import shown
from rules.reading import Reader
from rules.source import Node
from rules.vocabulary import Vocabulary, typed_value

_TEST = ("name", "today", "contact", "events", "expect", "because")
_REQUIRED = ("name", "today", "expect")
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}"
_EVENT = re.compile(
    rf"(?P<at>{_MOMENT}) (?P<type>[a-z][a-z0-9_.]*)"
    rf"(?: for (?P<starts>{_MOMENT}))?"
    r"(?: worth (?P<amount>[0-9]{1,9}(?:\.[0-9]{1,2})?))?"
    r"(?: about (?P<subject>[A-Za-z0-9:_-]{1,60}))?\Z"
)
_HINT = (
    "2026-03-12 10:00 appointment.no_show, and if needed: "
    "… for 2026-03-20 09:00 worth 45.50 about appointment:1"
)


class ExampleReader:
    """Reads in-file tests of one file."""

    def __init__(self, read: Reader, vocabulary: Vocabulary) -> None:
        self._read = read
        self._vocabulary = vocabulary

    def examples(self, node: Node | None) -> tuple[RuleTest, ...]:
        return self._read.each(node, "tests", self._example)

    def _example(self, node: Node) -> RuleTest | None:
        read = self._read
        found = read.settings(node, "a test", _TEST, _REQUIRED)
        day = found.get("today")
        today = read.moment(day, day.text if day else "")
        expect = read.choice(found.get("expect"), "expect", ("fires", "quiet"), "fires")
        because = read.text(found.get("because"), "because")
        if because and expect == "fires":
            read.fault("E204", '"because" names the reason for being quiet', found["because"])
        contact = self._contact(found.get("contact"))
        events = read.each(found.get("events"), "events", self._event)
        if today is None:
            return None
        return RuleTest(
            name=read.text(found.get("name"), "name"),
            today=today,
            contact=contact,
            events=events,
            expect=cast("Literal['fires', 'quiet']", expect),
            because=because,
            place=Place(*node.place),
        )

    def _contact(self, node: Node | None) -> tuple[tuple[str, Scalar], ...]:
        values = []
        for key, value in node.pairs if node is not None else ():
            name = self._read.known(key, "field", self._vocabulary.fields)
            if name is not None:
                typed = typed_value(self._read, self._vocabulary.fields[name], value)
                values.append((name, typed))
        return tuple(values)

    def _event(self, node: Node) -> PastEvent | None:
        match = _EVENT.match(self._read.text(node, "an event"))
        if not match:
            message = f"{shown(node.text)} is not a time and an event"
            self._read.fault("E202", message, node, _HINT)
            return None
        at = self._read.moment(node, match["at"])
        starts = self._read.moment(node, match["starts"]) if match["starts"] else None
        if match["type"] not in self._vocabulary.events:
            self._read.unknown(node, "event", match["type"], self._vocabulary.events)
        if at is None:
            return None
        amount = round(float(match["amount"]) * 100) if match["amount"] else None
        types = self._vocabulary.types(match["type"])
        return PastEvent(at, types[0], starts, amount, match["subject"])
