"""What a sent message leaves behind: an event in our history, an activity in the CRM's."""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from store.sends import Send

SOURCE = "keepwell"


async def add_sent_event(connection: AsyncConnection, tenant_id: TenantId, send: Send) -> None:
    """Add the event message.sent, at this moment, tied to its decision."""
    properties = {"channel": send.channel, "action": send.action, "purpose": send.purpose}
    await connection.execute(
        text(
            "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, "
            "occurred_at, decision_id, properties) VALUES (:tenant_id, :source, :external_id, "
            ":contact_id, 'message.sent', keepwell.clock(), :decision_id, "
            "cast(:properties AS jsonb)) ON CONFLICT DO NOTHING"
        ),
        {
            "tenant_id": tenant_id,
            "source": SOURCE,
            "external_id": f"{send.id}:sent",
            "contact_id": send.contact_id,
            "decision_id": send.decision_id,
            "properties": orjson.dumps(properties).decode(),
        },
    )


async def add_message_activity(
    connection: AsyncConnection, tenant_id: TenantId, send: Send
) -> None:
    """Add the sent message to the CRM's activities; its trigger counts the interaction."""
    await _add_activity(connection, tenant_id, send, kind=send.channel, due_at=None)


async def add_task_activity(
    connection: AsyncConnection, tenant_id: TenantId, send: Send, *, due_at: datetime
) -> None:
    """Add an open task to the CRM's activities; its description is the script."""
    await _add_activity(connection, tenant_id, send, kind="task", due_at=due_at)


async def _add_activity(
    connection: AsyncConnection,
    tenant_id: TenantId,
    send: Send,
    *,
    kind: str,
    due_at: datetime | None,
) -> None:
    details: dict[str, Any] = {"decision_id": str(send.decision_id), "purpose": send.purpose}
    # the CRM's times have no zone and mean UTC
    await connection.execute(
        text(
            "INSERT INTO crm_activities (tenant_id, account_id, contact_id, activity_type, "
            "activity_subtype, subject, description, direction, channel, due_date, completed_at, "
            "is_completed, external_id, integration_source, integration_data, created_at, "
            "updated_at) SELECT :tenant_id, c.account_id, c.id, :kind, :subtype, :subject, "
            ":description, 'outbound', :channel, "
            "cast(:due_at AS timestamptz) AT TIME ZONE 'UTC', "
            "CASE WHEN :done THEN at.utc END, :done, :external_id, :source, "
            "cast(:details AS jsonb), at.utc, at.utc "
            "FROM crm_contacts c, (SELECT keepwell.clock() AT TIME ZONE 'UTC' AS utc) at "
            "WHERE c.tenant_id = :tenant_id AND c.id = :contact_id"
        ),
        {
            "tenant_id": tenant_id,
            "contact_id": send.contact_id,
            "kind": kind,
            "subtype": send.action,
            "subject": send.content.get("subject") or send.action.replace("_", " "),
            "description": send.content.get("text"),
            "channel": send.channel,
            "due_at": due_at,
            "done": due_at is None,
            "external_id": str(send.id),
            "source": SOURCE,
            "details": orjson.dumps(details).decode(),
        },
    )
