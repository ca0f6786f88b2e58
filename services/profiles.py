"""Profiles from what the store knows: for one contact, and for all of a tenant, part by part."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.actions import CHANNELS
from engine.features.contact import features_of
from engine.features.spec import Scalar
from engine.features.subjects import SubjectRow, subjects_of
from engine.features.tables import FeatureTables, feature_tables
from engine.ids import ContactId, TenantId
from engine.policy.quiet_hours import zone_or_utc
from engine.policy.settings import Cap
from engine.policy.stages import to_us
from engine.profile import Profile, cooldown_key
from services.attributes import attribute_values
from services.consent_held import Ledger, consent_held
from services.contact_history import known_at
from services.own_history import (
    Blocked,
    EarlierSend,
    Marked,
    OwnHistory,
    not_wanted,
    waited_days,
)
from services.playbook import Playbook, playbook_in_force
from services.standing import Around, HouseholdSend, standing_of
from store.budgets import list_used
from store.decision_inputs import get_decision_inputs
from store.plan_marks import list_marks_in_force
from store.profiles import (
    get_profile_row,
    list_blocked,
    list_consents,
    list_contact_ids,
    list_contacts,
    list_events,
    list_sends,
)

_DAY_US = 86_400_000_000
RECENT_DAYS = 7
# contacts at once in a run over all
PART = 20_000

# by contact id: sends that a plan takes for granted
Planned = Mapping[str, Sequence[EarlierSend]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a contact is reached and how greeted; kept out of the profile: it decides nothing."""

    first_name: str | None
    full_name: str | None
    email: str | None
    mobile_phone: str | None
    phone: str | None
    household: str | None = None

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
    row = await get_profile_row(connection, contact_id, as_of)
    return await _profile_of(connection, row, playbook, as_of)


