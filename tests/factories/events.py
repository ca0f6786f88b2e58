"""Events and contacts for tests, with plain defaults."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from engine.features.column_history import EVENT_SCHEMA
from engine.features.contact import HistoryEvent
from engine.features.spec import EVENT_COLUMNS, Scalar

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def make_event(
    type: str = "appointment.kept",  # noqa: A002 - the column's name
    at: datetime = NOON,
    *,
    amount_cents: int | None = None,
    subject: str | None = None,
    starts_at: datetime | None = None,
    **more: Any,
) -> HistoryEvent:
    return HistoryEvent(type, at, amount_cents, subject, starts_at, **more)


def event_frame(histories: Mapping[str, Sequence[HistoryEvent]]) -> pl.DataFrame:
    """EVENT_COLUMNS of the histories, by contact id."""
    rows = [
        (contact, *(getattr(e, name) for name in EVENT_COLUMNS[1:]))
        for contact, events in histories.items()
        for e in events
    ]
    return pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row")


def contact_frame(
    zones: Mapping[str, str | None],
    attributes: Mapping[str, Mapping[str, Scalar]] | None = None,
    schema: Mapping[str, type[pl.DataType]] | None = None,
) -> pl.DataFrame:
    """One row per contact in `zones`; `schema` names the attribute columns."""
    known = attributes or {}
    rows = [
        {"contact_id": contact, "timezone": zone, **known.get(contact, {})}
        for contact, zone in zones.items()
    ]
    return pl.DataFrame(
        rows, schema={"contact_id": pl.String, "timezone": pl.String, **(schema or {})}
    )
