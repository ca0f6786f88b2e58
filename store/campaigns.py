"""Campaigns of the CRM: what their rows say, what became of them, and their counters.

The CRM's times have no zone and mean UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.ids import TenantId
from store.crm_access import THIS_TENANT


class CampaignNotFound(NotFound):
    code = "campaign_not_found"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A row of `retention_campaigns`.

    Attributes:
        kind: churn_risk, lifecycle_stage, satisfaction_drop, or what somebody else wrote.
        scores: health scores it is for, (first, first after the last); None for no bound.
    """

    kind: str
    conditions: Any
    scores: tuple[int | None, int | None] | None
    learns: bool
    variants: Any
    timing: Any
    channels: Any


@dataclass(frozen=True, slots=True)
class Campaign:
    """A row of `crm_campaigns` with its trigger, if it has one.

    Attributes:
        scheduled_start, scheduled_end: aware, UTC.
        state, faults: what became of it when it was last taken in; None before.
        counters: the CRM's own, by column.
        prevented: contacts kept beyond those who would have stayed anyway, as last counted.
    """

    id: UUID
    name: str
    description: str
    campaign_type: str
    audience: Any
    content: Any
    status: str
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    trigger: Trigger | None
    state: str | None
    faults: list[str]
    counters: Mapping[str, int]
    prevented: int | None = None


COUNTERS = (
    "total_recipients",
    "emails_sent",
    "emails_delivered",
    "emails_opened",
    "emails_clicked",
    "sms_sent",
    "sms_delivered",
)
_TRIGGER = ("kind", "conditions", "scores", "learns", "variants", "timing", "channels")

_CAMPAIGNS = f"""
  SELECT c.id, c.name, coalesce(c.description, '') AS description, c.campaign_type,
         c.target_audience AS audience, c.content_template AS content,
         coalesce(c.status, 'draft') AS status,
         c.scheduled_start AT TIME ZONE 'UTC' AS scheduled_start,
         c.scheduled_end AT TIME ZONE 'UTC' AS scheduled_end,
         r.trigger_type AS kind, r.trigger_conditions AS conditions,
         lower(r.target_health_score_range) AS low, upper(r.target_health_score_range) AS high,
         r.target_health_score_range IS NOT NULL AS ranged,
         coalesce(r.ai_optimization_enabled, true) AS learns, r.content_variants AS variants,
         r.timing_optimization AS timing, r.channel_preferences AS channels,
         r.churn_prevention_count AS prevented, k.state, coalesce(k.faults, '[]') AS faults,
         {", ".join(f"coalesce(c.{name}, 0) AS {name}" for name in COUNTERS)}
    FROM crm_campaigns c
    LEFT JOIN LATERAL (SELECT * FROM retention_campaigns r
                        WHERE r.tenant_id = c.tenant_id AND r.base_campaign_id = c.id
                        ORDER BY r.created_at DESC, r.id LIMIT 1) r ON true
    LEFT JOIN keepwell.campaigns k ON k.tenant_id = c.tenant_id AND k.campaign_id = c.id
   WHERE c.tenant_id = {THIS_TENANT}
"""


async def list_campaigns(connection: AsyncConnection) -> list[Campaign]:
    """Return all campaigns, the newest first."""
    rows = await connection.execute(text(f"{_CAMPAIGNS} ORDER BY c.created_at DESC, c.id"))
    return [_campaign(dict(row)) for row in rows.mappings()]


async def find_campaign_ids(connection: AsyncConnection, name: str) -> list[UUID]:
    """Return the ids of campaigns of this name, the newest first."""
    rows = await connection.execute(
        text(
            f"SELECT id FROM crm_campaigns WHERE tenant_id = {THIS_TENANT} AND name = :name "
            "ORDER BY created_at DESC"
        ),
        {"name": name},
    )
    return [UUID(str(row[0])) for row in rows]


async def get_campaign(connection: AsyncConnection, campaign_id: UUID) -> Campaign:
    """Return one campaign.

    Raises:
        CampaignNotFound: unknown, or another tenant's.
    """
    rows = await connection.execute(text(f"{_CAMPAIGNS} AND c.id = :id"), {"id": campaign_id})
    row = rows.mappings().one_or_none()
    if row is None:
        raise CampaignNotFound(
            f"There is no campaign '{campaign_id}'.", hint="'keepwell campaigns list' lists them."
        )
    return _campaign(dict(row))


def _campaign(row: dict[str, Any]) -> Campaign:
    ranged, low, high = row.pop("ranged"), row.pop("low"), row.pop("high")
    row["scores"] = (low, high) if ranged else None
    told = {name: row.pop(name) for name in _TRIGGER}
    row["counters"] = {name: row.pop(name) for name in COUNTERS}
    trigger = None if told["kind"] is None else Trigger(**told)
    return Campaign(**row, trigger=trigger)


