"""Ratings of the customers' own texts: one per activity of the CRM."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId
from store.bulk import insert_frame
from store.crm_access import THIS_TENANT

# what a customer wrote or said: incoming, or of a kind that only customers write
_TEXT = "left(coalesce(nullif(a.description, ''), a.subject), 5000)"
_UNRATED = text(
    f"""
    SELECT a.id, a.contact_id, {_TEXT} AS words, a.created_at AT TIME ZONE 'UTC' AS written_at,
           sha256(convert_to({_TEXT}, 'UTF8')) AS words_sha256,
           CASE WHEN s.text_sha256 = sha256(convert_to({_TEXT}, 'UTF8')) THEN s.known_at END
             AS known_at
      FROM crm_activities a
      LEFT JOIN keepwell.activity_sentiment s
        ON s.tenant_id = a.tenant_id AND s.activity_id = a.id
     WHERE a.tenant_id = {THIS_TENANT} AND a.contact_id IS NOT NULL AND a.created_at IS NOT NULL
       AND {_TEXT} <> '' AND a.id > :after
       AND (lower(a.direction) IN ('inbound', 'incoming', 'in')
            OR lower(a.activity_type) IN ('review', 'feedback', 'survey'))
       AND (s.activity_id IS NULL OR s.model <> :model
            OR s.text_sha256 <> sha256(convert_to({_TEXT}, 'UTF8')))
     ORDER BY a.id LIMIT :limit
    """
)


@dataclass(frozen=True, slots=True)
class UnratedText:
    """A text nobody has rated, or another model, or that has changed since.

    Attributes:
        known_at: when it was first rated, if its words are still the same.
    """

    activity_id: UUID
    contact_id: ContactId
    words: str
    written_at: datetime
    words_sha256: bytes
    known_at: datetime | None


async def list_unrated(
    connection: AsyncConnection, model: str, *, after: UUID, limit: int
) -> list[UnratedText]:
    """Return the next texts to rate, by the activity's id."""
    rows = await connection.execute(_UNRATED, {"model": model, "after": after, "limit": limit})
    return [UnratedText(*row) for row in rows]


async def save_ratings(
    connection: AsyncConnection, tenant_id: TenantId, ratings: pl.DataFrame
) -> int:
    r"""Write ratings, replacing earlier ones of the same activities.

    Columns: activity_id, contact_id, model, score, positive_probability, text_sha256 (as \x hex),
    written_at, known_at.
    """
    rows = ratings.with_columns(pl.lit(str(tenant_id)).alias("tenant_id"))
    changed = ", ".join(
        f"{name} = excluded.{name}"
        for name in rows.columns
        if name not in {"tenant_id", "activity_id"}
    )
    return await insert_frame(
        connection,
        "keepwell.activity_sentiment",
        rows,
        conflict=f"ON CONFLICT (tenant_id, activity_id) DO UPDATE SET {changed}, "
        "rated_at = keepwell.clock()",
    )


async def count_ratings(connection: AsyncConnection) -> dict[str, Any]:
    """Return how many texts are rated, and of how many nothing can be said."""
    row = (
        await connection.execute(
            text(
                "SELECT count(*) AS texts, count(*) FILTER (WHERE score IS NULL) AS abstained, "
                "count(*) FILTER (WHERE score > 0) AS positive, "
                "count(*) FILTER (WHERE score < 0) AS negative FROM keepwell.activity_sentiment"
            )
        )
    ).one()
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row by columns


async def list_ratings(connection: AsyncConnection, contact_id: ContactId) -> list[dict[str, Any]]:
    """Return a contact's ratings, newest first, 20 at most."""
    rows = await connection.execute(
        text(
            "SELECT activity_id::text, written_at, model, score, positive_probability "
            "FROM keepwell.activity_sentiment WHERE contact_id = :contact "
            "ORDER BY written_at DESC LIMIT 20"
        ),
        {"contact": contact_id},
    )
    return [dict(row) for row in rows.mappings()]
