"""What happened to each contact since a moment, by the group it is decided in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.planning import without_nested_loops

_PER_CONTACT = text("""
  WITH grouped AS (
    SELECT DISTINCT ON (contact_id) contact_id, experiment_group, hazard_90d, as_of
      FROM keepwell.decisions WHERE as_of >= :since ORDER BY contact_id, as_of, id),
  happened AS (
    SELECT g.contact_id,
      count(*) FILTER (WHERE e.type = ANY(:bookings)) AS bookings,
      coalesce(sum(e.amount_cents) FILTER (WHERE e.type = ANY(:revenue)), 0) AS revenue_cents,
      count(*) FILTER (WHERE e.type = 'appointment.no_show') AS no_shows,
      count(*) FILTER (WHERE e.type IN ('complaint.opened', 'message.complained')) AS complaints
      FROM grouped g LEFT JOIN keepwell.events e
        ON e.contact_id = g.contact_id AND e.occurred_at >= g.as_of AND e.occurred_at < :until
     GROUP BY g.contact_id),
  attributed AS (
    SELECT g.contact_id, count(*) AS bookings, coalesce(sum(e.amount_cents), 0) AS revenue_cents
      FROM grouped g
      JOIN keepwell.decisions d ON d.contact_id = g.contact_id AND d.as_of >= :since
      JOIN keepwell.outcomes o ON o.tenant_id = d.tenant_id AND o.decision_id = d.id
       AND o.kind = 'goal' AND o.occurred_at < :until
      LEFT JOIN keepwell.events e ON e.tenant_id = o.tenant_id AND e.source = o.source
       AND e.external_id = o.external_id
     GROUP BY g.contact_id),
  health AS (
    SELECT DISTINCT ON (contact_id) contact_id, hazard_90d FROM customer_health_scores
     WHERE as_of < :until ORDER BY contact_id, as_of DESC)
  SELECT g.contact_id::text, g.experiment_group, g.hazard_90d, g.as_of,
    h.bookings, h.revenue_cents::double precision, h.no_shows, h.complaints,
    (SELECT count(DISTINCT c.channel) FROM keepwell.consents c
      WHERE c.contact_id = g.contact_id AND c.status = 'revoked'
        AND c.effective_at >= g.as_of AND c.effective_at < :until) AS opt_outs,
    coalesce(s.hazard_90d >= 1.0, false) AND coalesce(g.hazard_90d < 1.0, true) AS churned,
    coalesce(a.bookings, 0), coalesce(a.revenue_cents, 0)::double precision
    FROM grouped g JOIN happened h USING (contact_id)
    LEFT JOIN attributed a USING (contact_id) LEFT JOIN health s USING (contact_id)
   ORDER BY g.contact_id
""")
_SCHEMA: dict[str, Any] = {
    "contact_id": pl.String,
    "group": pl.String,
    "hazard_90d": pl.Float64,
    "since": pl.Datetime("us", "UTC"),
    "bookings": pl.Int64,
    "revenue_cents": pl.Float64,
    "no_shows": pl.Int64,
    "complaints": pl.Int64,
    "opt_outs": pl.Int64,
    "churned": pl.Boolean,
    "attributed_bookings": pl.Int64,
    "attributed_revenue_cents": pl.Float64,
}


async def list_contact_outcomes(
    connection: AsyncConnection,
    *,
    since: datetime,
    until: datetime,
    bookings: Sequence[str],
    revenue: Sequence[str],
) -> pl.DataFrame:
    """Return a row per contact decided for since then: its group, risk at first, and what followed.

    Counts start with the contact's first decision, whatever came of it: who would not have been
    written to counts as well (intention to treat). `churned` means past the contact's own limit of
    silence by the newest score, and not yet at first.
    """
    async with without_nested_loops(connection):
        rows = await connection.execute(
            _PER_CONTACT,
            {"since": since, "until": until, "bookings": list(bookings), "revenue": list(revenue)},
        )
    return pl.DataFrame([tuple(row) for row in rows], schema=_SCHEMA, orient="row")


async def count_recent_messages(connection: AsyncConnection, action: str, *, weeks: int) -> int:
    """Return how many messages of an action left in the last weeks."""
    found = await connection.scalar(
        text(
            "SELECT count(*) FROM keepwell.sends WHERE action = :action AND state = 'sent' "
            "AND sent_at >= keepwell.clock() - make_interval(weeks => :weeks)"
        ),
        {"action": action, "weeks": weeks},
    )
    return int(found or 0)
