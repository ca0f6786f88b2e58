"""Rows of customer_health_scores: one per contact and moment, history kept."""

from datetime import datetime
from typing import Any

import orjson
import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId
from store.bulk import copy_in


async def save_health_scores(connection: AsyncConnection, scores: pl.DataFrame) -> int:
    """Write scores, one row per contact and as_of; the same moment again replaces the row.

    Columns are named like the table's; jsonb columns hold JSON text. Returns the rows written.
    """
    columns = ", ".join(scores.columns)
    changed = ", ".join(
        f"{name} = excluded.{name}"
        for name in scores.columns
        if name not in {"tenant_id", "contact_id", "as_of"}
    )
    await connection.execute(text("DROP TABLE IF EXISTS pg_temp.new_scores"))
    await connection.execute(
        text(
            "CREATE TEMP TABLE new_scores ON COMMIT DROP AS "
            f"SELECT {columns} FROM customer_health_scores WITH NO DATA"
        )
    )
    await copy_in(connection, "new_scores", scores)
    result = await connection.execute(
        text(
            f"INSERT INTO customer_health_scores ({columns}) SELECT {columns} FROM new_scores "
            "ON CONFLICT (tenant_id, contact_id, as_of) "
            f"DO UPDATE SET {changed}, updated_at = keepwell.clock()"
        )
    )
    return result.rowcount


async def list_health_scores(
    connection: AsyncConnection, contact_id: ContactId, *, limit: int = 30
) -> list[dict[str, Any]]:
    """Return a contact's scores, newest first, as plain values."""
    rows = await connection.execute(
        text(
            "SELECT row_to_json(h)::text FROM customer_health_scores h "
            "WHERE contact_id = :contact ORDER BY as_of DESC NULLS LAST LIMIT :limit"
        ),
        {"contact": contact_id, "limit": limit},
    )
    return [orjson.loads(row[0]) for row in rows]


async def list_at_risk(
    connection: AsyncConnection, as_of: datetime, *, limit: int = 10
) -> list[dict[str, Any]]:
    """Return who may still be kept: scored at `as_of`, most likely to leave first.

    Contacts past their limit have left already and are not among them.
    """
    rows = await connection.execute(
        text(
            "SELECT row_to_json(h)::text FROM customer_health_scores h "
            "WHERE as_of = :as_of AND hazard_90d < 1 "
            "ORDER BY hazard_90d DESC, contact_id LIMIT :limit"
        ),
        {"as_of": as_of, "limit": limit},
    )
    return [orjson.loads(row[0]) for row in rows]
