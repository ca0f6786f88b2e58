"""Show who a contact is."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from store.contact_cards import get_contact_card
from store.profiles import get_contact_id


async def show_contact(
    connection: AsyncConnection, tenant_id: TenantId, contact: str
) -> dict[str, Any]:
    """Return id, external_ids, name, timezone and channels of our UUID or 'external:<id>'.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    contact_id = await get_contact_id(connection, contact)
    return await get_contact_card(connection, tenant_id, contact_id)
