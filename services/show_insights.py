"""A contact's communication insights."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from store.insights import find_insights
from store.profiles import contact_not_found, find_contact, get_contact_id

_HIDDEN = frozenset({"id", "tenant_id", "contact_id", "created_at"})


async def show_insights(connection: AsyncConnection, contact: str) -> dict[str, Any]:
    """Return what is known of reaching the contact, null before the first night.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    contact_id = await get_contact_id(connection, contact)
    if not await find_contact(connection, contact_id):
        raise contact_not_found(contact)
    row = await find_insights(connection, contact_id)
    latest = None if row is None else {k: v for k, v in row.items() if k not in _HIDDEN}
    return {"contact_id": str(contact_id), "latest": latest}
