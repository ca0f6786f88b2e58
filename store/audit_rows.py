"""The raw rows that the audit judges by, as frames; times are Datetime('us', 'UTC')."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from store.bulk import microseconds, read_frame, utc
from store.crm_access import THIS_TENANT

_PEOPLE = f"""
  LEFT JOIN crm_contacts c ON c.tenant_id = {THIS_TENANT} AND c.id = {{}}.contact_id
  LEFT JOIN crm_accounts a ON a.tenant_id = {THIS_TENANT} AND a.id = c.account_id
"""
_PERSON = """c.timezone, a.state, coalesce(c.mobile_phone, c.phone) AS phone,
  (SELECT g.number FROM keepwell.group_draws g WHERE g.contact_id = c.id) AS drawn"""


async def list_messages(connection: AsyncConnection, since: datetime) -> pl.DataFrame:
    """List what has left, or may have, since a moment.

    Columns: id, decision_id, contact_id, action, subject, purpose, channel, dedupe_key,
    content_source, household, letters (of the text), left_at (when the attempt began that was
    judged), accepted (attempts that a provider took), sent_events, timezone, state, phone, drawn.
    """
    query = f"""
      SELECT s.id::text, s.decision_id::text, s.contact_id::text, s.action, d.subject, s.purpose,
             s.channel, s.dedupe_key, s.content_source, s.household::text,
             coalesce(length(s.content ->> 'text'), 0),
             {microseconds("coalesce(t.started_at, s.sent_at)")}, coalesce(t.accepted, 0),
             (SELECT count(*) FROM keepwell.events e
               WHERE e.contact_id = s.contact_id AND e.type = 'message.sent'
                 AND e.decision_id = s.decision_id),
             {_PERSON}
        FROM keepwell.sends s
        JOIN keepwell.decisions d ON d.tenant_id = s.tenant_id AND d.id = s.decision_id
        LEFT JOIN (SELECT send_id, max(started_at) AS started_at,
                          count(*) FILTER (WHERE outcome = 'accepted') AS accepted
                     FROM keepwell.attempts GROUP BY send_id) t ON t.send_id = s.id
        {_PEOPLE.format("s")}
       WHERE s.state IN ('sent', 'unknown') AND coalesce(t.started_at, s.sent_at) >= {{since}}
    """
    frame = await read_frame(
        connection,
        query,
        {
            **dict.fromkeys(
                ("id", "decision_id", "contact_id", "action", "subject", "purpose", "channel",
                 "dedupe_key", "content_source", "household"),
                pl.String,
            ),
            "letters": pl.Int64,
            "left_at": pl.Int64,
            "accepted": pl.Int64,
            "sent_events": pl.Int64,
            **dict.fromkeys(("timezone", "state", "phone"), pl.String),
            "drawn": pl.Float64,
        },
        since=since,
    )  # fmt: skip
    return frame.with_columns(utc("left_at"))


async def list_choices(connection: AsyncConnection, since: datetime) -> pl.DataFrame:
    """List decisions that chose an action, made for a moment since `since`.

    Columns: id, contact_id, action, purpose, channel, at, leaves_at, policy_digest, group,
    timezone, state, phone.
    """
    query = f"""
      SELECT d.id::text, d.contact_id::text, d.action, d.purpose, d.channel,
             {microseconds("d.as_of")}, {microseconds("d.send_at")}, d.policy_data_digest,
             d.experiment_group, {_PERSON}
        FROM keepwell.decisions d {_PEOPLE.format("d")}
       WHERE d.action IS NOT NULL AND d.as_of >= {{since}}
    """
    frame = await read_frame(
        connection,
        query,
        {
            **dict.fromkeys(("id", "contact_id", "action", "purpose", "channel"), pl.String),
            "at": pl.Int64,
            "leaves_at": pl.Int64,
            **dict.fromkeys(("policy_digest", "group", "timezone", "state", "phone"), pl.String),
            "drawn": pl.Float64,
        },
        since=since,
    )
    return frame.with_columns(utc("at"), utc("leaves_at"))


async def list_ledger(connection: AsyncConnection) -> pl.DataFrame:
    """List the whole ledger of consent: contact_id, channel, purpose, status, at, id."""
    query = f"""SELECT contact_id::text, channel, purpose, status,
                       {microseconds("effective_at")}, id FROM keepwell.consents"""
    schema = {
        **dict.fromkeys(("contact_id", "channel", "purpose", "status"), pl.String),
        "at": pl.Int64,
        "id": pl.Int64,
    }
    return (await read_frame(connection, query, schema)).with_columns(utc("at"))


async def list_answers(connection: AsyncConnection, types: Sequence[str]) -> pl.DataFrame:
    """List what came back from contacts, by events of these types: contact_id, at."""
    query = f"""SELECT contact_id::text, {microseconds("occurred_at")} FROM keepwell.events
                 WHERE type = ANY({{types}}) AND contact_id IS NOT NULL"""
    schema: dict[str, Any] = {"contact_id": pl.String, "at": pl.Int64}
    return (await read_frame(connection, query, schema, types=list(types))).with_columns(utc("at"))


async def list_numbers(connection: AsyncConnection) -> pl.DataFrame:
    """List the versions of the policy: version, digest, numbers (JSON), at."""
    query = f"""SELECT version, digest, numbers, {microseconds("effective_at")}
                  FROM keepwell.policy_versions ORDER BY version"""
    schema = {"version": pl.Int64, "digest": pl.String, "numbers": pl.String, "at": pl.Int64}
    return (await read_frame(connection, query, schema)).with_columns(utc("at"))


async def list_reservations(connection: AsyncConnection) -> pl.DataFrame:
    """List what was reserved: decision_id, budget, period_start, cents, limit_cents, released."""
    query = """SELECT decision_id::text, budget, period_start::text, cents, limit_cents,
                      (released_at IS NOT NULL)::int FROM keepwell.budget_reservations"""
    schema = {
        **dict.fromkeys(("decision_id", "budget", "period_start"), pl.String),
        **dict.fromkeys(("cents", "limit_cents", "released"), pl.Int64),
    }
    return await read_frame(connection, query, schema)


async def list_balances(connection: AsyncConnection) -> pl.DataFrame:
    """List the balances: budget, period_start, used_cents."""
    query = "SELECT budget, period_start::text, used_cents FROM keepwell.budget_balances"
    schema = {"budget": pl.String, "period_start": pl.String, "used_cents": pl.Int64}
    return await read_frame(connection, query, schema)
