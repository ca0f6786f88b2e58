"""Rows of communication_insights: one per contact, the newest only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId
from store.bulk import microseconds, read_frame, utc

_JSON = (
    "response_probability_by_channel",
    "email_engagement_pattern",
    "sms_engagement_pattern",
    "call_response_pattern",
    "detail",
)
_PLAIN = (
    "optimal_contact_time",
    "optimal_contact_day",
    "preferred_communication_channel",
    "next_contact_recommendation",
    "recommended_message_tone",
    "recommended_content_type",
    "prediction_accuracy_score",
)


async def list_messages(
    connection: AsyncConnection, as_of: datetime, *, since: datetime
) -> pl.DataFrame:
    """Return messages that left, with their first answer by `as_of`: `engine.insights` columns."""
    query = f"""SELECT s.contact_id::text, s.channel, s.purpose, coalesce(d.variant, ''),
        {microseconds("s.sent_at")}, coalesce(bool_or(o.kind = 'opened'), false),
        {microseconds("min(o.occurred_at) FILTER (WHERE o.kind IN ('clicked', 'replied', 'goal'))")}
      FROM keepwell.sends s
      JOIN keepwell.decisions d ON d.tenant_id = s.tenant_id AND d.id = s.decision_id
      LEFT JOIN keepwell.outcomes o ON o.tenant_id = s.tenant_id
       AND o.decision_id = s.decision_id AND o.occurred_at <= {{as_of}}
     WHERE s.state = 'sent' AND s.sent_at > {{since}} AND s.sent_at <= {{as_of}}
     GROUP BY s.contact_id, s.channel, s.purpose, d.variant, s.sent_at, s.id"""
    frame = await read_frame(
        connection,
        query,
        {
            "contact_id": pl.String,
            "channel": pl.String,
            "purpose": pl.String,
            "variant": pl.String,
            "sent_at": pl.Int64,
            "opened": pl.String,
            "answered_at": pl.Int64,
        },
        as_of=as_of,
        since=since,
    )
    return frame.with_columns(
        utc("sent_at"), utc("answered_at"), pl.col("opened") == "t", pl.col("variant").fill_null("")
    )


async def save_insights(
    connection: AsyncConnection, tenant_id: TenantId, rows: Sequence[dict[str, Any]], at: datetime
) -> int:
    """Write one row per contact in place of the one before; return how many."""
    if not rows:
        return 0
    names = (*_PLAIN, *_JSON)
    values = ", ".join(f"cast(:{n} AS jsonb)" if n in _JSON else f":{n}" for n in names)
    changed = ", ".join(f"{name} = excluded.{name}" for name in names)
    await connection.execute(
        text(
            f"INSERT INTO communication_insights (tenant_id, contact_id, {', '.join(names)}, "
            f"last_updated) VALUES (:tenant, :contact_id, {values}, :at) "
            f"ON CONFLICT (tenant_id, contact_id) DO UPDATE SET {changed}, "
            "last_updated = excluded.last_updated"
        ),
        [
            {
                "tenant": tenant_id,
                "at": at,
                "contact_id": row["contact_id"],
                **{name: row[name] for name in _PLAIN},
                **{name: orjson.dumps(row[name]).decode() for name in _JSON},
            }
            for row in rows
        ],
    )
    return len(rows)


async def find_insights(
    connection: AsyncConnection, contact_id: ContactId
) -> dict[str, Any] | None:
    """Return a contact's row as plain values, None before the first."""
    found = await connection.scalar(
        text(
            "SELECT row_to_json(i)::text FROM communication_insights i WHERE contact_id = :contact"
        ),
        {"contact": contact_id},
    )
    return None if found is None else orjson.loads(found)


async def find_last_insights(connection: AsyncConnection) -> datetime | None:
    """Return when insights were made last; None before the first time."""
    found: datetime | None = await connection.scalar(
        text("SELECT max(last_updated) FROM communication_insights")
    )
    return found
