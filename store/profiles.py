"""What is known of contacts at a moment: rows of the CRM, events, consent and earlier sends.

A row is known at `as_of` when it happened and was learnt at or before it. Sends decided at `as_of`
itself are left out, so the same moment can be decided again with the same result.

Queries of the CRM's tables name the tenant although row-level security does: an adopted CRM may
have it off.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import ContactNotFound
from engine.ids import ContactId
from store.bulk import microseconds, read_frame, utc
from store.crm_access import THIS_TENANT
from store.plan_marks import MARKS_ORDER, MARKS_SQL

HISTORY_DAYS = 7305  # twenty years: rules about equipment look back to its installation
SENDS_DAYS = 400  # a cooldown lasts a year at most
_LIVE_SEND = "state IN ('pending', 'sending', 'sent', 'unknown')"

_CONTACT_COLUMNS = """
  c.id::text AS contact_id, c.account_id::text AS account_id,
  c.timezone, c.first_name, c.full_name, c.email,
  coalesce(c.mobile_phone, c.phone) AS mobile_phone, coalesce(c.phone, c.mobile_phone) AS phone,
  coalesce(c.do_not_email, false) AS do_not_email, coalesce(c.do_not_sms, false) AS do_not_sms,
  coalesce(c.do_not_call, false) AS do_not_call, c.lead_status, c.preferred_contact_method,
  c.job_title, c.department, c.lead_source,
  EXISTS (SELECT FROM crm_campaign_memberships m
           WHERE m.tenant_id = c.tenant_id AND m.contact_id = c.id
             AND m.status = 'unsubscribed') AS unsubscribed,
  (SELECT string_agg(m.campaign_id::text, chr(10) ORDER BY m.campaign_id)
     FROM crm_campaign_memberships m
    WHERE m.tenant_id = c.tenant_id AND m.contact_id = c.id AND m.status = 'active') AS campaigns,
  coalesce(c.custom_fields, '{}')::text AS custom_fields,
  (SELECT json_build_object('name', a.name, 'industry', a.industry, 'city', a.city,
            'business_type', a.business_type, 'state', a.state, 'postal_code', a.postal_code,
            'country', a.country, 'custom_fields', a.custom_fields)::text
     FROM crm_accounts a WHERE a.tenant_id = c.tenant_id AND a.id = c.account_id) AS account,
  (SELECT s.stage_name FROM customer_journey_progress p
     JOIN customer_journey_stages s ON s.id = p.journey_stage_id
    WHERE p.tenant_id = c.tenant_id AND p.contact_id = c.id AND p.entered_stage_date <= :as_of
      AND (p.actual_exit_date IS NULL OR p.actual_exit_date > :as_of)
    ORDER BY p.entered_stage_date DESC, p.id DESC LIMIT 1) AS journey_stage,
  (SELECT h.overall_health_score FROM customer_health_scores h
    WHERE h.tenant_id = c.tenant_id AND h.contact_id = c.id
      AND h.as_of <= :as_of - interval '14 days' AND h.as_of > :as_of - interval '28 days'
    ORDER BY h.as_of DESC LIMIT 1) AS score_14d_ago,
  (SELECT g.number FROM keepwell.group_draws g
    WHERE g.tenant_id = c.tenant_id AND g.contact_id = c.id AND g.drawn_at <= :as_of) AS drawn
"""
# a send with what its cooldown is counted by
_SENDS = """
  FROM keepwell.sends s
  JOIN keepwell.decisions d ON d.tenant_id = s.tenant_id AND d.id = s.decision_id
"""
# Promised, and never left, or came back: what is decided anew is worth less, and an address that
# was refused is not written to again.
_BLOCKED_DAYS = 60
_BLOCKED = f"""
  SELECT s.contact_id, d.rule, d.subject, {microseconds("s.decided_at")} AS since_us,
         s.channel, s.recipient, s.state <> 'suppressed' AND s.reason IS DISTINCT FROM 'expired'
           AND (s.state <> 'failed' OR s.reason IN ('message_unsendable', 'provider_refused'))
           AS refused {_SENDS}
   WHERE s.decided_at < :as_of AND s.decided_at > :blocked_since
     AND (s.state IN ('suppressed', 'failed') OR EXISTS (
       SELECT FROM keepwell.events e WHERE e.contact_id = s.contact_id
          AND e.decision_id = s.decision_id AND e.type = 'message.bounced'
          AND e.occurred_at <= :as_of AND e.known_at <= :as_of))
