"""A contact's health: the latest score with reasons, and its history."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from store.health_scores import list_health_scores
from store.profiles import contact_not_found, find_contact, get_contact_id

_HIDDEN = frozenset({"id", "tenant_id", "created_at", "updated_at", "contact_id", "account_id"})
_HISTORY = ("as_of", "overall_health_score", "churn_risk_level", "hazard_90d", "model_version")


async def show_health(
    connection: AsyncConnection, tenant_id: TenantId, contact: str
) -> dict[str, Any]:
    """Return the contact's latest score, null before the first, and up to 30 earlier ones.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    contact_id = await get_contact_id(connection, contact)
    if not await find_contact(connection, contact_id):
        raise contact_not_found(contact)
    rows = await list_health_scores(connection, contact_id)
    latest = {k: v for k, v in rows[0].items() if k not in _HIDDEN} if rows else None
    return {
        "contact_id": str(contact_id),
        "tenant_id": str(tenant_id),
        "latest": latest,
        "history": [{name: row[name] for name in _HISTORY} for row in rows],
    }
