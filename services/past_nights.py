"""A tenant's contacts and events as past nights see them, for rules that are tried on them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.chance import contact_keys, salt, uniform
from engine.features.spec import CONTACT, Feature
from engine.policy.quiet_hours import zone_or_utc
from rules.expression import Expression
from rules.frame import rule_columns
from rules.spells import SPELL_SCHEMA, Divided, Past, divided, frame_at, spells
from services.attributes import HEALTH_PREFIX
from services.consent_held import Ledger, consent_held
from services.evaluate import health_columns, with_health
from services.health_estimate import estimate_health
from services.playbook import Playbook, event_types
from services.profiles import attribute_columns, zoned
from store.profiles import list_consents, list_contacts
from store.rule_history import count_contacts, list_known_from, list_past_events

# the practice's clock: rules that are checked nightly have the day's events by then
NIGHT = time(3)
MOST_CONTACTS = 200_000  # of larger tenants a sample: shares are then known to 0.2 points
_CHUNK = 20_000  # contacts at once: about 0.3 GB with a year of nights
_MOST_PAIRS = 500_000  # contact × night with an estimate of health each: some ten seconds
_SAMPLE = "contacts looked at by rule tools"


@dataclass(frozen=True)
class PastNights:
    """All contacts of a tenant and what happened to them, as some nights see it.

    Attributes:
        playbook: with the rules that are tried.
        past: what rules look at.
        cards: the contacts as `store.profiles.list_contacts` gives them.
        total: contacts of the tenant; of more than `most_contacts` a sample is looked at, the
            same each time.
    """

    playbook: Playbook
    past: Past
    cards: pl.DataFrame
    total: int

    @property
    def contacts(self) -> int:
        """How many are looked at."""
        return self.past.contacts.height

    @property
    def share(self) -> float:
        """How many of all, in (0, 1]."""
        return self.contacts / self.total if self.total else 1.0

    def chunks(self) -> Iterator["PastNights"]:
        """The same in parts of the contacts."""
        for start in range(0, self.contacts, _CHUNK):
            yield self._of(self.past.contacts.slice(start, _CHUNK))

    def of(self, contacts: pl.Series) -> "PastNights":
        """The same of some contacts alone, by id."""
        return self._of(
            self.past.contacts.filter(pl.col("contact_id").is_in(contacts.unique().implode()))
        )

    def _of(self, contacts: pl.DataFrame) -> "PastNights":
        mine = contacts["contact_id"].implode()
        events = self.past.events.filter(pl.col("contact_id").is_in(mine))
        return replace(self, past=replace(self.past, contacts=contacts, events=events))

    def sample(self, share: float) -> pl.Series:
        """Ids of about this share of the contacts; smaller samples lie in larger ones."""
        ids = self.past.contacts["contact_id"]
        return ids.filter(pl.Series(uniform(contact_keys(ids), salt(_SAMPLE)) < share))


def nights_between(first: date, last: date, zone: str | None) -> list[datetime]:
    """NIGHT of each day from `first` to `last`, both included, by the practice's clock; UTC."""
    where = zone_or_utc(zone)
    days = range((last - first).days + 1)
    return [_night(first + timedelta(days=day), where) for day in days]


def _night(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, NIGHT, zone).astimezone(UTC)


async def past_nights(
    connection: AsyncConnection,
    playbook: Playbook,
    nights: Sequence[datetime],
    *,
    also: Sequence[str] = (),
    until: datetime | None = None,
    most_contacts: int = MOST_CONTACTS,
) -> PastNights:
    """Load what the rules of a playbook look at on these nights.

    `also` names event types to load besides, `until` the latest moment of events; by default the
    last night. Of more than `most_contacts` contacts a sample of about so many. The CRM keeps no
    history of a contact's own row: attributes are those of today, consent that of the last night.
    """
    latest = nights[-1]
    total = await count_contacts(connection, latest)
    share = min(1.0, most_contacts / total) if total else 1.0
    known_from = await list_known_from(connection, share)
    contacts = (await list_contacts(connection, latest)).join(
        known_from.select("contact_id"), on="contact_id", how="semi"
    )
    kinds = playbook.rules.subject_kinds
    opened = [name for kind in kinds for name in (*kind.opened_by, *kind.closed_by)]
    specs = (*playbook.specs, *playbook.rules.features)
    events = await list_past_events(
        connection,
        sorted({*event_types(specs), *opened, *also}),
        since=nights[0],
        until=max(latest, until or latest),
        with_properties=any(spec.property is not None for spec in specs),
        share=share,
    )
    held = await list_consents(connection, latest)
    frame = zoned(contacts, playbook.settings.time_zone).with_columns(
        contacts["account_id"], *_attributes(playbook, contacts, held)
    )
    frame = frame.join(known_from, on="contact_id", how="left", maintain_order="left")
    past = Past(frame, events, nights, kinds, holidays=_holidays(playbook, nights))
    return PastNights(playbook, past, contacts, total)


