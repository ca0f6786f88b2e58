"""A contact, or one of its subjects, as it will look at later moments if nothing happens."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.features.contact import values_of
from engine.features.contact_history import History, HistoryEvent, Moment, Moments
from engine.features.spec import Feature, Scalar
from engine.features.wall_clock import instant_us, wall_us

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dated(NamedTuple):
    """An event with its instant and its time on the contact's wall clock, microseconds."""

    instant: int
    wall: int
    event: HistoryEvent


class Outlook:
    """What is known now, to be looked at from any later moment.

    Args:
        attributes: what is known of the contact itself; they stay as they are.
        events: the contact's history in any order, and for members_due that of the other
            members of its account. Events ahead come into view when their time has come.
        zone: the contact's zone.
        holidays: the tenant's public holidays; None if they are not known.
    """

    def __init__(
        self,
        attributes: Mapping[str, Scalar],
        events: Iterable[HistoryEvent],
        *,
        zone: ZoneInfo,
        holidays: frozenset[date] | None = None,
    ) -> None:
        self.attributes = attributes
        self.zone = zone
        self.holidays = holidays
        self.events = tuple(
            Dated(instant_us(event.occurred_at), wall_us(event.occurred_at, zone), event)
            for event in events
        )
        self._needed: dict[Feature, tuple[Dated, ...]] = {}

    def about(self, subject: str) -> "Outlook":
        """One of the contact's subjects, e.g. 'contract:1': its own events alone."""
        own = [dated.event for dated in self.events if dated.event.subject == subject]
        alone = [event for event in own if event.member is None]
        return Outlook(self.attributes, alone, zone=self.zone)

    def of_member(self, member: str) -> "Outlook":
        """Another member of the account, seen on this contact's clock, as a contact."""
        theirs = [dated.event for dated in self.events if dated.event.member == member]
        own = [event.__class__(event.type, event.occurred_at) for event in theirs]
        return Outlook({}, own, zone=self.zone)

    def needed(self, spec: Feature) -> tuple[Dated, ...]:
        """The events that a feature looks at; members' only for members_due."""
        found = self._needed.get(spec)
        if found is None:
            named = {*spec.types, *spec.of_types, *spec.closed_by, spec.anchor}
            every = spec.property is not None and not spec.types
            found = self._needed[spec] = tuple(
                dated
                for dated in self.events
                if (every or dated.event.type in named)
                and (dated.event.member is None or spec.kind == "members_due")
            )
        return found

    def value(self, spec: Feature, instant: int) -> Scalar:
        """The feature at a moment (microseconds since 1970 UTC), by the one-contact interpreter."""
        at = _EPOCH + timedelta(microseconds=instant)
        now = wall_us(at, self.zone)
        own: list[Moment] = []
        others: list[Moment] = []
        for dated in self.needed(spec):
            if dated.instant <= instant:
                moment = Moment(max(0, now - dated.wall), dated.instant, dated.event)
                (own if dated.event.member is None else others).append(moment)
        history = History(Moments(own, others, now, at, self.zone), self.attributes, self.holidays)
        return values_of(history, (spec,))[spec.name]
