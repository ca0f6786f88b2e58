"""How much of what a vocabulary names a tenant's data really have."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.spec import CONTACT, Feature
from engine.ids import TenantId
from rules.document import RuleSet
from rules.field_list import FieldRow, field_rows
from rules.vocabulary import Field, Vocabulary
from services.attributes import attributes_of, is_from_health
from services.past_nights import PastNights, features_at, past_nights
from services.playbook import event_types
from services.rules_on_trial import playbook_of_rules
from store.rule_history import EventCount, list_event_counts

_MOST_CONTACTS = 50_000  # a share is then known to within half a point
_MOST_VALUES = 200  # different texts that are told of one field


@dataclass(frozen=True, slots=True)
class FieldFill:
    """What the data have of one field.

    Attributes:
        filled: share of contacts with a value (of open subjects, for a field about one); None
            where there is nothing to have one.
        newest_at: when the newest event occurred that it is computed from, UTC; None for what the
            CRM keeps without a date, and where there is no such event.
        values: texts that occur and how often, the most frequent first; empty unless the
            vocabulary lists what is allowed.
    """

    filled: float | None
    newest_at: datetime | None
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EventFill:
    """What the data have of one event of the vocabulary; newest_at is UTC, None without any."""

    events: int
    contacts: int
    newest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Fill:
    """What the data have at one moment.

    Attributes:
        looked: contacts looked at for fields; fewer than `total` if that is a sample.
        fields, events: by name, in the order of the vocabulary.
    """

    looked: int
    total: int
    fields: Mapping[str, FieldFill]
    events: Mapping[str, EventFill]


async def field_fill(
    connection: AsyncConnection, tenant_id: TenantId, vocabulary: Vocabulary, as_of: datetime
) -> Fill:
    """Return how much the tenant's data have of everything that a vocabulary names, at `as_of`."""
    empty = RuleSet("fields", vocabulary.file, (), vocabulary, "")
    playbook = await playbook_of_rules(connection, tenant_id, as_of, empty)
    sources = {name: _source(field, vocabulary) for name, field in vocabulary.fields.items()}
    specs = tuple({spec.name: spec for spec in (*playbook.specs, *sources.values())}.values())
    history = tuple(spec for spec in specs if not is_from_health(spec))
    playbook = replace(
        playbook,
        specs=history,
        attributes=attributes_of(specs, vocabulary, playbook.settings.attributes),
        event_types=event_types(history),
        rules=replace(playbook.rules, features=specs),
    )
    kinds = [subject.kind for subject in vocabulary.subjects.values()]
    opened = [name for kind in kinds for name in (*kind.opened_by, *kind.closed_by)]
    known = await past_nights(
        connection, playbook, [as_of], also=opened, most_contacts=_MOST_CONTACTS
    )
    known = replace(known, past=replace(known.past, kinds=kinds))
    frames = await asyncio.to_thread(_frames, known)
    counts = {each.type: each for each in await list_event_counts(connection, as_of)}
    fields = {
        name: _filled(field, sources[name], frames[field.about or CONTACT], counts)
        for name, field in vocabulary.fields.items()
    }
    events = {name: _event(event.types, counts) for name, event in vocabulary.events.items()}
    return Fill(known.contacts, known.total, fields, events)


def filled_rows(vocabulary: Vocabulary, fill: Fill) -> tuple[FieldRow, ...]:
    """Return the fields as rows for people, with how many have a value."""
    shares = {name: each.filled for name, each in fill.fields.items() if each.filled is not None}
    newest = {
        name: f"{each.newest_at:%Y-%m-%d}"
        for name, each in fill.fields.items()
        if each.newest_at is not None
    }
    return field_rows(vocabulary, shares, newest)


def fill_document(fill: Fill) -> dict[str, Any]:
    """Return the same as a document; moments are ISO 8601 UTC."""
    return {
        "contacts_looked_at": fill.looked,
        "contacts_in_all": fill.total,
        "fields": {
            name: {"filled": f.filled, "newest_at": _iso(f.newest_at), "values": dict(f.values)}
            for name, f in fill.fields.items()
        },
        "events": {
            name: {"events": e.events, "contacts": e.contacts, "newest_at": _iso(e.newest_at)}
            for name, e in fill.events.items()
        },
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _source(field: Field, vocabulary: Vocabulary) -> Feature:
    if field.source.property is None:
        return field.source
    return replace(field.source, types=vocabulary.types_about(field.about))


def _frames(known: PastNights) -> dict[str, pl.DataFrame]:
    """Features of every contact, and of every open subject by kind."""
    everybody = known.past.contacts.select("contact_id", night=pl.lit(0, dtype=pl.Int64))
    kinds = [CONTACT, *(kind.name for kind in known.past.kinds)]
    return {kind: features_at(known, everybody, kind) for kind in kinds}


def _filled(
    field: Field, source: Feature, frame: pl.DataFrame, counts: Mapping[str, EventCount]
) -> FieldFill:
    column = frame[source.name] if source.name in frame.columns else None
    filled = None
    if frame.height and column is not None:
        filled = 1 - column.null_count() / frame.height
    newest = [counts[name].newest_at for name in source.types if name in counts]
    values: dict[str, int] = {}
    if field.one_of and column is not None and column.dtype == pl.String:
        texts = column.drop_nulls()
        texts = texts.str.split("\n").explode() if field.type == "list" else texts
        found = texts.value_counts(sort=True).head(_MOST_VALUES)
        values = {text: count for text, count in found.iter_rows() if text}
    return FieldFill(filled, max(newest, default=None), values)


def _event(types: tuple[str, ...], counts: Mapping[str, EventCount]) -> EventFill:
    found = [counts[name] for name in types if name in counts]
    return EventFill(
        sum(each.events for each in found),
        max((each.contacts for each in found), default=0),
        max((each.newest_at for each in found), default=None),
    )
