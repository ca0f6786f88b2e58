"""Rows of customer_health_scores: one per contact and analysis, history kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId
from store.bulk import copy_in, read_frame
from store.crm_access import THIS_TENANT
from store.direct import find_row

HISTORY_ROWS = 30
RUN_KIND = "score"

_OVERRIDE = """
  SELECT o.id, o.health_score, o.risk_level, o.reason, o.author, o.made_at, o.expires_at
    FROM keepwell.health_overrides o
   WHERE o.contact_id = h.contact_id AND o.lifted_at IS NULL
     AND o.expires_at > keepwell.clock()
   ORDER BY o.id DESC LIMIT 1
"""
# whether the contact of h refused machines at a moment; see services/refuse_machines.py
_REFUSES = """
  SELECT 1 FROM (SELECT DISTINCT ON (k.purpose) k.status FROM keepwell.consents k
                  WHERE k.contact_id = {contact} AND k.channel = 'ai'
                    AND k.effective_at <= {at}
                  ORDER BY k.purpose, k.effective_at DESC, k.id DESC) w
   WHERE w.status = 'revoked'
"""
_REFUSES_NOW = _REFUSES.format(contact="h.contact_id", at="keepwell.clock()")
# everything about one contact's health in one round trip
_HEALTH = f"""
  SELECT (SELECT true FROM crm_contacts c WHERE c.tenant_id = {THIS_TENANT} AND c.id = :contact),
         (SELECT row_to_json(l)::text FROM customer_health_scores l WHERE l.contact_id = :contact
           ORDER BY l.as_of DESC NULLS LAST LIMIT 1),
         (SELECT json_agg(e)::text FROM (
            SELECT as_of, overall_health_score, churn_risk_level, hazard_90d, engagement_score,
                   satisfaction_score, payment_behavior_score, communication_responsiveness_score,
                   health_tier, model_version, override_id
              FROM customer_health_scores WHERE contact_id = :contact
             ORDER BY as_of DESC NULLS LAST LIMIT {HISTORY_ROWS}) e),
         (SELECT row_to_json(o)::text
            FROM (SELECT cast(:contact AS uuid) AS contact_id) h, LATERAL ({_OVERRIDE}) o),
         (SELECT EXISTS ({_REFUSES_NOW}) FROM (SELECT cast(:contact AS uuid) AS contact_id) h)
"""


@dataclass(frozen=True, slots=True)
class StoredHealth:
    """A contact's health as stored.

    Attributes:
        known: whether the tenant has such a contact.
        latest: all columns of the newest row; None before the first.
        history: the newest rows, newest first, less detail.
        override: the one in force; None without.
        refused: whether the contact refused to be judged by machines.
    """

    known: bool
    latest: dict[str, Any] | None
    history: list[dict[str, Any]]
    override: dict[str, Any] | None
    refused: bool


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


async def get_stored_health(connection: AsyncConnection, contact_id: ContactId) -> StoredHealth:
    """Return what is stored of a contact's health."""
    row = await find_row(connection, _HEALTH, {"contact": contact_id})
    known, latest, history, override, refused = row or (None, None, None, None, None)
    return StoredHealth(
        bool(known),
        None if latest is None else orjson.loads(latest),
        [] if history is None else orjson.loads(history),
        None if override is None else orjson.loads(override),
        bool(refused),
    )


async def list_refusals(connection: AsyncConnection, as_of: datetime) -> set[str]:
    """Return who had refused, by a moment, to be judged by machines."""
    query = """SELECT DISTINCT contact_id::text FROM (
                 SELECT DISTINCT ON (contact_id, purpose) contact_id, status
                   FROM keepwell.consents WHERE channel = 'ai' AND effective_at <= {as_of}
                  ORDER BY contact_id, purpose, effective_at DESC, id DESC) w
                WHERE status = 'revoked'"""
    found = await read_frame(connection, query, {"contact_id": pl.String}, as_of=as_of)
    return set(found["contact_id"])


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


