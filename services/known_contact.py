"""One contact as rules see it at a moment: the rows of features, and what they were made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import isnan
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.contact import HistoryEvent, features_of
from engine.features.outlook import Outlook
from engine.features.spec import CONTACT, Feature, Scalar, SubjectKind
from engine.features.subjects import SubjectRow, subjects_of
from engine.ids import ContactId
from engine.profile import Profile
from services.contact_history import known_at
from services.evaluate import columns_of, health_columns, score_before
from services.health_estimate import estimate_health
from services.playbook import Playbook
from services.profiles import one_profile
from store.profiles import get_profile_row


@dataclass(frozen=True)
class KnownContact:
    """What was known of a contact at `as_of`, under one playbook.

    Attributes:
        profile: as a decision reads it.
        attributes: by name, estimates of health among them.
        events: the whole history, oldest first; and those of other members of the account, where
            rules look at them.
        holidays: the tenant's public holidays; None if they are not known.
        row: features of the contact, estimates of health among them, by name.
        kinds: the subject kinds that rules are about.
        subjects: its open subjects of these kinds.
    """

    contact_id: ContactId
    as_of: datetime
    zone: ZoneInfo
    profile: Profile
    attributes: Mapping[str, Scalar]
    events: Sequence[HistoryEvent]
    holidays: frozenset[date] | None
    row: Mapping[str, Scalar]
    kinds: Sequence[SubjectKind]
    subjects: Sequence[SubjectRow]

    def rows(self, kind: str) -> list[tuple[str | None, dict[str, Scalar]]]:
        """Subject (None for the contact) and row of everything a rule about `kind` looks at."""
        if kind == CONTACT:
            return [(None, dict(self.row))]
        return [
            (subject.subject, {**self.row, **subject.row})
            for subject in self.subjects
            if subject.kind == kind
        ]

    def events_of(self, spec: Feature, subject: str | None) -> list[HistoryEvent]:
        """The events that a feature may look at: for one about a subject, those about it."""
        if spec.scope == CONTACT and spec.kind == "members_due":
            return list(self.events)
        if spec.scope == CONTACT:
            return [event for event in self.events if event.member is None]
        return [event for event in self.events if event.subject == subject]

    @property
    def outlook(self) -> Outlook:
        """The contact as it will look later if nothing happens."""
        return Outlook(self.attributes, self.events, zone=self.zone, holidays=self.holidays)


async def known_contact(
    connection: AsyncConnection, playbook: Playbook, contact_id: ContactId, as_of: datetime
) -> KnownContact:
    """Return what was known of a contact at `as_of`.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    profile, _ = await one_profile(connection, playbook, contact_id, as_of)
    stored = await get_profile_row(connection, contact_id, as_of)
    health = _health(playbook, profile)
    told = await known_at(connection, playbook, stored, as_of)
    events = sorted(told.events, key=lambda event: event.occurred_at)
    attributes, zone = {**told.attributes, **health}, told.zone
    row = features_of(
        attributes, events, playbook.specs, as_of=as_of, zone=zone, holidays=told.holidays
    )
    kinds = playbook.rules.subject_kinds
    subjects = subjects_of(
        events,
        kinds,
        playbook.specs,
        as_of=as_of,
        zone=zone,
        attributes=attributes,
    )
    return KnownContact(
        contact_id=contact_id,
        as_of=as_of,
        zone=zone,
        profile=profile,
        attributes=attributes,
        events=events,
        holidays=told.holidays,
        row={**row, **health},
        kinds=kinds,
        subjects=subjects,
    )


def _health(playbook: Playbook, profile: Profile) -> dict[str, Scalar]:
    estimate = estimate_health(playbook, columns_of([profile], playbook))
    columns = health_columns(estimate, score_before([profile.row]))
    values = {name: float(column[0]) for name, column in columns.items()}
    return {name: None if isnan(value) else value for name, value in values.items()}
