"""One contact's past, converted once and indexed the ways the features of `contact.py` ask."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from math import isfinite
from operator import itemgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.features.properties import property_in
from engine.features.spec import LARGEST_VALUE, Feature, Scalar, ValueType
from engine.features.wall_clock import DAY_US, EPOCH_DAY, instant_us, wall_us

MILLION = 1_000_000
_age = itemgetter(0)


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One event of a contact.

    Attributes:
        type: noun.verb, e.g. 'appointment.no_show'.
        occurred_at: aware UTC.
        amount_cents: money of the event, None where there is none.
        subject: what it is about, e.g. 'appointment:5642903', or None.
        starts_at: aware UTC; when the booked thing takes place, or None.
        value: the number it carries, such as a survey's score, or None.
        properties: a JSON object, or None.
        member: contact id where it is the event of another member of the contact's account;
            only members_due looks at those. None for the contact's own.
    """

    type: str
    occurred_at: datetime
    amount_cents: int | None = None
    subject: str | None = None
    starts_at: datetime | None = None
    value: float | None = None
    properties: str | None = None
    member: str | None = None


class Moment(NamedTuple):
    """An event with its age on the contact's wall clock and its instant, microseconds."""

    age: int
    instant: int
    event: HistoryEvent


@dataclass(frozen=True, slots=True)
class Timeline:
    """Past events of some types, youngest first; ages in wall-clock microseconds, 0 or more."""

    ages: list[int]
    amounts: list[int]
    instants: list[int]  # ascending, so not in the order of ages


@dataclass(frozen=True, slots=True)
class Moments:
    """What a history is made of, as known at `as_of`.

    Attributes:
        own: the contact's events up to `as_of`.
        others: those of other members of its account.
        now: the contact's wall clock at `as_of`, microseconds.
    """

    own: list[Moment]
    others: list[Moment]
    now: int
    as_of: datetime
    zone: ZoneInfo


def moments_of(events: Iterable[HistoryEvent], as_of: datetime, zone: ZoneInfo) -> Moments:
    """The events up to `as_of`, on the clock of `zone`."""
    now = wall_us(as_of, zone)
    own: list[Moment] = []
    others: list[Moment] = []
    for event in events:
        at = event.occurred_at
        if at <= as_of:
            moment = Moment(max(0, now - wall_us(at, zone)), instant_us(at), event)
            (own if event.member is None else others).append(moment)
    return Moments(own, others, now, as_of, zone)


class History:
    """The past of one contact, or of one of its subjects where `own` is narrowed to it.

    A subject has no other members: those of an account are contacts.
    """

    def __init__(
        self,
        moments: Moments,
        attributes: Mapping[str, Scalar],
        holidays: frozenset[date] | None = None,
        own: Sequence[Moment] | None = None,
    ) -> None:
        self.attributes = attributes
        self.holidays = holidays
        self.now = moments.now
        self.as_of = moments.as_of
        self.zone = moments.zone
        self.others = moments.others if own is None else []
        self._own = moments.own if own is None else own
        self._by_type: dict[str, list[Moment]] = {}
        for moment in self._own:
            self._by_type.setdefault(moment.event.type, []).append(moment)
        self._timelines: dict[tuple[str, ...], Timeline] = {}
        self._by_subject: dict[tuple[str, ...], dict[str, list[Moment]]] = {}
        self._open: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Moment]] = {}
        self._values: dict[tuple[str, ...], list[tuple[int, int, int]]] = {}
        self._newest_first: dict[tuple[str, ...], list[Moment]] = {}

    @cached_property
    def day(self) -> int:
        """Days from 1970-01-01 to the contact's local date."""
        return self.now // DAY_US

    @cached_property
    def today(self) -> date:
        return date.fromordinal(EPOCH_DAY + self.day)

    def given(self, spec: Feature, value_type: ValueType = "text") -> Scalar:
        """The attribute a spec reads, or the property it reads in place of one."""
        if spec.property is None:
            return self.attributes.get(spec.attribute or spec.name)
        return self.property(spec.types, spec.property, value_type)

    def moments(self, types: tuple[str, ...]) -> list[Moment]:
        if len(types) == 1:
            return self._by_type.get(types[0], [])
        return [m for one in dict.fromkeys(types) for m in self._by_type.get(one, ())]

    def timeline(self, types: tuple[str, ...]) -> Timeline:
        found = self._timelines.get(types)
        if found is None:
            moments = sorted(self.moments(types), key=_age)
            found = self._timelines[types] = Timeline(
                [moment.age for moment in moments],
                [moment.event.amount_cents or 0 for moment in moments],
                sorted(moment.instant for moment in moments),
            )
        return found

    def count(self, types: tuple[str, ...], window_days: int | None) -> int:
        ages = self.timeline(types).ages
        return len(ages) if window_days is None else bisect_right(ages, window_days * DAY_US)

    def by_subject(self, types: tuple[str, ...]) -> dict[str, list[Moment]]:
        """Events of these types that have a subject, by subject, the oldest first."""
        found = self._by_subject.get(types)
        if found is None:
            found = self._by_subject[types] = {}
            for moment in sorted(self.moments(types), key=itemgetter(1)):
                if moment.event.subject is not None:
                    found.setdefault(moment.event.subject, []).append(moment)
        return found

    def opened(self, types: tuple[str, ...], closed_by: tuple[str, ...]) -> list[Moment]:
        """Events of `types` whose subject has no event of `closed_by` at or after them."""
        found = self._open.get((types, closed_by))
        if found is None:
            closed = self.by_subject(closed_by)
            found = self._open[types, closed_by] = [
                moment
                for subject, moments in self.by_subject(types).items()
                for moment in moments
                if subject not in closed or closed[subject][-1].instant < moment.instant
            ]
        return found

    def values(self, types: tuple[str, ...]) -> list[tuple[int, int, int]]:
        """Of events that carry a number, newest first: instant, number in millionths, age."""
        found = self._values.get(types)
        if found is None:
            found = [
                (moment.instant, round(moment.event.value * MILLION), moment.age)
                for moment in self.moments(types)
                if moment.event.value is not None
                and isfinite(moment.event.value)
                and abs(moment.event.value) <= LARGEST_VALUE
            ]
            found.sort(reverse=True)
            self._values[types] = found
        return found

    def property(self, types: tuple[str, ...], key: str, value_type: ValueType) -> Scalar:
        """The newest value of a property on events of these types, of all events if none."""
        moments = self._newest_first.get(types)
        if moments is None:
            having = self.moments(types) if types else self._own
            moments = self._newest_first[types] = sorted(
                (moment for moment in having if moment.event.properties is not None),
                key=lambda moment: (moment.instant, moment.event.properties),
                reverse=True,
            )
        for moment in moments:
            known, value = property_in(moment.event.properties or "", key, value_type)
            if known:
                return value
        return None
