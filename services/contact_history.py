"""What the store knows of one contact, as the feature layer takes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from engine.features.contact import HistoryEvent
from engine.features.spec import Scalar
from engine.policy.quiet_hours import zone_or_utc
from services.attributes import attribute_values
from services.playbook import Playbook

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """A contact's attributes, its events and the zone that its days go by."""

    attributes: Mapping[str, Scalar]
    events: Sequence[HistoryEvent]
    zone: ZoneInfo


def known_of(playbook: Playbook, row: Mapping[str, Any]) -> Known:
    """Return what a row of `store.profiles.get_profile_row` says."""
    events = [
        HistoryEvent(
            kind, _at(occurred), amount, subject, None if starts is None else _at(starts), *more
        )
        for kind, occurred, amount, subject, starts, *more in orjson.loads(row["events"])
    ]
    return Known(
        attribute_values(playbook.attributes, row, orjson.loads(row["custom_fields"])),
        events,
        zone_or_utc(row["timezone"], playbook.settings.time_zone),
    )


def _at(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
