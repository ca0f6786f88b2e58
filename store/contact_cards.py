"""The few facts of a contact that the read side shows."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId
from store.crm_access import THIS_TENANT
from store.profiles import contact_not_found

_CARD = text(
    "SELECT c.id::text, btrim(coalesce(c.first_name, '') || ' ' || coalesce(c.last_name, '')), "
    "c.timezone, coalesce(c.do_not_email, false), coalesce(c.do_not_sms, false), "
    "coalesce(c.do_not_call, false), "
    "ARRAY(SELECT x.external_id FROM keepwell.external_ids x WHERE x.tenant_id = c.tenant_id "
    "AND x.internal_id = c.id AND x.entity = 'contact' ORDER BY x.external_id) "
    "FROM crm_contacts c WHERE c.tenant_id = :tenant_id AND c.id = :id"
)


async def get_contact_card(
    connection: AsyncConnection, tenant_id: TenantId, contact_id: ContactId
) -> dict[str, Any]:
    """Return id, external_ids, name, timezone and which channels the CRM lets us use.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    result = await connection.execute(_CARD, {"tenant_id": tenant_id, "id": contact_id})
    row = result.first()
    if row is None:
        raise contact_not_found(str(contact_id))
    return {
        "id": row[0],
        "external_ids": list(row[6]),
        "name": row[1] or None,
        "timezone": row[2],
        "channels": {"email": not row[3], "sms": not row[4], "call": not row[5]},
    }


async def list_contact_names(
    connection: AsyncConnection, contact_ids: Sequence[UUID]
) -> dict[UUID, str]:
    """Return the names of these contacts; those without one are absent."""
    rows = await connection.execute(
        text(
            "SELECT c.id, btrim(coalesce(c.first_name, '') || ' ' || coalesce(c.last_name, '')) "
            f"FROM crm_contacts c WHERE c.tenant_id = {THIS_TENANT} AND c.id = ANY(:ids)"
        ),
        {"ids": list(contact_ids)},
    )
    return {row[0]: row[1] for row in rows if row[1]}