"""

CONTACT_SQL = f"""
  SELECT {_CONTACT_COLUMNS},
    (SELECT coalesce(json_agg(json_build_array(e.type, {microseconds("e.occurred_at")},
              e.amount_cents, e.subject, {microseconds("e.starts_at")}, e.value,
              CASE WHEN e.properties <> '{{}}' THEN e.properties::text END)), '[]')::text
       FROM keepwell.history e
      WHERE e.contact_id = c.id AND e.occurred_at <= :as_of AND e.occurred_at > :since
        AND e.known_at <= :as_of) AS events,
    (SELECT coalesce(json_agg(json_build_array(s.channel, s.purpose, s.status)), '[]')::text
       FROM (SELECT DISTINCT ON (channel, purpose) channel, purpose, status
               FROM keepwell.consents k
              WHERE k.contact_id = c.id AND k.effective_at <= :as_of
              ORDER BY channel, purpose, effective_at DESC, id DESC) s) AS consents,
    (SELECT coalesce(json_agg(json_build_array(s.action, s.purpose,
              {microseconds("coalesce(s.sent_at, s.next_at)")}, d.rule, d.subject)), '[]')::text
       {_SENDS}
      WHERE s.contact_id = c.id AND s.decided_at < :as_of AND s.decided_at > :sends_since
        AND s.{_LIVE_SEND}) AS sends,
    (SELECT coalesce(json_agg(json_build_array(s.action, s.purpose, s.contact_id,
              {microseconds("coalesce(s.sent_at, s.next_at)")})), '[]')::text
       FROM keepwell.sends s
      WHERE s.household = c.account_id AND s.contact_id <> c.id AND s.decided_at < :as_of
        AND s.decided_at > :sends_since AND s.{_LIVE_SEND}) AS household_sends,
    (SELECT coalesce(json_agg(json_build_array(budget, period_start, used_cents)), '[]')::text
       FROM keepwell.budget_balances) AS budgets_used,
    (SELECT coalesce(json_agg(json_build_array(b.rule, b.subject, b.since_us,
              b.channel, b.recipient, b.refused)), '[]')::text
       FROM ({_BLOCKED} AND s.contact_id = c.id) b) AS blocked,
    (SELECT coalesce(json_agg(json_build_array(m.rule, m.subject, m.verdict)), '[]')::text
       FROM ({MARKS_SQL} AND contact_id = c.id {MARKS_ORDER}) m) AS marks
    FROM crm_contacts c WHERE c.tenant_id = {THIS_TENANT} AND c.id = :contact
"""
_ONE = text(CONTACT_SQL)


async def get_contact_id(connection: AsyncConnection, contact: str) -> ContactId:
    """Return the contact's id from our own UUID or 'external:<id>'.

    A UUID is returned unchecked; `get_profile_row` tells whether such a contact exists.

    Raises:
        ContactNotFound: no such external id, or neither form.
    """
    kind, _, external = contact.partition(":")
    found: UUID | None = None
    if kind == "external" and external and _storable(external):
        found = await connection.scalar(
            text(
                "SELECT internal_id FROM keepwell.external_ids "
                "WHERE entity = 'contact' AND external_id = :external"
            ),
            {"external": external},
        )
    else:
        try:
            found = UUID(contact)
        except ValueError:
            found = None
    if found is None:
        raise contact_not_found(contact)
    return ContactId(found)


def _storable(words: str) -> bool:
    """PostgreSQL's text holds neither NUL nor half a surrogate pair, so no row can match them."""
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in words)


def contact_not_found(contact: str) -> ContactNotFound:
    """Return the one error for an unknown contact and for another tenant's."""
    return ContactNotFound(
        f"There is no contact '{contact}'.",
        hint="Use the contact's id, or external:<id> with the id of the imported file.",
    )


