"""The numbers that decide the experiment's groups: drawn once per contact, never changed."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.bulk import insert_frame, read_frame
from store.crm_access import THIS_TENANT


async def list_undrawn(connection: AsyncConnection, tenure_years: Sequence[int]) -> pl.DataFrame:
    """Return contacts without a number, by id: contact_id, stratum, decided ('t' or 'f').

    The stratum is the level of risk of the newest analysis and how long the CRM has known them.
    """
    query = f"""
      SELECT c.id::text, coalesce((SELECT h.churn_risk_level FROM customer_health_scores h
               WHERE h.tenant_id = c.tenant_id AND h.contact_id = c.id
               ORDER BY h.as_of DESC NULLS LAST LIMIT 1), 'unknown') || ' risk, known '
             || coalesce('from year ' || (SELECT max(y) FROM unnest({{years}}::int[]) y
                  WHERE c.created_at <= (keepwell.clock() AT TIME ZONE 'UTC')
                                          - make_interval(years => y))::text, 'lately'),
             EXISTS (SELECT FROM keepwell.decisions d
                      WHERE d.tenant_id = c.tenant_id AND d.contact_id = c.id)
        FROM crm_contacts c
       WHERE c.tenant_id = {THIS_TENANT} AND NOT EXISTS (
             SELECT FROM keepwell.group_draws g
              WHERE g.tenant_id = c.tenant_id AND g.contact_id = c.id)
       ORDER BY c.id"""
    schema: dict[str, Any] = dict.fromkeys(("contact_id", "stratum", "decided"), pl.String)
    return await read_frame(connection, query, schema, years=list(tenure_years))


async def count_drawn(connection: AsyncConnection) -> dict[str, int]:
    """Return how many contacts each stratum ever had."""
    rows = await connection.execute(
        text("SELECT stratum, count(*) FROM keepwell.group_draws GROUP BY stratum")
    )
    return {stratum: int(count) for stratum, count in rows}


async def add_draws(connection: AsyncConnection, draws: pl.DataFrame) -> int:
    """Store numbers: tenant_id, contact_id, number, stratum; a stored one stays."""
    return await insert_frame(
        connection, "keepwell.group_draws", draws, conflict="ON CONFLICT DO NOTHING"
    )


async def list_strata(
    connection: AsyncConnection, bounds: tuple[float, float, float]
) -> list[dict[str, Any]]:
    """Return each stratum's members by group; `bounds` are where holdout ends and others begin."""
    holdout, usual, random = bounds
    rows = await connection.execute(
        text(
            "SELECT stratum, count(*) AS contacts, "
            "count(*) FILTER (WHERE number < :holdout) AS holdout, "
            "count(*) FILTER (WHERE number >= :usual AND number < :random "
            "AND number >= :holdout) AS usual, "
            "count(*) FILTER (WHERE number >= :random AND number >= :holdout) AS random "
            "FROM keepwell.group_draws GROUP BY stratum ORDER BY stratum"
        ),
        {"holdout": holdout, "usual": usual, "random": random},
    )
    return [dict(row) for row in rows.mappings()]
