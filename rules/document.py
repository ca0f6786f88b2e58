"""A rule set as values: what a campaign manager wrote, checked and typed."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal, NamedTuple

from engine.features.spec import CONTACT, Scalar
from rules.reading import Length, Money
from rules.vocabulary import Vocabulary

Status = Literal["draft", "shadow", "live", "retired"]
Purpose = Literal["treatment", "service", "marketing"]
ConditionKind = Literal["field", "count", "none", "last", "first", "sum", "rate", "any"]
Expected = Literal["fires", "quiet", "todo"]
Hit = Literal["first", "only"]
STATUSES: tuple[Status, ...] = ("draft", "shadow", "live", "retired")
NIGHTLY = "nightly"
DUE = "due"


class Place(NamedTuple):
    """Where something stands in its file; line and column count from 1."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """One word of a condition and its constant, e.g. at_least 2."""

    word: str
    value: Scalar | tuple[Scalar, ...] | Length | Money

    def __str__(self) -> str:
        return f"{self.word} {_words(self.value)}"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule; all of its parts have to hold.

    Attributes:
        kind: what it is about.
        about: field or event name; empty for any.
        comparisons: words with constants.
        in_last_days: window of count, none, sum and rate.
        since_last: event after which none and count look.
        for_at_least: how long ago since_last has to be.
        because: for staff, why an unless condition keeps the rule quiet.
        any_of: the alternatives of any.
        of_event: the events that a rate is a share of.
        scope: contact, or the subject kind whose events or fields it looks at.
        place: its place in the file.
    """

    kind: ConditionKind
    about: str
    place: Place
    comparisons: tuple[Comparison, ...] = ()
    in_last_days: int | None = None
    since_last: str | None = None
    for_at_least: Length | None = None
    because: str = ""
    any_of: tuple["Condition", ...] = ()
    of_event: str | None = None
    scope: str = CONTACT

    @property
    def label(self) -> str:
        """How a test's `because` names it, e.g. 'count appointment.no_show'."""
        return f"{self.kind} {self.about}".strip()

    @property
    def words(self) -> str:
        """The whole condition on one line."""
        if self.kind == "any":
            return "any of: " + "; ".join(part.words for part in self.any_of)
        parts = [self.label]
        if self.of_event is not None:
            parts.append(f"of {self.of_event}")
        if self.in_last_days is not None:
            parts.append(f"in the last {self.in_last_days} days")
        if self.since_last is not None:
            parts.append(f"since the last {self.since_last}")
        if self.for_at_least is not None:
            parts.append(f"for at least {self.for_at_least}")
        parts += [str(comparison) for comparison in self.comparisons]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Season:
    """First and last day of the year as month * 100 + day, both included; may cross 1 January."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Goal:
    """The event that counts as success, and for how many days after the contact it does."""

    event: str
    within_days: int


@dataclass(frozen=True, slots=True)
class Expectation:
    """Prior P(goal) when contacted and when left alone, worth `weight` observations each."""

    if_contacted: float
    if_left: float
    weight: int


@dataclass(frozen=True, slots=True)
class StillFact:
    """Re-checked when a send is claimed: no `event` may have happened since the decision.

    `about` is the subject kind of the rule if only an event about the same subject counts, else
    empty: then any event of the contact counts.
    """

    kind: Literal["none"]
    event: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class ActionProposal:
    """What a rule proposes.

    Attributes:
        action: id of the action.
        template: folder under content/templates.
        purpose: treatment, service or marketing; decides consent and caps.
        channels: allowed channels, the author's preference first.
        value_cents: value of one success; comparable across actions of a tenant.
        currency: of value and costs, ISO 4217.
        cost_cents: (channel, cents; may have a fraction) for every channel.
        expect: prior of the response model.
        goal: success and attribution window.
        still: facts re-checked when the send is claimed.
        priority: 0 to 100, breaks ties only.
        needs_approval: waits for a person.
    """

    action: str
    template: str
    purpose: Purpose
    channels: tuple[str, ...]
    value_cents: int
    currency: str
    cost_cents: tuple[tuple[str, float], ...]
    expect: Expectation
    goal: Goal
    still: tuple[StillFact, ...] = ()
    priority: int = 50
    needs_approval: bool = False


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event of an in-file test; times are the contact's wall clock, without zone."""

    at: datetime
    type: str
    starts_at: datetime | None = None
    amount_cents: int | None = None
    subject: str | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class RuleTest:
    """An in-file test: on this day, with this contact and history, the rule fires or is quiet.

    Attributes:
        contact: values of the contact's fields by name; lists as one text, items in lines.
        subject: values of the fields of the subject that the test is about, '<kind>:1'.
        expect: todo is a known gap: reported, and never a failure.
        because: label of the condition that has to decide; empty if any may.
        holiday: whether today is a public holiday of the tenant.
    """

    name: str
    today: datetime
    contact: tuple[tuple[str, Scalar], ...]
    events: tuple[PastEvent, ...]
    expect: Expected
    because: str
    place: Place
    subject: tuple[tuple[str, Scalar], ...] = ()
    holiday: bool = False


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """A row of a choice table: it holds where all of its conditions hold ('any' cells have none).

    `cells` are its cells as written, without the offer.
    """

    conditions: tuple[Condition, ...]
    cells: tuple[str, ...]
    offer: str
    place: Place