async def add_campaign(
    connection: AsyncConnection, tenant_id: TenantId, row: Mapping[str, Any]
) -> UUID:
    """Add a draft of a campaign; return its id. `row` has columns of `crm_campaigns`."""
    found = await connection.scalar(
        text(
            "INSERT INTO crm_campaigns (id, tenant_id, name, description, campaign_type, "
            "target_audience, content_template, status, scheduled_start, scheduled_end) VALUES "
            "(gen_random_uuid(), :tenant, :name, :description, :campaign_type, "
            "cast(:target_audience AS jsonb), cast(:content_template AS jsonb), 'draft', "
            "cast(:scheduled_start AS timestamptz) AT TIME ZONE 'UTC', "
            "cast(:scheduled_end AS timestamptz) AT TIME ZONE 'UTC') RETURNING id"
        ),
        {
            "tenant": tenant_id,
            **{
                name: _json(value) if name in {"target_audience", "content_template"} else value
                for name, value in row.items()
            },
        },
    )
    return UUID(str(found))


async def add_trigger(
    connection: AsyncConnection, tenant_id: TenantId, campaign_id: UUID, row: Mapping[str, Any]
) -> None:
    """Add the campaign's trigger; `row` has columns of `retention_campaigns`."""
    low, high = row["target_health_score_range"] or (None, None)
    await connection.execute(
        text(
            "INSERT INTO retention_campaigns (base_campaign_id, tenant_id, trigger_type, "
            "trigger_conditions, target_health_score_range, ai_optimization_enabled, "
            "content_variants, timing_optimization, channel_preferences) VALUES (:campaign, "
            ":tenant, :kind, cast(:conditions AS jsonb), CASE WHEN :ranged THEN "
            "int4range(cast(:low AS int), cast(:high AS int), '[]') END, :learns, "
            "cast(:variants AS jsonb), cast(:timing AS jsonb), cast(:channels AS jsonb))"
        ),
        {
            "campaign": campaign_id,
            "tenant": tenant_id,
            "kind": row["trigger_type"],
            "conditions": _json(row["trigger_conditions"]),
            "ranged": row["target_health_score_range"] is not None,
            "low": low,
            "high": high,
            "learns": row["ai_optimization_enabled"],
            "variants": _json(row["content_variants"]),
            "timing": _json(row["timing_optimization"]),
            "channels": _json(row["channel_preferences"]),
        },
    )


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


async def set_campaign_status(
    connection: AsyncConnection, campaign_id: UUID, status: str, *, now: datetime
) -> None:
    """Write the CRM's status, and when it really began or ended."""
    await connection.execute(
        text(
            "UPDATE crm_campaigns SET status = cast(:status AS varchar), actual_start = CASE "
            "WHEN :status = 'running' THEN coalesce(actual_start, at.utc) ELSE actual_start END, "
            "actual_end = CASE WHEN :status = 'completed' THEN at.utc ELSE actual_end END "
            "FROM (SELECT cast(:now AS timestamptz) AT TIME ZONE 'UTC' AS utc) at "
            f"WHERE tenant_id = {THIS_TENANT} AND id = :id"
        ),
        {"id": campaign_id, "status": status, "now": now},
    )


async def note_taken_in(
    connection: AsyncConnection,
    tenant_id: TenantId,
    campaign_id: UUID,
    *,
    rule: str,
    state: str,
    faults: Sequence[str],
) -> None:
    """Note what became of a campaign."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.campaigns (tenant_id, campaign_id, rule, state, faults) VALUES "
            "(:tenant, :id, :rule, :state, cast(:faults AS jsonb)) "
            "ON CONFLICT (tenant_id, campaign_id) DO UPDATE SET rule = excluded.rule, "
            "state = excluded.state, faults = excluded.faults, taken_in_at = keepwell.clock()"
        ),
        {
            "tenant": tenant_id,
            "id": campaign_id,
            "rule": rule,
            "state": state,
            "faults": orjson.dumps(list(faults)).decode(),
        },
    )


async def ask_members(
    connection: AsyncConnection, tenant_id: TenantId, campaign_id: UUID, trigger: str
) -> int:
    """Have workers look at every active member at once; return how many there are."""
    asked = await connection.execute(
        text(
            "INSERT INTO keepwell.due_checks (tenant_id, contact_id, check_at, trigger) "
            "SELECT :tenant, m.contact_id, keepwell.clock(), :trigger "
            "FROM crm_campaign_memberships m "
            f"WHERE m.tenant_id = {THIS_TENANT} AND m.campaign_id = :id AND m.status = 'active'"
        ),
        {"tenant": tenant_id, "id": campaign_id, "trigger": trigger},
    )
    return asked.rowcount
