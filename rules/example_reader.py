"""Reads the tests under a rule."""

import re
from typing import cast, get_args

from engine.features.spec import CONTACT, Scalar
from rules.document import Expected, PastEvent, Place, RuleTest
from rules.findings import shown
from rules.reading import Reader
from rules.source import Node
from rules.vocabulary import Vocabulary, typed_value

_TEST = (
    "name",
    "today",
    "contact",
    "subject",
    "events",
    "holiday",
    "offer",
    "expect",
    "because",
)
_REQUIRED = ("name", "today", "expect")
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}"
_EVENT = re.compile(
    rf"(?P<at>{_MOMENT}) (?P<type>[a-z][a-z0-9_.]*)"
    rf"(?: for (?P<starts>{_MOMENT}))?"
    r"(?: worth (?P<amount>[0-9]{1,9}(?:\.[0-9]{1,2})?))?"
    r"(?: scored (?P<value>-?[0-9]{1,9}(?:\.[0-9]{1,6})?))?"
    r"(?: about (?P<subject>[A-Za-z0-9:_-]{1,60}))?\Z"
)
_HINT = (
    "2026-03-12 10:00 appointment.no_show, and if needed: "
    "… for 2026-03-20 09:00 worth 45.50 scored 9 about appointment:1"
)


class ExampleReader:
    """Reads in-file tests of one file."""

    def __init__(self, read: Reader, vocabulary: Vocabulary) -> None:
        self._read = read
        self._vocabulary = vocabulary

    def examples(
        self, node: Node | None, subject: str, offers: tuple[str, ...]
    ) -> tuple[tuple[str, RuleTest], ...]:
        """The tests of a rule, each with the offer that it is about ('' if about all or none)."""
        return self._read.each(node, "tests", lambda item: self._example(item, subject, offers))

    def _example(
        self, node: Node, subject: str, offers: tuple[str, ...]
    ) -> tuple[str, RuleTest] | None:
        read = self._read
        found = read.settings(node, "a test", _TEST, _REQUIRED)
        day = found.get("today")
        today = read.moment(day, day.text if day else "")
        expect = read.choice(found.get("expect"), "expect", get_args(Expected), "fires")
        because = read.text(found.get("because"), "because")
        if because and expect == "fires":
            read.fault("E204", '"because" names the reason for being quiet', found["because"])
        offer = self._offer(node, found.get("offer"), expect, offers)
        values = self._values(found.get("contact"), CONTACT)
        own = self._values(found.get("subject"), subject)
        events = read.each(found.get("events"), "events", lambda item: self._event(item, subject))
        if subject == CONTACT and "subject" in found:
            read.fault("E206", "this rule is about the contact", found["subject"], "for_each: …")
        if today is None:
            return None
        return offer, RuleTest(
            name=read.text(found.get("name"), "name"),
            today=today,
            contact=values,
            events=events,
            expect=cast("Expected", expect),
            because=because,
            place=Place(*node.place),
            subject=own,
            holiday=read.yes_no(found.get("holiday"), default=False),
        )

    def _offer(self, node: Node, said: Node | None, expect: str, offers: tuple[str, ...]) -> str:
        if said is not None and not offers:
            self._read.fault("E205", "this rule makes no offers", said, "delete this line")
        elif said is not None:
            return self._read.known(said, "offer", offers) or ""
        elif offers and expect == "fires":
            message = "a test that fires says which offer is made"
            self._read.fault("E205", message, node, f"offer: {offers[0]}")
        return ""

    def _values(self, node: Node | None, subject: str) -> tuple[tuple[str, Scalar], ...]:
        """Values of the contact's fields, or of the subject's."""
        if node is not None and node.kind != "map":
            self._read.settings(node, "these values", ())
        values = []
        for key, value in node.pairs if node is not None else ():
            name = self._read.known(key, "field", self._vocabulary.fields)
            field = self._vocabulary.fields.get(name or "")
            if field is None:
                continue
            if (field.about or CONTACT) != subject:
                where = "subject" if field.about else "contact"
                message = f"{field.name} is a field of the {field.about or CONTACT}"
                self._read.fault("E206", message, key, f"{where}: {{{field.name}: …}}")
            values.append((field.name, typed_value(self._read, field, value)))
        return tuple(values)

    def _event(self, node: Node, subject: str) -> PastEvent | None:
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
        own = subject != CONTACT and self._vocabulary.about(match["type"]) == subject
        return PastEvent(
            at=at,
            type=self._vocabulary.types(match["type"])[0],
            starts_at=starts,
            amount_cents=round(float(match["amount"]) * 100) if match["amount"] else None,
            subject=match["subject"] or (f"{subject}:1" if own else None),
            value=float(match["value"]) if match["value"] else None,
        )