def _holidays(playbook: Playbook, nights: Sequence[datetime]) -> frozenset[date] | None:
    known = [playbook.holidays(each) for each in (nights[0], nights[-1])]
    return None if None in known else frozenset().union(*(days or () for days in known))


def _attributes(playbook: Playbook, contacts: pl.DataFrame, held: pl.DataFrame) -> list[pl.Series]:
    ledgers: dict[str, list[Ledger]] = defaultdict(list)
    for contact, channel, purpose, status in held.iter_rows():
        ledgers[contact].append((channel, purpose, status))
    rows = contacts.to_dicts()
    consents = [
        consent_held(playbook.settings, row, ledgers.get(row["contact_id"], ())) for row in rows
    ]
    return attribute_columns(playbook, rows, consents)


def rule_spells(nights: PastNights, rule_id: str) -> tuple[pl.DataFrame, float]:
    """Spells of one rule of the playbook, as `rules.spells.spells`, and the share looked at.

    A rule that asks for health is looked at on every night that the rest of it allows; where that
    is too much, in a sample of the contacts.
    """
    expression = next(e for e in nights.playbook.rules.expressions if e.rule_id == rule_id)
    rule = divided(expression, _of_health(expression))
    found = spells(rule, nights.past)
    if not (rule.elsewhere.when or rule.elsewhere.unless):
        return found, 1.0
    pairs = int((found["until"] - found["first"]).sum())
    share = 1.0 if pairs <= _MOST_PAIRS else _MOST_PAIRS / pairs
    if share < 1.0:
        found = found.filter(pl.col("contact_id").is_in(nights.sample(share).implode()))
    return _with_health(nights, rule, found), share


def features_at(nights: PastNights, pairs: pl.DataFrame, kind: str = CONTACT) -> pl.DataFrame:
    """All features of the playbook's rules, health among them, of (contact_id, night) pairs."""
    playbook = nights.playbook
    specs = list({spec.name: spec for spec in (*playbook.specs, *playbook.rules.features)}.values())
    frame = frame_at(pairs, nights.past, specs, kind)
    return with_health(
        frame.drop(_HEALTH, strict=False), health_columns(estimate_health(playbook, frame))
    )


_HEALTH = [f"{HEALTH_PREFIX}{name}" for name in ("hazard_30d", "hazard_60d", "hazard_90d", "score")]


def _of_health(expression: Expression) -> frozenset[str]:
    return frozenset(spec.name for spec in expression.features if _is_health(spec))


def _is_health(spec: Feature) -> bool:
    return (spec.attribute or "").startswith(HEALTH_PREFIX)


def _with_health(nights: PastNights, rule: Divided, found: pl.DataFrame) -> pl.DataFrame:
    """The nights of the spells on which health allows it too, as spells."""
    every = found.with_columns(night=pl.int_ranges("first", "until")).explode("night")
    if every.is_empty():
        return found
    kind = rule.elsewhere.kind
    frame = features_at(nights.of(every["contact_id"]), every.unique(["contact_id", "night"]), kind)
    holds = rule_columns(frame, [rule.elsewhere]).to_series()
    keys = ["contact_id", "subject", "night"]
    kept = every.join(frame.filter(holds).select(keys), on=keys, how="semi", nulls_equal=True)
    unit = ["contact_id", "subject"]
    return (
        kept.sort(keys)
        .with_columns(run=pl.col("night") - pl.int_range(pl.len()).over(unit))
        .group_by(*unit, "run", maintain_order=True)
        .agg(first=pl.col("night").min(), until=pl.col("night").max() + 1)
        .select(list(SPELL_SCHEMA))
    )
