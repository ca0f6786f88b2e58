"""The contact, history and subject that an in-file test speaks of, as feature rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from engine.features.column_history import EVENT_SCHEMA
from engine.features.columns import feature_columns
from engine.features.contact import HistoryEvent, features_of
from engine.features.spec import CONTACT, EVENT_COLUMNS, Feature, Scalar, SubjectKind
from engine.features.subjects import subject_columns, subjects_of
from engine.features.wall_clock import zone_of
from rules.document import RuleTest
from rules.vocabulary import Vocabulary

_UTC = zone_of("UTC")
_CONTACT_ID = "1"
# Stands for whatever made a test's subject known when its events do not; no rule counts it. Long
# before any event of the test, so that what the events say wins.
_KNOWN_SINCE = "subject.given"
_LONG_AGO = timedelta(days=40 * 365)


@dataclass(frozen=True)
class Given:
    """What one test gives. The contact's clock is taken as UTC.

    Attributes:
        attributes, events, as_of, holidays: as the feature layer takes them.
        fixed: values given for computed fields, by feature: they stand in for the computation.
        kind: the subject kind that the test is about, '<kind>:1'; None for the contact.
    """

    attributes: Mapping[str, Scalar]
    events: Sequence[HistoryEvent]
    as_of: datetime
    holidays: frozenset[date]
    fixed: Mapping[str, Scalar]
    kind: SubjectKind | None

    @property
    def is_open(self) -> bool:
        """Whether there is a row: always for the contact."""
        return self.kind is None or self._subject_row(()) is not None

    def row(self, specs: Sequence[Feature]) -> dict[str, Scalar]:
        """The features, by name; empty if the subject is not open."""
        specs = _told(specs)
        row = features_of(
            self.attributes,
            self.events,
            specs,
            as_of=self.as_of,
            zone=_UTC,
            holidays=self.holidays,
        )
        if self.kind is not None:
            own = self._subject_row(specs)
            if own is None:
                return {}
            row |= own
        return row | dict(self.fixed)

    def frame(self, specs: Sequence[Feature]) -> pl.DataFrame:
        """The same as a frame of one row; without rows if the subject is not open."""
        specs = _told(specs)
        contact = {"contact_id": _CONTACT_ID, "timezone": "UTC", **self.attributes}
        contacts = pl.DataFrame([contact])
        events = pl.DataFrame(
            [
                {"contact_id": _CONTACT_ID, **{n: getattr(e, n) for n in EVENT_COLUMNS[1:]}}
                for e in self.events
            ],
            schema=EVENT_SCHEMA,
        )
        as_of = self.as_of
        frame = feature_columns(contacts, events, specs, as_of=as_of, holidays=self.holidays)
        if self.kind is not None:
            own = subject_columns(contacts, events, [self.kind], specs, as_of=as_of)[self.kind.name]
            first = own.filter(pl.col("subject") == f"{self.kind.name}:1")
            frame = first.join(frame, on="contact_id", how="left")
        return frame.with_columns(pl.lit(value).alias(name) for name, value in self.fixed.items())

    def _subject_row(self, specs: Sequence[Feature]) -> Mapping[str, Scalar] | None:
        if self.kind is None:
            return None
        rows = subjects_of(
            self.events,
            [self.kind],
            specs,
            as_of=self.as_of,
            zone=_UTC,
            attributes=self.attributes,
        )
        first = f"{self.kind.name}:1"
        return next((row.row for row in rows if row.subject == first), None)


def given_of(test: RuleTest, vocabulary: Vocabulary, subject: str = CONTACT) -> Given:
    """What a test of a rule about `subject` gives.

    A subject that no event of the test opens is taken to have been open for long.
    """
    attributes: dict[str, Scalar] = {}
    properties: dict[str, Scalar] = {}
    fixed: dict[str, Scalar] = {}
    for name, value in (*test.contact, *test.subject):
        source = vocabulary.fields[name].source
        if source.property is not None:
            properties[source.property] = value
        elif source.kind in {"attribute", "days_until_date"} and source.attribute is not None:
            attributes[source.attribute] = value
        else:
            fixed[source.name] = value
    as_of = test.today.replace(tzinfo=UTC)
    events = [
        HistoryEvent(
            type=event.type,
            occurred_at=_utc(event.at),
            amount_cents=event.amount_cents,
            subject=event.subject,
            starts_at=event.starts_at and _utc(event.starts_at),
            value=event.value,
        )
        for event in test.events
    ]
    kind = None
    if subject != CONTACT:
        kind, known = _known_subject(vocabulary.subjects[subject].kind, events, as_of, properties)
        events.append(known)
    holidays = frozenset({test.today.date()} if test.holiday else ())
    return Given(attributes, events, as_of, holidays, fixed, kind)


def _known_subject(
    kind: SubjectKind,
    events: Sequence[HistoryEvent],
    as_of: datetime,
    properties: Mapping[str, Scalar],
) -> tuple[SubjectKind, HistoryEvent]:
    """The kind, and an event that tells the properties and, where nothing else does, opens it."""
    first = f"{kind.name}:1"
    opened = any(event.subject == first and event.type in kind.opened_by for event in events)
    told = HistoryEvent(
        type=_KNOWN_SINCE,
        occurred_at=as_of - _LONG_AGO,
        subject=first,
        properties=json.dumps(dict(properties)),
    )
    opened_by = kind.opened_by if opened else (*kind.opened_by, _KNOWN_SINCE)
    return SubjectKind(kind.name, opened_by, kind.closed_by), told


def _told(specs: Sequence[Feature]) -> list[Feature]:
    """The specs, reading properties from what tells them here too."""
    return [
        spec if spec.property is None else replace(spec, types=(*spec.types, _KNOWN_SINCE))
        for spec in specs
    ]


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
