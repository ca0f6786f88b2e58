"""What the store knows of one contact, as the feature layer takes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.contact import HistoryEvent
from engine.features.spec import Scalar
from engine.ids import ContactId
from engine.policy.quiet_hours import zone_or_utc
from services.attributes import attribute_values
from services.consent_held import consent_held
from services.playbook import Playbook
from store.household_events import list_member_events

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """A contact's attributes, its events and the zone that its days go by.

    Attributes:
        consent: 'channel:purpose' -> CONSENT_ code.
        events: and those of other members of its account, where rules look at them.
        holidays: the tenant's public holidays around the moment; None if they are not known.
    """

    attributes: Mapping[str, Scalar]
    consent: Mapping[str, int]
    events: Sequence[HistoryEvent]
    zone: ZoneInfo
    holidays: frozenset[date] | None


async def known_at(
    connection: AsyncConnection, playbook: Playbook, row: Mapping[str, Any], as_of: datetime
) -> Known:
    """Return what a row of `store.profiles.get_profile_row` says, read at `as_of`.

    Takes a second round trip for members of an account where rules look at its other members.
    """
    members: Sequence[HistoryEvent] = ()
    if playbook.household_types and row["account_id"] is not None:
        members = await list_member_events(
            connection,
            ContactId(row["contact_id"]),
            row["account_id"],
            as_of,
            playbook.household_types,
        )
    return known_of(playbook, row, as_of, members)


def known_of(
    playbook: Playbook,
    row: Mapping[str, Any],
    as_of: datetime,
    members: Sequence[HistoryEvent] = (),
) -> Known:
    """Return the same with these events of other members of the account."""
    events = [
        HistoryEvent(
            kind, _at(occurred), amount, subject, None if starts is None else _at(starts), *more
        )
        for kind, occurred, amount, subject, starts, *more in orjson.loads(row["events"])
    ]
    ledger = [tuple(line) for line in orjson.loads(row["consents"])]
    consent = consent_held(playbook.settings, row, ledger)
    return Known(
        attribute_values(playbook.attributes, row, consent),
        consent,
        [*events, *members],
        zone_or_utc(row["timezone"], playbook.settings.time_zone),
        playbook.holidays(as_of),
    )


def _at(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