@dataclass(frozen=True, slots=True)
class ChoiceTable:
    """Which offer a rule makes.

    Attributes:
        id: as rules name it.
        hit: first takes the first row that holds; in a table with only, no two rows can both hold.
        columns: as written, e.g. 'contact.plan' and 'count appointment.no_show in 60 days'.
        rows: in file order.
    """

    id: str
    hit: Hit
    columns: tuple[str, ...]
    rows: tuple[ChoiceRow, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Choice:
    """The offer that an expanded rule stands for, and the table that picks it."""

    table: ChoiceTable
    offer: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """`# allow L304: reason` beside a rule: that warning is meant."""

    code: str
    reason: str
    place: Place


@dataclass(frozen=True, slots=True)
class Rule:
    """When it applies, when it stays quiet all the same, and what it proposes.

    Attributes:
        id: unique in the rule set.
        title, why, owner: for people.
        status: only live contacts anybody; shadow decides and records.
        check_on: event types that trigger an evaluation.
        nightly: also evaluated every night.
        season: days of the year; None is all year.
        when: all have to hold.
        unless: none may hold; each has a because.
        then: the proposal.
        cooldown_days: days after a contact by this rule in which it proposes nothing.
        send_between: minutes of the local day (start, end), or None for the policy's window.
        subject: what the proposal is about: 'contact', or a subject kind of the vocabulary; then
            the rule is asked once per open subject, and the cooldown runs per subject.
        tests: in-file tests.
        place: where it starts.
        on_days: ISO weekdays of the contact's local day on which it proposes; empty is all.
        quiet_on_holidays: no proposal on the tenant's public holidays.
        choice: the offer of a choice table that it stands for; its id is then 'rule-id/offer'.
        allows: warnings that are meant.
    """

    id: str
    title: str
    why: str
    owner: str
    status: Status
    check_on: tuple[str, ...]
    nightly: bool
    season: Season | None
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    then: ActionProposal
    cooldown_days: int
    send_between: tuple[int, int] | None
    subject: str
    tests: tuple[RuleTest, ...]
    place: Place
    on_days: tuple[int, ...] = ()
    quiet_on_holidays: bool = False
    choice: Choice | None = None
    allows: tuple[Allowance, ...] = ()

    @property
    def acts(self) -> bool:
        """Whether matching returns it: live and shadow rules."""
        return self.status in {"live", "shadow"}

    def checked_on(self, trigger: str | None) -> bool:
        """Whether this trigger evaluates the rule.

        It is 'nightly', 'due' (time alone may have changed the answer of a rule that waits for
        events), an event type, or None for any.
        """
        if trigger == NIGHTLY:
            return self.nightly
        return trigger is None or (
            bool(self.check_on) if trigger == DUE else trigger in self.check_on
        )


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one file with their vocabulary.

    `digest` is the SHA-256 (hex) of `canonical_bytes`; `version` names the set in logs; `choices`
    are the tables of the file, used or not.
    """

    pack: str
    file: str
    rules: tuple[Rule, ...]
    vocabulary: Vocabulary
    digest: str
    choices: tuple[ChoiceTable, ...] = ()

    @property
    def version(self) -> str:
        return f"{self.pack}@{self.digest[:12]}"


def canonical_bytes(pack: str, rules: tuple[Rule, ...], vocabulary: Vocabulary) -> bytes:
    """What the rules mean, as bytes: the same for any layout, comments, tests and key order."""
    meaning = {
        "format": 1,
        "pack": pack,
        "rules": [_meaning(rule) for rule in rules],
        "fields": {name: _plain(found) for name, found in vocabulary.fields.items()},
        "events": {name: [e.types, e.about] for name, e in vocabulary.events.items()},
        "subjects": {name: [s.opened_by, s.closed_by] for name, s in vocabulary.subjects.items()},
    }
    return json.dumps(meaning, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()


def digest_of(pack: str, rules: tuple[Rule, ...], vocabulary: Vocabulary) -> str:
    """SHA-256 (hex) of the canonical bytes."""
    return hashlib.sha256(canonical_bytes(pack, rules, vocabulary)).hexdigest()


_MEANINGLESS = frozenset({"place", "tests", "allows"})


def _meaning(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return _plain(value, _MEANINGLESS)


def _plain(value: Any, without: frozenset[str] = frozenset()) -> Any:  # noqa: ANN401
    """A value as JSON has it; five times as fast as `asdict`, which copies every leaf."""
    if isinstance(value, str | int | float) or value is None:
        return value
    if isinstance(value, tuple | list):
        return [_plain(item, without) for item in value]
    names = value if isinstance(value, dict) else value.__dataclass_fields__
    get = value.get if isinstance(value, dict) else partial(getattr, value)
    return {name: _plain(get(name), without) for name in names if name not in without}


def _words(value: Scalar | tuple[Scalar, ...] | Length | Money) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(_words(item) for item in value)
    return str(value)
