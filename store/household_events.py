"""What happened to the other members of a contact's account."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.contact import HistoryEvent
from engine.ids import ContactId
from store.crm_access import THIS_TENANT
from store.profiles import HISTORY_DAYS

# those who are known at the moment, as in a run over all contacts
_OTHERS = f"""
  FROM crm_contacts m
 WHERE m.tenant_id = {THIS_TENANT} AND m.account_id = cast(:account AS uuid)
   AND m.id <> cast(:contact AS uuid)
   AND (m.created_at IS NULL OR m.created_at <= cast(:known AS timestamp))
"""
_EVENTS = text(f"""
  SELECT e.contact_id::text, e.type, e.occurred_at FROM keepwell.history e
   WHERE e.contact_id IN (SELECT m.id {_OTHERS}) AND e.type = ANY(:types)
     AND e.occurred_at <= :as_of AND e.known_at <= :as_of AND e.occurred_at > :since
""")
_NAMES = text(f"SELECT m.id::text, m.first_name {_OTHERS} ORDER BY m.first_name, m.id")


async def list_member_events(
    connection: AsyncConnection,
    contact_id: ContactId,
    account_id: str,
    as_of: datetime,
    types: Sequence[str],
) -> list[HistoryEvent]:
    """Return the events of these types of the account's other contacts, known at `as_of`."""
    rows = await connection.execute(
        _EVENTS,
        _values(contact_id, account_id, as_of)
        | {"types": list(types), "as_of": as_of, "since": as_of - timedelta(days=HISTORY_DAYS)},
    )
    return [
        HistoryEvent(kind, occurred_at.astimezone(UTC), member=member)
        for member, kind, occurred_at in rows
    ]


async def list_member_names(
    connection: AsyncConnection, contact_id: ContactId, account_id: str, as_of: datetime
) -> dict[str, str | None]:
    """Return the first names of the account's other contacts known at `as_of`, by contact id."""
    rows = await connection.execute(_NAMES, _values(contact_id, account_id, as_of))
    return {row[0]: row[1] for row in rows}


def _values(contact_id: ContactId, account_id: str, as_of: datetime) -> dict[str, Any]:
    known = as_of.astimezone(UTC).replace(tzinfo=None)  # the CRM's times are UTC without zone
    return {"contact": str(contact_id), "account": account_id, "known": known}
