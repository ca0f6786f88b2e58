"""Notifications of the CRM: what people of a tenant are told."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.crm_access import THIS_TENANT

# who is told: those who answer for the tenant
_ROLES = ("owner", "admin")


async def notify_people(
    connection: AsyncConnection,
    title: str,
    message: str,
    about: str = "churn_model",
    *,
    kind: str = "alert",
) -> int:
    """Add a notification for each owner and admin; return how many there are."""
    added = await connection.execute(
        text(
            "INSERT INTO notifications (tenant_id, user_id, title, message, notification_type, "
            "entity_type) SELECT tenant_id, user_id, :title, :message, :kind, :about "
            f"FROM tenant_users WHERE tenant_id = {THIS_TENANT} AND status = 'active' "
            "AND role = ANY(:roles)"
        ),
        {"title": title, "message": message, "kind": kind, "about": about, "roles": list(_ROLES)},
    )
    return added.rowcount