async def get_profile_row(
    connection: AsyncConnection, contact_id: ContactId, as_of: datetime
) -> dict[str, Any]:
    """Return all that is known of one contact at `as_of` in one round trip.

    `events`, `consents`, `sends` and `custom_fields` are JSON texts; times in them are
    microseconds since 1970 UTC.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    found = await connection.execute(_ONE, contact_values(contact_id, as_of))
    row = found.mappings().one_or_none()
    if row is None:
        raise contact_not_found(str(contact_id))
    return dict(row)


def contact_values(contact_id: ContactId, as_of: datetime) -> dict[str, object]:
    """Return the parameters of CONTACT_SQL."""
    return {
        "contact": contact_id,
        "as_of": as_of,
        "since": as_of - timedelta(days=HISTORY_DAYS),
        "sends_since": as_of - timedelta(days=SENDS_DAYS),
        "blocked_since": as_of - timedelta(days=_BLOCKED_DAYS),
    }


async def list_contact_ids(connection: AsyncConnection, as_of: datetime) -> pl.DataFrame:
    """Return contact_id and account_id of all contacts known at `as_of`, by id."""
    query = f"""SELECT c.id::text, c.account_id::text FROM crm_contacts c
                 WHERE {_KNOWN_CONTACT} ORDER BY c.id"""
    schema: dict[str, Any] = {"contact_id": pl.String, "account_id": pl.String}
    return await read_frame(connection, query, schema, as_of=_crm_time(as_of))


async def list_contacts(
    connection: AsyncConnection, as_of: datetime, ids: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return the contacts known at `as_of`, by id: the columns of `get_profile_row` less history.

    With `ids` only those of them. A contact of which the CRM does not know since when has always
    been there.
    """
    schema: dict[str, Any] = {
        "contact_id": pl.String,
        "account_id": pl.String,
        "timezone": pl.String,
        "first_name": pl.String,
        "full_name": pl.String,
        "email": pl.String,
        "mobile_phone": pl.String,
        "phone": pl.String,
        "do_not_email": pl.String,
        "do_not_sms": pl.String,
        "do_not_call": pl.String,
        "lead_status": pl.String,
        "preferred_contact_method": pl.String,
        "job_title": pl.String,
        "department": pl.String,
        "lead_source": pl.String,
        "unsubscribed": pl.String,
        "campaigns": pl.String,
        "custom_fields": pl.String,
        "account": pl.String,
        "journey_stage": pl.String,
        "score_14d_ago": pl.Int64,
        "drawn": pl.Float64,
    }
    columns = _CONTACT_COLUMNS.replace("'{}'", "'{{}}'").replace(":as_of", "{moment}")
    query = f"""SELECT {columns} FROM crm_contacts c
                 WHERE {_KNOWN_CONTACT} {_among("c.id", ids)} ORDER BY c.id"""
    frame = await read_frame(
        connection, query, schema, as_of=_crm_time(as_of), moment=as_of, ids=_uuids(ids)
    )
    flags = ("do_not_email", "do_not_sms", "do_not_call", "unsubscribed")
    return frame.with_columns(*(pl.col(flag) == "t" for flag in flags))


_KNOWN_CONTACT = (
    f"c.tenant_id = {THIS_TENANT} AND (c.created_at IS NULL OR c.created_at <= {{as_of}})"
)


def _crm_time(moment: datetime) -> datetime:
    """As the CRM writes it: UTC without zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _among(column: str, ids: Sequence[str] | None) -> str:
    """A condition that holds for these ids, for all if there are none to compare with."""
    return "" if ids is None else f"AND {column} = ANY({{ids}}::uuid[])"


def _uuids(ids: Sequence[str] | None) -> list[str]:
    return list(ids or ())


async def list_events(
    connection: AsyncConnection,
    as_of: datetime,
    types: Sequence[str],
    *,
    history_days: int = HISTORY_DAYS,
    told_by: Sequence[str] = (),
    ids: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return the events of these types known at `as_of`: a frame with EVENT_COLUMNS.

    Those of `told_by` have their properties. With `ids` only those of these contacts.
    """
    told = "CASE WHEN type = ANY({told_by}) AND properties <> '{{}}' THEN properties::text END"
    query = f"""SELECT contact_id::text, type, {microseconds("occurred_at")}, amount_cents, subject,
                       {microseconds("starts_at")}, value, {told if told_by else "NULL"}
                  FROM keepwell.history
                 WHERE occurred_at <= {{as_of}} AND known_at <= {{as_of}}
                   AND occurred_at > {{since}} AND contact_id IS NOT NULL
                   AND type = ANY({{types}}) {_among("contact_id", ids)}"""
    frame = await read_frame(
        connection,
        query,
        {
            "contact_id": pl.String,
            "type": pl.String,
            "occurred_at": pl.Int64,
            "amount_cents": pl.Int64,
            "subject": pl.String,
            "starts_at": pl.Int64,
            "value": pl.Float64,
            "properties": pl.String,
        },
        as_of=as_of,
        since=as_of - timedelta(days=history_days),
        types=list(types),
        told_by=list(told_by),
        ids=_uuids(ids),
    )
    return frame.with_columns(utc("occurred_at"), utc("starts_at"))


