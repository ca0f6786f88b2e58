"""An in-file test made of a real contact: what decides stays, who it is does not.

Dates move by a whole number of weeks, all by the same, so that weekdays and distances stay. Texts
that the rule does not itself compare with, and that no list of the vocabulary allows, become
'other'. Subjects are numbered. Nothing but what the rule looks at is told.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from engine.errors import Conflict
from engine.features.contact import HistoryEvent
from engine.features.spec import CONTACT, Kind, Scalar
from rules.document import Condition, Rule, RuleSet
from rules.example_added import with_test
from rules.examples import ExampleResult, run_examples
from rules.expression import expression_of
from rules.loader import load_rules
from rules.vocabulary import Field, Vocabulary

_SOMEBODY = "other"
_PLAIN = re.compile(r"[a-z][a-z0-9 _-]{0,60}\Z")
_WORDS = frozenset({"yes", "no", "true", "false", "on", "off", "null", "any", "y", "n"})
_MOST_WEEKS = 208  # four years of places to move to
_MOST_EVENTS = 200
_VALUED: frozenset[Kind] = frozenset({"last_value", "mean_value", "value_change"})
# what one contact's own attributes and events can't give: it is written as the value it has
_GIVEN: frozenset[Kind] = frozenset({"members_due"})


@dataclass(frozen=True)
class Seen:
    """A contact as one rule saw it.

    Attributes:
        row: features by name, of the subject too.
        attributes: by the names the CRM has them under.
        events: the contact's.
        subject: e.g. 'contract:17'; None for a rule about the contact.
        now: the contact's wall clock, without zone.
        holiday: whether it was a public holiday.
        fires, because: what the rule said, and the condition that decided.
        key: moves the dates; the same for the same contact and rule.
    """

    row: Mapping[str, Scalar]
    attributes: Mapping[str, Scalar]
    events: Sequence["LocalEvent"]
    subject: str | None
    now: datetime
    holiday: bool
    fires: bool
    because: str
    key: int


@dataclass(frozen=True, slots=True)
class LocalEvent:
    """An event with its times on the contact's wall clock, without zone."""

    event: HistoryEvent
    at: datetime
    starts_at: datetime | None


def recorded_test(text: str, rules: RuleSet, rule: Rule, seen: Seen) -> tuple[str, list[str]]:
    """The file's text with the test added, and the test's lines.

    The test passes, and the same condition decides as for the contact: moves of dates are tried
    until it does.

    Raises:
        Conflict: no move keeps what decided; says what came instead.
        InvalidInput: the rule is not in the text, or its tests can't be added to.
    """
    last = ""
    for attempt in range(_MOST_WEEKS):
        weeks = (seen.key + attempt) % _MOST_WEEKS + 1
        lines = list(_Masked(rules.vocabulary, rule, seen, weeks).lines())
        added = with_test(text, rule.id, lines, rules.file)
        result = _result(added, rules, rule, lines[0])
        if result.passed and (seen.fires or result.because == seen.because):
            return added, lines
        last = result.message or f"decided by {result.because}"
    raise Conflict(
        f"A test with the contact's dates moved does not say what the contact's data say: {last}.",
        hint="Write the test by hand; 'keepwell rules explain' shows what decided.",
    )


def _result(text: str, rules: RuleSet, rule: Rule, name: str) -> ExampleResult:
    loaded = load_rules(text, rules.file, rules.vocabulary)
    wanted = name.partition("name: ")[2]
    mine = tuple(
        replace(each, tests=tuple(test for test in each.tests if test.name == wanted))
        for each in loaded.rules
        if each.id == rule.id
    )
    return run_examples(replace(loaded, rules=mine))[-1]