async def list_levels_before(connection: AsyncConnection, as_of: datetime) -> pl.DataFrame:
    """Return contact_id and the level of each contact's newest score before `as_of`.

    Null where a person had set it: a model's level is compared with a model's.
    """
    query = """SELECT DISTINCT ON (contact_id) contact_id::text,
                      CASE WHEN override_id IS NULL THEN churn_risk_level END
                 FROM customer_health_scores WHERE as_of < {as_of} AND contact_id IS NOT NULL
                ORDER BY contact_id, as_of DESC"""
    schema: dict[str, Any] = {"contact_id": pl.String, "level": pl.String}
    return await read_frame(connection, query, schema, as_of=as_of)


async def list_scores_at(
    connection: AsyncConnection, as_of: datetime, columns: tuple[str, ...]
) -> pl.DataFrame:
    """Return contact_id and number columns of the scores of one analysis."""
    query = f"SELECT contact_id::text, {', '.join(columns)} FROM customer_health_scores "
    query += "WHERE as_of = {as_of} ORDER BY contact_id"
    schema: dict[str, Any] = {"contact_id": pl.String} | dict.fromkeys(columns, pl.Float64)
    return await read_frame(connection, query, schema, as_of=as_of)


async def find_newest_run(connection: AsyncConnection) -> datetime | None:
    """Return the moment of the newest analysis of all contacts that came to its end."""
    found: datetime | None = await connection.scalar(
        text("SELECT max(as_of) FROM keepwell.runs WHERE kind = :kind AND finished_at IS NOT NULL"),
        {"kind": RUN_KIND},
    )
    return found


async def list_at_risk(
    connection: AsyncConnection, as_of: datetime, *, limit: int = 10
) -> list[dict[str, Any]]:
    """Return who may still be kept: scored at `as_of`, most likely to leave first.

    Contacts past their limit have left already and are not among them.
    """
    return await list_risk_page(connection, RiskPage(as_of, limit=limit))


@dataclass(frozen=True, slots=True)
class RiskPage:
    """Which contacts of one analysis, by falling risk.

    Attributes:
        as_of: of the analysis.
        levels: only these; a person's word counts before the model's. None: all.
        least_risk: only from this P(churn within 90 days) on.
        with_left: also those who have left by definition (P = 1).
        after: full-precision risk and id of the last one of the page before.
    """

    as_of: datetime
    levels: tuple[str, ...] | None = None
    least_risk: float = 0.0
    with_left: bool = False
    after: tuple[float, str] | None = None
    limit: int = 50


async def list_risk_page(connection: AsyncConnection, page: RiskPage) -> list[dict[str, Any]]:
    """Return the page's rows with the override in force, if there is one."""
    left = "" if page.with_left else "AND h.hazard_90d < 1"
    after = (
        ""
        if page.after is None
        else "AND (h.hazard_90d < :risk OR (h.hazard_90d = :risk AND h.contact_id > :contact))"
    )
    level = "coalesce(o.risk_level, h.churn_risk_level)"
    levels = "" if page.levels is None else f"AND {level} = ANY(:levels)"
    rows = await connection.execute(
        text(
            f"SELECT row_to_json(h)::text, row_to_json(o)::text, {level} "
            f"FROM customer_health_scores h LEFT JOIN LATERAL ({_OVERRIDE}) o ON true "
            f"WHERE h.as_of = :as_of AND h.hazard_90d >= :least {left} {after} {levels} "
            f"AND NOT EXISTS ({_REFUSES_NOW}) "
            "ORDER BY h.hazard_90d DESC, h.contact_id LIMIT :limit"
        ),
        {
            "as_of": page.as_of,
            "least": page.least_risk,
            "limit": page.limit,
            **({} if page.levels is None else {"levels": list(page.levels)}),
            **({} if page.after is None else {"risk": page.after[0], "contact": page.after[1]}),
        },
    )
    return [
        {
            **orjson.loads(row),
            "override": None if override is None else orjson.loads(override),
            "churn_risk_level": shown,
        }
        for row, override, shown in rows
    ]
