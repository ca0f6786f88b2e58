"""What is known at this moment of the people we are about to write to: asked just before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, SendId, TenantId


@dataclass(frozen=True, slots=True)
class Touch:
    """A message that has reached a contact, or may have."""

    send_id: SendId
    contact_id: ContactId
    purpose: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """A contact as a message needs it.

    Attributes:
        timezone: IANA name, None if the CRM has none.
        do_not: channels that the CRM's flags forbid.
        unsubscribed: from any of the CRM's campaigns.
        state: of the account's address, as the CRM spells it.
        drawn: stored number of the experiment's groups; None before it was drawn.
    """

    contact_id: ContactId
    email: str | None
    phone: str | None
    mobile_phone: str | None
    timezone: str | None
    do_not: frozenset[str]
    unsubscribed: bool
    state: str | None = None
    drawn: float | None = None


async def list_recipients(
    connection: AsyncConnection, tenant_id: TenantId, contact_ids: Sequence[ContactId]
) -> dict[ContactId, Recipient]:
    """Return those of the contacts that exist, by id."""
    rows = await connection.execute(
        text(
            "SELECT c.id, c.email, c.phone, c.mobile_phone, c.timezone, c.do_not_email, "
            "c.do_not_sms, c.do_not_call, EXISTS (SELECT FROM crm_campaign_memberships m "
            "WHERE m.tenant_id = c.tenant_id AND m.contact_id = c.id "
            "AND m.status = 'unsubscribed') AS unsubscribed, "
            "(SELECT a.state FROM crm_accounts a WHERE a.tenant_id = c.tenant_id "
            "AND a.id = c.account_id) AS state, "
            "(SELECT g.number FROM keepwell.group_draws g WHERE g.tenant_id = c.tenant_id "
            "AND g.contact_id = c.id) AS drawn "
            "FROM crm_contacts c WHERE c.tenant_id = :tenant_id "
            "AND c.id = ANY(cast(:contacts AS uuid[]))"
        ),
        {"tenant_id": tenant_id, "contacts": list(contact_ids)},
    )
    return {
        row.id: Recipient(
            contact_id=row.id,
            email=row.email,
            phone=row.phone,
            mobile_phone=row.mobile_phone,
            timezone=row.timezone,
            do_not=frozenset(
                channel
                for channel, forbidden in (
                    ("email", row.do_not_email),
                    ("sms", row.do_not_sms),
                    ("call_task", row.do_not_call),
                )
                if forbidden
            ),
            unsubscribed=row.unsubscribed,
            state=row.state,
            drawn=row.drawn,
        )
        for row in rows
    }


async def list_newest_events(
    connection: AsyncConnection,
    tenant_id: TenantId,
    contact_ids: Sequence[ContactId],
    *,
    since: datetime,
) -> dict[ContactId, dict[tuple[str, str | None], datetime]]:
    """Return, by contact, (type, subject) -> when the newest such event happened or became known.

    Only what happened or became known after `since`: a booking of last week that the CRM
    reported an hour ago is news to whatever was decided before.
    """
    rows = await connection.execute(
        text(
            "SELECT contact_id, type, subject, max(greatest(occurred_at, known_at)) "
            "FROM keepwell.events "
            "WHERE tenant_id = :tenant_id AND contact_id = ANY(cast(:contacts AS uuid[])) "
            "AND greatest(occurred_at, known_at) > :since "
            "GROUP BY contact_id, type, subject"
        ),
        {"tenant_id": tenant_id, "contacts": list(contact_ids), "since": since},
    )
    newest: dict[ContactId, dict[tuple[str, str | None], datetime]] = {}
    for contact_id, kind, subject, at in rows:
        newest.setdefault(contact_id, {})[kind, subject] = at
    return newest


async def list_touches(
    connection: AsyncConnection,
    tenant_id: TenantId,
    contact_ids: Sequence[ContactId],
    *,
    since: datetime,
) -> list[Touch]:
    """List what has reached the contacts since a moment, or may have: sent, sending, unknown."""
    rows = await connection.execute(
        text(
            "SELECT id, contact_id, purpose, at FROM ("
            "SELECT s.id, s.contact_id, s.purpose, coalesce(s.sent_at, (SELECT max(a.started_at) "
            "FROM keepwell.attempts a WHERE a.tenant_id = s.tenant_id AND a.send_id = s.id)) AS at "
            "FROM keepwell.sends s WHERE s.tenant_id = :tenant_id "
            "AND s.contact_id = ANY(cast(:contacts AS uuid[])) "
            "AND s.state IN ('sent', 'sending', 'unknown')) t WHERE at >= :since ORDER BY at, id"
        ),
        {"tenant_id": tenant_id, "contacts": list(contact_ids), "since": since},
    )
    return [Touch(*row) for row in rows]


async def list_newest_answers(
    connection: AsyncConnection,
    tenant_id: TenantId,
    contact_ids: Sequence[ContactId],
    *,
    types: Sequence[str],
    since: datetime,
) -> dict[ContactId, datetime]:
    """Return, by contact, when the newest event of any of these types happened since a moment."""
    rows = await connection.execute(
        text(
            "SELECT contact_id, max(occurred_at) FROM keepwell.events "
            "WHERE tenant_id = :tenant_id AND contact_id = ANY(cast(:contacts AS uuid[])) "
            "AND occurred_at > :since AND type = ANY(:types) GROUP BY contact_id"
        ),
        {
            "tenant_id": tenant_id,
            "contacts": list(contact_ids),
            "since": since,
            "types": list(types),
        },
    )
    return {contact: at for contact, at in rows}  # noqa: C416 - a Row is no pair to mypy


async def list_household_touches(
    connection: AsyncConnection,
    tenant_id: TenantId,
    households: Sequence[UUID],
    *,
    since: datetime,
) -> list[tuple[UUID, ContactId, str, datetime]]:
    """List what has gone to households, or may have: household, contact, action, when."""
    rows = await connection.execute(
        text(
            "SELECT household, contact_id, action, at FROM ("
            "SELECT s.household, s.contact_id, s.action, coalesce(s.sent_at, (SELECT "
            "max(a.started_at) FROM keepwell.attempts a WHERE a.tenant_id = s.tenant_id "
            "AND a.send_id = s.id)) AS at FROM keepwell.sends s "
            "WHERE s.tenant_id = :tenant_id AND s.household = ANY(cast(:households AS uuid[])) "
            "AND s.state IN ('sent', 'sending', 'unknown')) t WHERE at >= :since ORDER BY at"
        ),
        {"tenant_id": tenant_id, "households": list(households), "since": since},
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]