async def decision_inputs(
    connection: AsyncConnection, tenant_id: TenantId, contact_id: ContactId, as_of: datetime
) -> tuple[Playbook, Profile, Address]:
    """Return the playbook in force at `as_of` and one contact's profile, in one round trip.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    versions, row = await get_decision_inputs(connection, contact_id, as_of)
    playbook = await playbook_in_force(connection, tenant_id, versions)
    return playbook, *(await _profile_of(connection, row, playbook, as_of))


async def _profile_of(
    connection: AsyncConnection, row: Mapping[str, Any], playbook: Playbook, as_of: datetime
) -> tuple[Profile, Address]:
    known = await known_at(connection, playbook, row, as_of)
    features = features_of(
        known.attributes, known.events, playbook.specs,
        as_of=as_of, zone=known.zone, holidays=known.holidays,
    )  # fmt: skip
    subjects = subjects_of(
        known.events, playbook.rules.subject_kinds, playbook.specs,
        as_of=as_of, zone=known.zone, attributes=known.attributes,
    )  # fmt: skip
    history = OwnHistory(
        sends=[tuple(send) for send in orjson.loads(row["sends"])],
        blocked=[tuple(each) for each in orjson.loads(row["blocked"])],
        marks=[tuple(each) for each in orjson.loads(row["marks"])],
    )
    around = Around(
        [tuple(send) for send in orjson.loads(row["household_sends"])],
        {(name, day): used for name, day, used in orjson.loads(row["budgets_used"])},
    )
    profile = _profile(
        playbook, row, features, known.consent, history,
        as_of=as_of, subjects=subjects, around=around,
    )  # fmt: skip
    return profile, _address(row)


@dataclass(frozen=True, slots=True)
class Part:
    """Some contacts, as a decision reads them.

    Attributes:
        profiles: in the order of ids.
        addresses: by contact id.
        tables: features as columns; one row per profile, in the same order.
    """

    profiles: list[Profile]
    addresses: dict[str, Address]
    tables: FeatureTables


async def all_profiles(
    connection: AsyncConnection, playbook: Playbook, as_of: datetime
) -> tuple[list[Profile], dict[str, Address], FeatureTables]:
    """Return every contact known at `as_of` at once, by id: profiles, addresses, features."""
    part = await some_profiles(connection, playbook, as_of, None)
    return part.profiles, part.addresses, part.tables


async def profiles_in_parts(
    connection: AsyncConnection, playbook: Playbook, as_of: datetime, *, size: int = PART
) -> AsyncIterator[Part]:
    """Yield the same in parts of about `size` contacts.

    Parts follow ids; where rules or the policy look at households, those of accounts, each of
    which is whole.
    """
    for ids in parts_of(playbook, await list_contact_ids(connection, as_of), size):
        yield await some_profiles(connection, playbook, as_of, ids)


def parts_of(playbook: Playbook, contacts: pl.DataFrame, size: int = PART) -> Iterator[list[str]]:
    """Yield the ids of `store.profiles.list_contact_ids` in parts, as `profiles_in_parts` says."""
    if not playbook.household_types and playbook.policy.household.within_days == 0:
        for start in range(0, contacts.height, size):
            yield contacts["contact_id"].slice(start, size).to_list()
        return
    home = pl.coalesce("account_id", "contact_id")
    homes = contacts.group_by(home=home).agg("contact_id").sort("home")
    part: list[str] = []
    for ids in homes["contact_id"]:
        part += ids.to_list()
        if len(part) >= size:
            yield part
            part = []
    if part:
        yield part


async def some_profiles(  # noqa: PLR0913 - what plans take for granted
    connection: AsyncConnection,
    playbook: Playbook,
    as_of: datetime,
    ids: Sequence[str] | None,
    *,
    planned: Planned | None = None,
    sends_until: datetime | None = None,
    given: Mapping[tuple[str, str], int] | None = None,
) -> Part:
    """Return the contacts known at `as_of` among these ids, among all for None.

    `planned` are sends taken for granted beside those on record; of these only what was decided
    before `sends_until` counts, if it is given. `given` is what plans have given away, cents by
    (budget, first day of its period).
    """
    contacts = await list_contacts(connection, as_of, ids)
    events = await list_events(
        connection, as_of, playbook.event_types, told_by=playbook.told_by, ids=ids
    )
    ledgers: dict[str, list[Ledger]] = defaultdict(list)
    held = await list_consents(connection, as_of, ids)
    for contact, channel, purpose, status in held.iter_rows():
        ledgers[contact].append((channel, purpose, status))
    sends: dict[str, list[EarlierSend]] = defaultdict(list)
    homes: dict[str, list[HouseholdSend]] = defaultdict(list)
    on_record = await list_sends(connection, sends_until or as_of, ids)
    for contact, *send, home in on_record.iter_rows():
        sends[contact].append(tuple(send))
        if home is not None:
            homes[home].append((send[0], send[1], contact, send[2]))
    on_budgets = await list_used(connection, sends_until)
    used = Counter({(n, day.isoformat()): c for (n, day), c in on_budgets.items()})
    used.update(given or {})
    for contact, more in (planned or {}).items():
        sends[contact].extend(more)
    blocked: dict[str, list[Blocked]] = defaultdict(list)
    never_left = await list_blocked(connection, sends_until or as_of, ids)
    for contact, *each, refused in never_left.iter_rows():
        blocked[contact].append((*each, refused == "t"))
    marks: dict[str, list[Marked]] = defaultdict(list)
    for (contact, rule, about), verdict in (await list_marks_in_force(connection, as_of)).items():
        marks[contact].append((rule, about, verdict))

    rows = contacts.to_dicts()
    consents = [
        consent_held(playbook.settings, row, ledgers.get(row["contact_id"], ())) for row in rows
    ]
    tables = _feature_tables(playbook, contacts, rows, consents, events, as_of)
    subjects = _subjects_by_contact(tables.subjects)
    profiles = [
        _profile(
            playbook, row, features, consent, _own(row["contact_id"], sends, blocked, marks),
            as_of=as_of, subjects=subjects.get(row["contact_id"], ()),
            around=Around(homes.get(row["account_id"], ()), used),
        )
        for row, consent, features in zip(
            rows, consents, tables.contacts.drop("contact_id").iter_rows(named=True), strict=True
        )
    ]  # fmt: skip
    return Part(profiles, {row["contact_id"]: _address(row) for row in rows}, tables)


def _own(
    contact: str,
    sends: Mapping[str, Sequence[EarlierSend]],
    blocked: Mapping[str, Sequence[Blocked]],
    marks: Mapping[str, Sequence[Marked]],
) -> OwnHistory:
    return OwnHistory(sends.get(contact, ()), blocked.get(contact, ()), marks.get(contact, ()))


def _subjects_by_contact(tables: Mapping[str, pl.DataFrame]) -> dict[str, list[SubjectRow]]:
    found: dict[str, list[SubjectRow]] = defaultdict(list)
    for kind, table in sorted(tables.items()):
        for row in table.iter_rows(named=True):
            found[row.pop("contact_id")].append(SubjectRow(kind, row.pop("subject"), row))
    return found


def zoned(contacts: pl.DataFrame, practice: str | None) -> pl.DataFrame:
    """Return contact_id and timezone: the contact's where it is one, else the practice's."""
    names = [zone_or_utc(name, practice).key for name in contacts["timezone"]]
    return contacts.select("contact_id", pl.Series("timezone", names, dtype=pl.String))


def attribute_columns(
    playbook: Playbook, rows: Iterable[Mapping[str, Any]], consents: Iterable[Mapping[str, int]]
) -> list[pl.Series]:
    """Return the attributes of the playbook of contacts as `store.profiles.list_contacts` does."""
    values = [
        attribute_values(playbook.attributes, row, consent)
        for row, consent in zip(rows, consents, strict=True)
    ]
    dtypes = {"number": pl.Float64, "flag": pl.Boolean}
    return [
        pl.Series(a.key, [v[a.key] for v in values], dtype=dtypes.get(a.type, pl.String))
        for a in playbook.attributes
    ]


def _feature_tables(
    playbook: Playbook,
    contacts: pl.DataFrame,
    rows: Sequence[Mapping[str, Any]],
    consents: Sequence[Mapping[str, int]],
    events: pl.DataFrame,
    as_of: datetime,
) -> FeatureTables:
    known = zoned(contacts, playbook.settings.time_zone).with_columns(
        contacts["account_id"], *attribute_columns(playbook, rows, consents)
    )
    return feature_tables(
        known,
        events,
        playbook.rules.subject_kinds,
        playbook.specs,
        as_of=as_of,
        holidays=playbook.holidays(as_of),
    )


def _profile(  # noqa: PLR0913 - what is known of one contact
    playbook: Playbook,
    row: Mapping[str, Any],
    features: Mapping[str, Scalar],
    consent: Mapping[str, int],
    history: OwnHistory,
    *,
    as_of: datetime,
    subjects: Iterable[SubjectRow] = (),
    around: Around = Around(),  # noqa: B008 - frozen
) -> Profile:
    as_of_us = to_us(as_of)
    earlier = history.sends
    last: dict[str, int] = {}
    for _, _, at_us, rule, subject in earlier:
        key = cooldown_key(rule or "", subject or "")
        last[key] = max(at_us, last.get(key, at_us))
    return Profile(
        contact_id=str(row["contact_id"]),
        zone=zone_or_utc(row["timezone"], playbook.settings.time_zone).key,
        row=_known(features),
        reach=_reach(playbook, row, history.blocked),
        consent=consent,
        sends=tuple(_counted(cap, earlier, as_of_us) for cap in playbook.policy.caps),
        recent_sends=sum(send[2] > as_of_us - RECENT_DAYS * _DAY_US for send in earlier),
        last_sent_days={
            key: round(max(0, as_of_us - at) / _DAY_US, 6) for key, at in sorted(last.items())
        },
        subjects=tuple(SubjectRow(s.kind, s.subject, _known(s.row)) for s in subjects),
        standing=standing_of(
            playbook, row, features, [(s[1], s[2]) for s in earlier], around, as_of=as_of
        ),
        marks=not_wanted(history),
        waited_days=waited_days(history, as_of_us),
    )


def _known(row: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {name: row[name] for name in sorted(row) if row[name] is not None}


def _counted(cap: Cap, sends: Sequence[EarlierSend], as_of_us: int) -> int:
    since = as_of_us - cap.window_days * _DAY_US
    return sum(at > since and purpose in cap.counted for _, purpose, at, *_ in sends)


def _reach(
    playbook: Playbook, row: Mapping[str, Any], blocked: Sequence[Blocked]
) -> tuple[str, ...]:
    """Messages need a complete sender, SMS a gateway; a call by staff needs neither.

    An address that was refused or bounced reaches nobody until it is another one.
    """
    settings, address = playbook.settings, _address(row)
    ready = {"call_task", *(settings.channels if settings.sender is not None else ())}
    dead = {(channel, _bare(to)) for _, _, _, channel, to, refused in blocked if refused}
    return tuple(
        channel
        for channel in CHANNELS
        if channel in ready and (to := address.of(channel)) and (channel, _bare(to)) not in dead
    )


def _bare(recipient: str) -> str:
    """An address however it is written: e-mail in lower case, a number by its last ten digits."""
    if "@" in recipient:
        return recipient.lower()
    return "".join(filter(str.isdigit, recipient))[-10:]


def _address(row: Mapping[str, Any]) -> Address:
    return Address(
        row["first_name"],
        row["full_name"],
        row["email"],
        row["mobile_phone"],
        row["phone"],
        row.get("account_id"),
    )
