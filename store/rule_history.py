"""What rules are asked about of the past: events and consent with when they were known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.bulk import microseconds, read_frame, utc
from store.crm_access import THIS_TENANT
from store.profiles import HISTORY_DAYS


@dataclass(frozen=True, slots=True)
class EventCount:
    """How often an event type has occurred, for how many contacts, and when last (UTC)."""

    type: str
    events: int
    contacts: int
    newest_at: datetime


async def list_past_events(
    connection: AsyncConnection,
    types: Sequence[str],
    *,
    since: datetime,
    until: datetime,
    with_properties: bool,
    share: float = 1.0,
) -> pl.DataFrame:
    """Return the events of these types that some moment in [since, until] looks back on.

    Columns are EVENT_COLUMNS, known_at and forgotten_at, when a decision no longer loads it (all
    Datetime UTC). `properties` is left out unless asked for; `share` is that of `list_known_from`.
    """
    properties = ", properties::text" if with_properties else ""
    query = f"""SELECT contact_id::text, type, {microseconds("occurred_at")}, amount_cents, subject,
                       {microseconds("starts_at")}, value, {microseconds("known_at")}{properties}
                  FROM keepwell.history
                 WHERE occurred_at <= {{until}} AND known_at <= {{until}}
                   AND occurred_at > {{oldest}} AND contact_id IS NOT NULL
                   AND type = ANY({{types}}) {_sampled("contact_id", share)}"""
    schema: dict[str, Any] = {
        "contact_id": pl.String,
        "type": pl.String,
        "occurred_at": pl.Int64,
        "amount_cents": pl.Int64,
        "subject": pl.String,
        "starts_at": pl.Int64,
        "value": pl.Float64,
        "known_at": pl.Int64,
    } | ({"properties": pl.String} if with_properties else {})
    oldest = since - timedelta(days=HISTORY_DAYS)
    frame = await read_frame(
        connection, query, schema, until=until, oldest=oldest, types=list(types)
    )
    return frame.with_columns(utc("occurred_at"), utc("starts_at"), utc("known_at")).with_columns(
        forgotten_at=pl.col("occurred_at") + timedelta(days=HISTORY_DAYS)
    )


async def count_contacts(connection: AsyncConnection, as_of: datetime) -> int:
    """Count the contacts known at `as_of`."""
    return int(
        await connection.scalar(
            text(
                f"SELECT count(*) FROM crm_contacts WHERE tenant_id = {THIS_TENANT} "
                "AND (created_at IS NULL OR created_at <= :as_of)"
            ),
            {"as_of": as_of.astimezone(UTC).replace(tzinfo=None)},
        )
        or 0
    )


async def list_known_from(connection: AsyncConnection, share: float = 1.0) -> pl.DataFrame:
    """Return contact_id and known_from (UTC; null: always) of contacts.

    With a share below 1 of about that share of them, chosen by a hash of the id: the same ones each
    time, and all of a smaller share among those of a larger. The CRM's times are UTC without zone.
    """
    query = f"""SELECT id::text, {microseconds("created_at AT TIME ZONE 'UTC'")} FROM crm_contacts
                 WHERE tenant_id = {THIS_TENANT} {_sampled("id", share)}"""
    schema: dict[str, Any] = {"contact_id": pl.String, "known_from": pl.Int64}
    return (await read_frame(connection, query, schema)).with_columns(utc("known_from"))


def _sampled(column: str, share: float) -> str:
    """A condition that holds for this share of ids: by 20 bits of their hash."""
    if share >= 1.0:
        return ""
    return f"AND (hashtextextended({column}::text, 0) & 1048575) < {int(share * 2**20)}"


async def list_consent_history(
    connection: AsyncConnection, purpose: str, until: datetime
) -> pl.DataFrame:
    """Return all rows of the ledger for a purpose up to `until`.

    Columns contact_id, channel, granted (bool), effective_at (UTC); in order of effect.
    """
    query = f"""SELECT contact_id::text, channel, status, {microseconds("effective_at")}
                  FROM keepwell.consents
                 WHERE purpose = {{purpose}} AND effective_at <= {{until}}
                 ORDER BY effective_at, id"""
    schema: dict[str, Any] = {
        "contact_id": pl.String,
        "channel": pl.String,
        "status": pl.String,
        "effective_at": pl.Int64,
    }
    frame = await read_frame(connection, query, schema, purpose=purpose, until=until)
    return frame.select(
        "contact_id", "channel", utc("effective_at"), granted=pl.col("status") == "granted"
    )


async def list_event_counts(connection: AsyncConnection, as_of: datetime) -> list[EventCount]:
    """Return every event type known at `as_of`, by name."""
    rows = await connection.execute(
        text(
            "SELECT type, count(*), count(DISTINCT contact_id), max(occurred_at) "
            "FROM keepwell.history WHERE occurred_at <= :as_of AND known_at <= :as_of "
            "GROUP BY type ORDER BY type"
        ),
        {"as_of": as_of},
    )
    return [
        EventCount(kind, events, contacts, at.astimezone(UTC))
        for kind, events, contacts, at in rows
    ]


async def find_newest_event(connection: AsyncConnection, as_of: datetime) -> datetime | None:
    """Return when the newest event known at `as_of` occurred (UTC); None without events."""
    found = await connection.scalar(
        text(
            "SELECT max(occurred_at) FROM keepwell.events "
            "WHERE occurred_at <= :as_of AND known_at <= :as_of"
        ),
        {"as_of": as_of},
    )
    return None if found is None else found.astimezone(UTC)
