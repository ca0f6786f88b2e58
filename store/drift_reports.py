"""What looks at drift found, and the notice that people of the tenant get of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from store.crm_access import THIS_TENANT

# who is told: those who answer for the tenant
_ROLES = ("owner", "admin")


async def save_drift_report(
    connection: AsyncConnection,
    tenant_id: TenantId,
    as_of: datetime,
    model_digest: str | None,
    result: Mapping[str, Any],
    alerts: Sequence[str],
) -> None:
    """Keep a report; one of the same moment is replaced."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.drift_reports (tenant_id, as_of, model_digest, result, alerts) "
            "VALUES (:tenant, :as_of, :digest, cast(:result AS jsonb), cast(:alerts AS jsonb)) "
            "ON CONFLICT (tenant_id, as_of) DO UPDATE SET model_digest = excluded.model_digest, "
            "result = excluded.result, alerts = excluded.alerts, made_at = keepwell.clock()"
        ),
        {
            "tenant": tenant_id,
            "as_of": as_of,
            "digest": model_digest,
            "result": orjson.dumps(result).decode(),
            "alerts": orjson.dumps(list(alerts)).decode(),
        },
    )


async def list_monthly_reports(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Return the newest report of each month, newest month first."""
    rows = await connection.execute(
        text(
            "SELECT DISTINCT ON (date_trunc('month', as_of AT TIME ZONE 'UTC')) as_of, "
            "model_digest, result, alerts FROM keepwell.drift_reports "
            "ORDER BY date_trunc('month', as_of AT TIME ZONE 'UTC') DESC, as_of DESC LIMIT 24"
        )
    )
    return [dict(row) for row in rows.mappings()]


async def notify_people(
    connection: AsyncConnection,
    title: str,
    message: str,
    *,
    kind: str = "alert",
    about: str = "churn_model",
) -> int:
    """Add a notification of the CRM for each owner and admin; return how many there are."""
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
