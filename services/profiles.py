"""Profiles from what the store knows: for one contact, and for all of a tenant."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.actions import CHANNELS, PURPOSES
from engine.candidates import CONSENT_FLAGGED, CONSENT_GRANTED, CONSENT_REVOKED
from engine.features.columns import feature_columns
from engine.features.contact import HistoryEvent, features_of
from engine.features.spec import Scalar
from engine.ids import ContactId, TenantId
from engine.policy.quiet_hours import zone_or_utc
from engine.policy.settings import Cap
from engine.policy.stages import to_us
from engine.profile import Profile
from services.attributes import attribute_values
from services.playbook import Playbook, playbook_in_force
from store.decision_inputs import get_decision_inputs
from store.profiles import (
    get_profile_row,
    list_consents,
    list_contacts,
    list_events,
    list_sends,
)

_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECENT_DAYS = 7
_FLAGS = {"email": "do_not_email", "sms": "do_not_sms", "call_task": "do_not_call"}

# one earlier send: action, purpose, microseconds since 1970 UTC
EarlierSend = tuple[str, str, int]
# one ledger row in force: channel, purpose, status
Ledger = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a contact is reached and how greeted; kept out of the profile: it decides nothing."""

    first_name: str | None
    full_name: str | None
    email: str | None
    mobile_phone: str | None
    phone: str | None

    def of(self, channel: str) -> str | None:
        """Return the address for a channel, None if there is none."""
        return {"email": self.email, "sms": self.mobile_phone, "call_task": self.phone}[channel]


async def one_profile(
    connection: AsyncConnection, playbook: Playbook, contact_id: ContactId, as_of: datetime
) -> tuple[Profile, Address]:
    """Return one contact's profile at `as_of`, in one round trip.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    return _profile_of(await get_profile_row(connection, contact_id, as_of), playbook, as_of)


async def decision_inputs(
    connection: AsyncConnection, tenant_id: TenantId, contact_id: ContactId, as_of: datetime
) -> tuple[Playbook, Profile, Address]:
    """Return the playbook in force at `as_of` and one contact's profile, in one round trip.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    versions, row = await get_decision_inputs(connection, contact_id, as_of)
    playbook = await playbook_in_force(connection, tenant_id, versions)
    return playbook, *_profile_of(row, playbook, as_of)


def _profile_of(
    row: Mapping[str, Any], playbook: Playbook, as_of: datetime
) -> tuple[Profile, Address]:
    events = [
        HistoryEvent(kind, _at(occurred), amount, subject, None if starts is None else _at(starts))
        for kind, occurred, amount, subject, starts in orjson.loads(row["events"])
    ]
    attributes = attribute_values(playbook.attributes, row, orjson.loads(row["custom_fields"]))
    zone = zone_or_utc(row["timezone"], playbook.settings.time_zone)
    features = features_of(attributes, events, playbook.specs, as_of=as_of, zone=zone)
    sends = [tuple(send) for send in orjson.loads(row["sends"])]
    ledger = [tuple(line) for line in orjson.loads(row["consents"])]
    return _profile(playbook, row, features, ledger, sends, as_of), _address(row)


async def all_profiles(
    connection: AsyncConnection, playbook: Playbook, as_of: datetime
) -> tuple[list[Profile], dict[str, Address], pl.DataFrame]:
    """Return every contact known at `as_of`: profiles by id, addresses, and the feature frame.

    The frame has one row per profile, in the same order, with contact_id and one column per
    feature.
    """
    contacts = await list_contacts(connection, as_of)
    events = await list_events(connection, as_of, playbook.event_types)
    consents: dict[str, list[Ledger]] = defaultdict(list)
    for contact, channel, purpose, status in (await list_consents(connection, as_of)).iter_rows():
        consents[contact].append((channel, purpose, status))
    sends: dict[str, list[EarlierSend]] = defaultdict(list)
    for contact, action, purpose, at_us in (await list_sends(connection, as_of)).iter_rows():
        sends[contact].append((action, purpose, at_us))

    rows = contacts.to_dicts()
    frame = _feature_frame(playbook, contacts, rows, events, as_of)
    profiles = [
        _profile(
            playbook, row, features, consents.get(row["contact_id"], ()),
            sends.get(row["contact_id"], ()), as_of,
        )
        for row, features in zip(rows, frame.drop("contact_id").iter_rows(named=True), strict=True)
    ]  # fmt: skip
    return profiles, {row["contact_id"]: _address(row) for row in rows}, frame


