"""Reads typed values out of a file's nodes; a value that can't be read is noted, not raised."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeVar

from rules.findings import Findings, shown, suggestion
from rules.source import Node

T = TypeVar("T")

# Constants stay well inside what an int64, a double and the single-contact matcher tell apart.
LARGEST_NUMBER = 10**15
MOST_DECIMALS = 9
LONGEST_TEXT = 200

_NUMBER = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,20})?\Z")
_LENGTH = re.compile(r"([0-9]{1,5}) (day|week|month|year)s?\Z")
_MONEY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,4})?)(?: ([A-Z]{3}))?\Z")
_WINDOW = re.compile(r"([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])\Z")
_DAY = re.compile(r"([0-9]{1,2}) ([A-Z][a-z]{2})\Z")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_ID = re.compile(r"[a-z0-9]+([-._][a-z0-9]+)*\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\Z")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Length:
    """A length of time in calendar days or calendar months."""

    count: int
    unit: Literal["day", "month"]

    def __str__(self) -> str:
        return f"{self.count} {self.unit}" + ("" if self.count == 1 else "s")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in whole cents with its currency, ISO 4217."""

    cents: int
    currency: str

    def __str__(self) -> str:
        return f"{self.cents / 100:.2f} {self.currency}"


class Reader:
    """Reads nodes of one file. Every method returns None (or a given default) after a finding."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def fault(self, code: str, message: str, node: Node, hint: str = "") -> None:
        self.findings.add(code, message, node.place, hint=hint)

    def settings(
        self, node: Node, what: str, allowed: Collection[str], required: Collection[str] = ()
    ) -> dict[str, Node]:
        """Settings of a map by name; unknown and missing ones are noted."""
        if node.kind != "map":
            self.fault("E012", f"{what} is a group of settings (name: value)", node)
            return {}
        found = {}
        for key, value in node.pairs:
            if key.text in allowed:
                found[key.text] = value
            elif not self.findings.full:
                hint = suggestion(key.text, allowed)
                self.fault("E010", f"{what} has no setting {shown(key.text)}", key, hint)
        for name in required:
            if name not in found:
                self.fault("E011", f"{what} needs the setting {shown(name)}", node, f"{name}: …")
        return found

    def items(self, node: Node | None, what: str) -> list[Node]:
        if node is None:
            return []
        if node.kind != "list":
            self.fault("E012", f"{what} is a list; start each line with a dash", node)
            return []
        return node.items

    def text(self, node: Node | None, what: str) -> str:
        if node is None:
            return ""
        if node.kind != "text" or not node.text.strip():
            self.fault("E012", f"{what} is a text", node)
            return ""
        if len(node.text) > LONGEST_TEXT * 5:
            self.fault("E012", f"{what} is too long", node, "at most 1000 characters")
        return node.text.strip()

    def identifier(self, node: Node | None, what: str) -> str:
        word = self.text(node, what)
        if node is not None and word and (not _ID.match(word) or len(word) > LONGEST_TEXT):
            hint = "use small letters, digits, dots and dashes, for example: clinic.no-show-rescue"
            self.fault("E014", f"{shown(word)} is no name for {what}", node, hint)
        return word

    def name(self, node: Node | None, what: str) -> str:
        """A field, attribute or event as the vocabulary spells it: words_like.this."""
        word = self.text(node, what)
        if node is not None and word and (not _NAME.match(word) or len(word) > LONGEST_TEXT):
            hint = "use small letters, digits, underscores and dots, for example: contact.age"
            self.fault("E014", f"{shown(word)} is no name for {what}", node, hint)
        return word

    def known(self, node: Node, what: str, vocabulary: Collection[str]) -> str | None:
        """A name that the vocabulary has."""
        word = self.text(node, f"the {what}")
        if word in vocabulary:
            return word
        if word:
            self.unknown(node, what, word, vocabulary)
        return None

    def unknown(self, node: Node, what: str, word: str, vocabulary: Collection[str]) -> None:
        """Note that the vocabulary lacks a name."""
        if not self.findings.full:
            hint = suggestion(word, vocabulary)
            message = f"the {what} {shown(word)} is not in the vocabulary"
            self.fault("E102", message, node, hint)

    def choice(self, node: Node | None, what: str, allowed: Collection[str], default: str) -> str:
        if node is None:
            return default
        word = self.text(node, what)
        if word and word not in allowed:
            hint = suggestion(word, allowed)
            self.fault("E112", f"{shown(word)} is not allowed for {what}", node, hint)
            return default
        return word or default

    def yes_no(self, node: Node | None, default: bool) -> bool:
        if node is None:
            return default
        if node.text not in {"yes", "no", "true", "false"}:
            self.fault("E113", f"{shown(node.text)} is neither yes nor no", node, "yes")
        return node.text in {"yes", "true"}

    def number(self, node: Node) -> int | float | None:
        if node.kind != "text" or not _NUMBER.match(node.text):
            hint = "write digits only, without currency or thousands marks"
            self.fault("E110", f"{shown(node.text)} is not a number", node, hint)
            return None
        exact = Decimal(node.text)
        if abs(exact) > LARGEST_NUMBER or exact != round(exact, MOST_DECIMALS):
            hint = "at most 1,000,000,000,000,000 and nine decimals"
            self.fault(
                "E115", f"{shown(node.text)} is larger or finer than can be told", node, hint
            )
            return None
        return float(exact) if "." in node.text else int(exact)

    def whole(self, node: Node | None, default: int, low: int, high: int) -> int:
        if node is None:
            return default
        found = self.number(node)
        if found is None:
            return default
        if not isinstance(found, int) or not low <= found <= high:
            self.fault("E111", f"{node.text} is not a whole number from {low} to {high}", node)
            return default
        return found

    def share(self, node: Node | None, default: float) -> float:
        if node is None:
            return default
        found = self.number(node)
        if found is not None and not 0 <= found <= 1:
            self.fault("E111", f"{node.text} is not a share from 0 to 1", node, "0.25 is a quarter")
            return default
        return default if found is None else float(found)

    def length(self, node: Node | None) -> Length | None:
        """Weeks become days, years months."""
        if node is None:
            return None
        match = _LENGTH.match(node.text)
        if not match:
            hint = "write a number and a unit, for example: 60 days"
            self.fault("E120", f"{shown(node.text)} is not a length of time", node, hint)
            return None
        count, unit = int(match[1]), match[2]
        if unit in {"day", "week"}:
            return Length(count * (7 if unit == "week" else 1), "day")
        return Length(count * (12 if unit == "year" else 1), "month")

    def days(self, node: Node | None) -> int | None:
        """A length where calendar months are not offered."""
        length = self.length(node)
        if node is None or length is None:
            return None
        if length.unit == "month":
            hint = f"write days: {length.count * 30} days"
            self.fault("E121", "this length is counted in days or weeks", node, hint)
            return None
        return length.count

    def money_cents(self, node: Node | None) -> tuple[float, str]:
        """Cents (may have a fraction) and currency; ('', 0.0) if unreadable."""
        if node is None:
            return 0.0, ""
        match = _MONEY.match(node.text)
        if not match:
            hint = "for example: 120.00 USD"
            self.fault("E123", f"{shown(node.text)} is not an amount of money", node, hint)
            return 0.0, ""
        return float(Decimal(match[1]) * 100), match[2] or ""

    def money(self, node: Node) -> Money | None:
        """Whole cents with a currency."""
        cents, currency = self.money_cents(node)
        if cents and cents != int(cents):
            self.fault("E123", "this amount has whole cents", node, "120.00 USD")
            return None
        if not currency:
            if not self.findings.has(node.place):
                self.fault("E123", "this amount needs its currency", node, "120.00 USD")
            return None
        return Money(int(cents), currency)

    def minutes(self, node: Node | None) -> tuple[int, int] | None:
        """'10:00-18:00' as minutes of the local day, start before end, end at most 24:00."""
        if node is None:
            return None
        match = _WINDOW.match(node.text)
        if match:
            start = int(match[1]) * 60 + int(match[2])
            end = int(match[3]) * 60 + int(match[4])
            if start < end <= 24 * 60:
                return start, end
        self.fault("E124", f"{shown(node.text)} is not a time of day", node, "10:00-18:00")
        return None

    def month_day(self, node: Node | None) -> int:
        """'15 Aug' as 815; 0 if unreadable."""
        if node is None:
            return 0
        match = _DAY.match(node.text)
        if match and match[2] in MONTHS:
            month, day = MONTHS.index(match[2]) + 1, int(match[1])
            if 1 <= day <= _DAYS_IN_MONTH[month - 1]:
                return month * 100 + day
        self.fault("E122", f"{shown(node.text)} is not a day of the year", node, "15 Aug")
        return 0

    def moment(self, node: Node | None, text: str) -> datetime | None:
        """'2026-03-19 10:00' as wall-clock time without zone."""
        if node is None:
            return None
        return self._dated(node, text, _MOMENT, "E201", "2026-03-19 10:00")

    def date(self, node: Node) -> str | None:
        """An ISO date, as text."""
        found = self._dated(node, node.text, _DATE, "E114", "2026-03-19")
        return None if found is None else node.text

    def _dated(
        self, node: Node, text: str, form: re.Pattern[str], code: str, example: str
    ) -> datetime | None:
        try:
            if form.match(text) and text >= "1900":
                return datetime.fromisoformat(text)
        except ValueError:
            pass
        self.fault(code, f"{shown(text)} is not a date written like {example}", node)
        return None

    def each(self, node: Node | None, what: str, read: Callable[[Node], T | None]) -> tuple[T, ...]:
        """What `read` finds in each item of a list, without what it could not read."""
        found = (read(item) for item in self.items(node, what))
        return tuple(value for value in found if value is not None)
