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

HISTORY_DAYS = 1095  # three years: the longest rhythm any shipped rule looks back on is 18 months
SENDS_DAYS = 400  # a cooldown lasts a year at most
_LIVE_SEND = "state IN ('pending', 'sending', 'sent', 'unknown')"

_CONTACT_COLUMNS = """
  c.id::text AS contact_id, c.timezone, c.first_name, c.full_name, c.email,
  coalesce(c.mobile_phone, c.phone) AS mobile_phone, coalesce(c.phone, c.mobile_phone) AS phone,
  coalesce(c.do_not_email, false) AS do_not_email, coalesce(c.do_not_sms, false) AS do_not_sms,
  coalesce(c.do_not_call, false) AS do_not_call, c.lead_status, c.preferred_contact_method,
  EXISTS (SELECT FROM crm_campaign_memberships m
           WHERE m.tenant_id = c.tenant_id AND m.contact_id = c.id
             AND m.status = 'unsubscribed') AS unsubscribed,
  coalesce(c.custom_fields, '{}')::text AS custom_fields
"""

CONTACT_SQL = f"""
  SELECT {_CONTACT_COLUMNS},
    (SELECT coalesce(json_agg(json_build_array(e.type, {microseconds("e.occurred_at")},
              e.amount_cents, e.subject, {microseconds("e.starts_at")})), '[]')::text
       FROM keepwell.events e
      WHERE e.contact_id = c.id AND e.occurred_at <= :as_of AND e.occurred_at > :since
        AND e.known_at <= :as_of) AS events,
    (SELECT coalesce(json_agg(json_build_array(s.channel, s.purpose, s.status)), '[]')::text
       FROM (SELECT DISTINCT ON (channel, purpose) channel, purpose, status
               FROM keepwell.consents k
              WHERE k.contact_id = c.id AND k.effective_at <= :as_of
              ORDER BY channel, purpose, effective_at DESC, id DESC) s) AS consents,
    (SELECT coalesce(json_agg(json_build_array(s.action, s.purpose,
              {microseconds("coalesce(s.sent_at, s.next_at)")})), '[]')::text
       FROM keepwell.sends s
      WHERE s.contact_id = c.id AND s.decided_at < :as_of AND s.decided_at > :sends_since
        AND s.{_LIVE_SEND}) AS sends
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
    }


async def list_contacts(connection: AsyncConnection, as_of: datetime) -> pl.DataFrame:
    """Return all contacts known at `as_of`, by id: the columns of `get_profile_row` less history.

    The CRM's times are UTC without zone; a contact without one has always been there.
    """
    schema: dict[str, Any] = {
        "contact_id": pl.String,
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
        "unsubscribed": pl.String,
        "custom_fields": pl.String,
    }
    query = f"""SELECT {_CONTACT_COLUMNS.replace("'{}'", "'{{}}'")} FROM crm_contacts c
                 WHERE c.tenant_id = {THIS_TENANT}
                   AND (c.created_at IS NULL OR c.created_at <= {{as_of}}) ORDER BY c.id"""
    moment = as_of.astimezone(UTC).replace(tzinfo=None)
    frame = await read_frame(connection, query, schema, as_of=moment)
    flags = ("do_not_email", "do_not_sms", "do_not_call", "unsubscribed")
    return frame.with_columns(*(pl.col(flag) == "t" for flag in flags))


async def list_events(
    connection: AsyncConnection,
    as_of: datetime,
    types: Sequence[str],
    *,
    history_days: int = HISTORY_DAYS,
) -> pl.DataFrame:
    """Return the events of these types known at `as_of`: a frame with EVENT_COLUMNS."""
    query = f"""SELECT contact_id::text, type, {microseconds("occurred_at")}, amount_cents, subject,
                       {microseconds("starts_at")}
                  FROM keepwell.events
                 WHERE occurred_at <= {{as_of}} AND known_at <= {{as_of}}
                   AND occurred_at > {{since}} AND contact_id IS NOT NULL
                   AND type = ANY({{types}})"""
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
        },
        as_of=as_of,
        since=as_of - timedelta(days=history_days),
        types=list(types),
    )
    return frame.with_columns(utc("occurred_at"), utc("starts_at"))


async def list_consents(connection: AsyncConnection, as_of: datetime) -> pl.DataFrame:
    """Return the newest ledger row per contact, channel and purpose at `as_of`."""
    query = """SELECT DISTINCT ON (contact_id, channel, purpose)
                      contact_id::text, channel, purpose, status
                 FROM keepwell.consents WHERE effective_at <= {as_of}
                ORDER BY contact_id, channel, purpose, effective_at DESC, id DESC"""
    schema: dict[str, Any] = dict.fromkeys(
        ("contact_id", "channel", "purpose", "status"), pl.String
    )
    return await read_frame(connection, query, schema, as_of=as_of)


async def list_sends(connection: AsyncConnection, as_of: datetime) -> pl.DataFrame:
    """Return sends decided before `as_of` that went out or still may.

    Columns: contact_id, action, purpose, at_us (microseconds since 1970 UTC).
    """
    query = f"""SELECT contact_id::text, action, purpose,
                       {microseconds("coalesce(sent_at, next_at)")}
                  FROM keepwell.sends
                 WHERE decided_at < {{as_of}} AND decided_at > {{since}} AND {_LIVE_SEND}"""
    return await read_frame(
        connection,
        query,
        {"contact_id": pl.String, "action": pl.String, "purpose": pl.String, "at_us": pl.Int64},
        as_of=as_of,
        since=as_of - timedelta(days=SENDS_DAYS),
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