class _Masked:
    """Writes the test with all dates moved by some weeks."""

    def __init__(self, vocabulary: Vocabulary, rule: Rule, seen: Seen, weeks: int) -> None:
        self._vocabulary = vocabulary
        self._rule = rule
        self._seen = seen
        self._back = timedelta(weeks=weeks)
        self._specs = expression_of(rule, vocabulary).features
        self._subjects: dict[str, str] = {}
        if seen.subject is not None:
            self._subjects[seen.subject] = f"{rule.subject}:1"

    def lines(self) -> Iterator[str]:
        seen = self._seen
        word = "fires" if seen.fires else "quiet"
        yield f"- name: {self._name(word)}"
        yield f"  today: {self._moment(seen.now)}"
        if self._rule.choice is not None:
            yield f"  offer: {self._rule.choice.offer}"
        if seen.holiday:
            yield "  holiday: yes"
        contact, subject = self._values(CONTACT), self._values(self._rule.subject)
        if contact:
            yield f"  contact: {{{', '.join(contact)}}}"
        if subject and self._rule.subject != CONTACT:
            yield f"  subject: {{{', '.join(subject)}}}"
        events = [self._event(each) for each in self._events()]
        if events:
            yield "  events:"
            yield from (f"    - {event}" for event in events)
        yield f"  expect: {word}"
        if not seen.fires:
            yield f"  because: {seen.because}"

    def _name(self, word: str) -> str:
        names = {test.name for test in self._rule.tests}
        name, number = f"recorded from a contact, {word}", 1
        while name in names:
            number += 1
            name = f"recorded from a contact, {word}, {number}"
        return name

    # ----------------------------------------------------------------------------- values

    def _values(self, about: str) -> list[str]:
        """The fields that the rule looks at, as far as its test has to be given them."""
        named = {field.name: field for field in self._fields() if (field.about or CONTACT) == about}
        found = []
        for name, field in named.items():
            value = self._given(field)
            if value is not None:
                found.append(f"{name}: {self._value(field, value)}")
        return found

    def _fields(self) -> Iterator[Field]:
        fields = self._vocabulary.fields
        rows = self._rule.choice.table.rows if self._rule.choice is not None else ()
        listed = [
            *self._rule.when,
            *self._rule.unless,
            *(c for row in rows for c in row.conditions),
        ]
        for condition in _flat(listed):
            if condition.kind == "field":
                yield fields[condition.about]
        # a contact's own interval of a recall
        asked = {spec.attribute for spec in self._specs if spec.kind == "days_until_recall"}
        yield from (f for f in fields.values() if f.source.attribute in asked - {None})

    def _given(self, field: Field) -> Scalar:
        source = field.source
        if source.property is not None:
            return self._property(field)
        if source.kind in {"attribute", "days_until_date"} and source.attribute is not None:
            return self._seen.attributes.get(source.attribute)
        return self._seen.row.get(source.name) if source.kind in _GIVEN else None

    def _property(self, field: Field) -> Scalar:
        """A property of the subject; a date is told by the days until it."""
        specs = [spec for spec in self._specs if spec.property == field.source.property]
        for spec in specs:
            value = self._seen.row.get(spec.name)
            if spec.kind == "days_until_date" and isinstance(value, int):
                return (self._seen.now.date() + timedelta(days=value)).isoformat()
            if spec.kind == "property" and value is not None:
                return value
        return None

    def _value(self, field: Field, value: Scalar) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if field.type == "date" and isinstance(value, str):
            return (date.fromisoformat(value) - self._back).isoformat()
        if field.type == "list" and isinstance(value, str):
            items = dict.fromkeys(self._text(field, item) for item in value.split("\n") if item)
            return f"[{', '.join(items)}]"
        if isinstance(value, str):
            return self._text(field, value)
        return f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)

    def _text(self, field: Field, text: str) -> str:
        compared = {
            str(item)
            for condition in _flat([*self._rule.when, *self._rule.unless])
            if condition.kind == "field" and condition.about == field.name
            for comparison in condition.comparisons
            for item in _items(comparison.value)
        }
        shown = text if text in compared or text in field.one_of else _SOMEBODY
        return shown if _PLAIN.match(shown) and shown not in _WORDS else json.dumps(shown)

    # ----------------------------------------------------------------------------- events

    def _events(self) -> list[LocalEvent]:
        """What the rule's features look at, newest last; of very long histories the newest."""
        named = {
            name
            for spec in self._specs
            for name in (*spec.types, *spec.of_types, *spec.closed_by, spec.anchor)
        }
        kind = self._vocabulary.subjects.get(self._rule.subject)
        if kind is not None:
            named |= {*kind.opened_by, *kind.closed_by}
        known = [each for each in self._seen.events if each.event.type in named]
        return sorted(known, key=lambda each: (each.at, each.event.type))[-_MOST_EVENTS:]

    def _event(self, local: LocalEvent) -> str:
        event, words = local.event, [self._moment(local.at), local.event.type]
        if local.starts_at is not None and self._reads("days_until_next"):
            words.append(f"for {self._moment(local.starts_at)}")
        if self._reads("sum") and event.amount_cents is not None and event.amount_cents >= 0:
            words.append(f"worth {event.amount_cents / 100:.2f}")
        if event.value is not None and self._reads(*_VALUED):
            words.append(f"scored {event.value:.6f}".rstrip("0").rstrip("."))
        if event.subject is not None:
            words.append(f"about {self._subject(event.subject)}")
        return " ".join(words)

    def _reads(self, *kinds: Kind) -> bool:
        return any(spec.kind in kinds for spec in self._specs)

    def _subject(self, subject: str) -> str:
        kind = re.sub(r"[^a-z_]", "", subject.partition(":")[0]) or "thing"
        taken = sum(name.startswith(f"{kind}:") for name in self._subjects.values())
        return self._subjects.setdefault(subject, f"{kind}:{taken + 1}")

    def _moment(self, at: datetime) -> str:
        return f"{at - self._back:%Y-%m-%d %H:%M}"


def _flat(conditions: Iterable[Condition]) -> Iterator[Condition]:
    for condition in conditions:
        yield condition
        yield from _flat(condition.any_of)


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, tuple) else (value,)