def zoned(contacts: pl.DataFrame, practice: str | None) -> pl.DataFrame:
    """Return contact_id and timezone: the contact's where it is one, else the practice's."""
    names = [zone_or_utc(name, practice).key for name in contacts["timezone"]]
    return contacts.select("contact_id", pl.Series("timezone", names, dtype=pl.String))


def _feature_frame(
    playbook: Playbook,
    contacts: pl.DataFrame,
    rows: Sequence[Mapping[str, Any]],
    events: pl.DataFrame,
    as_of: datetime,
) -> pl.DataFrame:
    values = [
        attribute_values(playbook.attributes, row, orjson.loads(row["custom_fields"]))
        for row in rows
    ]
    dtypes = {"number": pl.Float64, "flag": pl.Boolean}
    columns = [
        pl.Series(a.key, [v[a.key] for v in values], dtype=dtypes.get(a.type, pl.String))
        for a in playbook.attributes
    ]
    known = zoned(contacts, playbook.settings.time_zone)
    return feature_columns(known.with_columns(columns), events, playbook.specs, as_of=as_of)


def _profile(
    playbook: Playbook,
    row: Mapping[str, Any],
    features: Mapping[str, Scalar],
    ledger: Iterable[Ledger],
    sends: Iterable[EarlierSend],
    as_of: datetime,
) -> Profile:
    as_of_us = to_us(as_of)
    earlier = list(sends)
    last: dict[str, int] = {}
    for action, _, at_us in earlier:
        last[action] = max(at_us, last.get(action, at_us))
    return Profile(
        contact_id=str(row["contact_id"]),
        zone=zone_or_utc(row["timezone"], playbook.settings.time_zone).key,
        row={name: features[name] for name in sorted(features) if features[name] is not None},
        reach=_reach(playbook, row),
        consent=_consent(playbook, row, ledger),
        sends=tuple(_counted(cap, earlier, as_of_us) for cap in playbook.policy.caps),
        recent_sends=sum(at > as_of_us - RECENT_DAYS * _DAY_US for _, _, at in earlier),
        last_sent_days={
            action: round(max(0, as_of_us - at) / _DAY_US, 6) for action, at in sorted(last.items())
        },
    )


def _counted(cap: Cap, sends: Sequence[EarlierSend], as_of_us: int) -> int:
    since = as_of_us - cap.window_days * _DAY_US
    return sum(at > since and cap.purpose in {"any", purpose} for _, purpose, at in sends)


def _reach(playbook: Playbook, row: Mapping[str, Any]) -> tuple[str, ...]:
    """Messages need a complete sender, SMS a gateway; a call by staff needs neither."""
    settings, address = playbook.settings, _address(row)
    ready = {"call_task", *(settings.channels if settings.sender is not None else ())}
    return tuple(channel for channel in CHANNELS if channel in ready and address.of(channel))


def _consent(
    playbook: Playbook, row: Mapping[str, Any], ledger: Iterable[Ledger]
) -> dict[str, int]:
    """What holds per 'channel:purpose': the CRM's flags forbid, else the ledger, else implied."""
    held = dict.fromkeys(playbook.settings.implied_consent, CONSENT_GRANTED)
    for channel, purpose, status in ledger:
        granted = CONSENT_GRANTED if status == "granted" else CONSENT_REVOKED
        held[f"{channel}:{purpose}"] = granted
    for channel, flag in _FLAGS.items():
        for purpose in PURPOSES:
            if row[flag] or (row["unsubscribed"] and purpose == "marketing"):
                held[f"{channel}:{purpose}"] = CONSENT_FLAGGED
    return dict(sorted(held.items()))


def _address(row: Mapping[str, Any]) -> Address:
    return Address(
        row["first_name"], row["full_name"], row["email"], row["mobile_phone"], row["phone"]
    )


def _at(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