async def list_consents(
    connection: AsyncConnection, as_of: datetime, ids: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return the newest ledger row per contact, channel and purpose at `as_of`."""
    query = f"""SELECT DISTINCT ON (contact_id, channel, purpose)
                      contact_id::text, channel, purpose, status
                 FROM keepwell.consents WHERE effective_at <= {{as_of}} {_among("contact_id", ids)}
                ORDER BY contact_id, channel, purpose, effective_at DESC, id DESC"""
    schema: dict[str, Any] = dict.fromkeys(
        ("contact_id", "channel", "purpose", "status"), pl.String
    )
    return await read_frame(connection, query, schema, as_of=as_of, ids=_uuids(ids))


async def list_sends(
    connection: AsyncConnection, as_of: datetime, ids: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return sends decided before `as_of` that went out or still may.

    Columns: contact_id, action, purpose, at_us (microseconds since 1970 UTC), rule, subject,
    household.
    """
    query = f"""SELECT s.contact_id::text, s.action, s.purpose,
                       {microseconds("coalesce(s.sent_at, s.next_at)")}, d.rule, d.subject,
                       s.household::text
                  {_SENDS}
                 WHERE s.decided_at < {{as_of}} AND s.decided_at > {{since}} AND s.{_LIVE_SEND}
                       {_among("s.contact_id", ids)}"""
    return await read_frame(
        connection,
        query,
        {
            "contact_id": pl.String,
            "action": pl.String,
            "purpose": pl.String,
            "at_us": pl.Int64,
            "rule": pl.String,
            "subject": pl.String,
            "household": pl.String,
        },
        as_of=as_of,
        since=as_of - timedelta(days=SENDS_DAYS),
        ids=_uuids(ids),
    )


async def list_blocked(
    connection: AsyncConnection, as_of: datetime, ids: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return what was promised before `as_of` and never left, or came back.

    Columns: contact_id, rule, subject, since_us (microseconds since 1970 UTC), channel, recipient,
    refused ('t': the address was refused, or the message bounced).
    """
    query = _BLOCKED.replace(":as_of", "{as_of}").replace(":blocked_since", "{since}")
    query = query.replace("s.contact_id, d.rule", "s.contact_id::text, d.rule")
    return await read_frame(
        connection,
        f"{query} {_among('s.contact_id', ids)}",
        {
            "contact_id": pl.String,
            "rule": pl.String,
            "subject": pl.String,
            "since_us": pl.Int64,
            "channel": pl.String,
            "recipient": pl.String,
            "refused": pl.String,
        },
        as_of=as_of,
        since=as_of - timedelta(days=_BLOCKED_DAYS),
        ids=_uuids(ids),
    )


async def find_contact(connection: AsyncConnection, contact_id: ContactId) -> bool:
    """Tell whether the contact exists in this tenant."""
    found = await connection.scalar(
        text(f"SELECT true FROM crm_contacts WHERE tenant_id = {THIS_TENANT} AND id = :id"),
        {"id": contact_id},
    )
    return bool(found)


async def list_names(connection: AsyncConnection) -> dict[str, str]:
    """Return full names by contact id, of those who have one."""
    rows = await connection.execute(
        text("SELECT id::text, full_name FROM crm_contacts WHERE full_name <> ''")
    )
    return {row[0]: row[1] for row in rows}
