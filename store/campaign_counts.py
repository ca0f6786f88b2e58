"""What the messages of campaigns came to, and the CRM's counters, which get it exactly once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from store.campaigns import COUNTERS
from store.crm_access import THIS_TENANT

# What our own messages of a campaign came to. A machine's open is no outcome; a goal that was taken
# back later counts no more.
_OURS = """
  WITH sent AS (
    SELECT s.contact_id, s.channel, s.decision_id, s.sent_at, d.rule,
           EXISTS (SELECT FROM keepwell.events e WHERE e.contact_id = s.contact_id
                      AND e.decision_id = s.decision_id AND e.type = 'message.bounced') AS bounced,
           coalesce(o.opened, false) AS opened, coalesce(o.clicked, false) AS clicked,
           coalesce(o.answered, false) AS answered,
           coalesce(o.reached AND w.reward >= 1, false) AS converted, o.last_at, c.if_left,
           c.value_cents
      FROM keepwell.sends s
      JOIN keepwell.decisions d ON d.tenant_id = s.tenant_id AND d.id = s.decision_id
      LEFT JOIN keepwell.rewards w ON w.tenant_id = s.tenant_id AND w.decision_id = s.decision_id
      LEFT JOIN LATERAL (
        SELECT bool_or(kind IN ('opened', 'clicked')) AS opened,
               bool_or(kind = 'clicked') AS clicked,
               bool_or(kind IN ('clicked', 'replied', 'goal')) AS answered,
               bool_or(kind = 'goal') AS reached, max(occurred_at) AS last_at
          FROM keepwell.outcomes o
         WHERE o.tenant_id = s.tenant_id AND o.decision_id = s.decision_id) o ON true
      LEFT JOIN LATERAL (
        SELECT if_left, value_cents FROM keepwell.candidates c
         WHERE c.tenant_id = s.tenant_id AND c.decision_id = s.decision_id AND c.action = s.action
         ORDER BY c.position LIMIT 1) c ON true
     WHERE s.state = 'sent' AND s.action = :action
  )
"""
_TOTALS = f"""{_OURS}
  SELECT count(DISTINCT contact_id) AS total_recipients,
         count(*) FILTER (WHERE channel = 'email') AS emails_sent,
         count(*) FILTER (WHERE channel = 'email' AND NOT bounced) AS emails_delivered,
         count(*) FILTER (WHERE channel = 'email' AND opened) AS emails_opened,
         count(*) FILTER (WHERE channel = 'email' AND clicked) AS emails_clicked,
         count(*) FILTER (WHERE channel = 'sms') AS sms_sent,
         count(*) FILTER (WHERE channel = 'sms' AND NOT bounced) AS sms_delivered,
         count(*) AS messages, count(*) FILTER (WHERE answered) AS answered,
         count(*) FILTER (WHERE converted) AS converted,
         coalesce(sum(converted::int - coalesce(if_left, 0)), 0)::float8 AS beyond,
         coalesce(sum((converted::int - coalesce(if_left, 0)) * value_cents), 0)::float8
           AS beyond_cents
    FROM sent
"""
_MEMBERS = f"""{_OURS}
  INSERT INTO crm_campaign_memberships AS m (id, tenant_id, campaign_id, contact_id, status,
         joined_at, emails_sent, emails_opened, emails_clicked, sms_sent, last_interaction_at)
  SELECT gen_random_uuid(), :tenant, :campaign, s.contact_id,
         CASE WHEN bool_or(converted) THEN 'completed' WHEN bool_or(bounced) THEN 'bounced'
              ELSE 'active' END,
         min(sent_at) AT TIME ZONE 'UTC', count(*) FILTER (WHERE channel = 'email'),
         count(*) FILTER (WHERE channel = 'email' AND opened),
         count(*) FILTER (WHERE channel = 'email' AND clicked),
         count(*) FILTER (WHERE channel = 'sms'),
         max(greatest(sent_at, last_at)) AT TIME ZONE 'UTC'
    FROM sent s JOIN crm_contacts c ON c.tenant_id = :tenant AND c.id = s.contact_id
   GROUP BY s.contact_id
  ON CONFLICT (campaign_id, contact_id) DO UPDATE
    SET status = CASE WHEN m.status = 'active' THEN excluded.status ELSE m.status END,
        emails_sent = greatest(m.emails_sent, excluded.emails_sent),
        emails_opened = greatest(m.emails_opened, excluded.emails_opened),
        emails_clicked = greatest(m.emails_clicked, excluded.emails_clicked),
        sms_sent = greatest(m.sms_sent, excluded.sms_sent),
        last_interaction_at = greatest(m.last_interaction_at, excluded.last_interaction_at)
"""
_OTHERS = """
  SELECT count(*), count(*) FILTER (WHERE EXISTS (
           SELECT FROM keepwell.outcomes o WHERE o.tenant_id = s.tenant_id
              AND o.decision_id = s.decision_id AND o.kind IN ('clicked', 'replied', 'goal')))
    FROM keepwell.sends s
   WHERE s.state = 'sent' AND s.action <> :action
     AND s.sent_at > keepwell.clock() - interval '1 year'
"""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """A campaign that was taken in, and what of its counters is ours already."""

    campaign_id: UUID
    rule: str
    counted: Mapping[str, int]


async def lock_taken_in(connection: AsyncConnection) -> list[TakenIn]:
    """Return the campaigns that were ever run and that the CRM still has.

    Nobody else counts until the transaction ends.
    """
    rows = await connection.execute(
        text(
            "SELECT campaign_id, rule, counted FROM keepwell.campaigns "
            "WHERE (state <> 'refused' OR counted <> '{}') AND EXISTS (SELECT FROM crm_campaigns c "
            f"WHERE c.tenant_id = {THIS_TENANT} AND c.id = campaign_id) "
            "ORDER BY campaign_id FOR UPDATE"
        )
    )
    return [TakenIn(*row) for row in rows]


async def get_totals(connection: AsyncConnection, action: str) -> dict[str, Any]:
    """Return what our messages of a campaign came to, by name; `beyond` may be below 0."""
    row = (await connection.execute(text(_TOTALS), {"action": action})).mappings().one()
    return dict(row)


async def count_others(connection: AsyncConnection, action: str) -> tuple[int, int]:
    """Return the messages of a year that were no part of it, and those that were answered."""
    row = (await connection.execute(text(_OTHERS), {"action": action})).one()
    return int(row[0]), int(row[1])


async def save_counters(
    connection: AsyncConnection, campaign_id: UUID, more: Mapping[str, int], ours: Mapping[str, int]
) -> None:
    """Add to the CRM's counters, and note what of them is ours now."""
    added = ", ".join(f"{name} = coalesce({name}, 0) + :{name}" for name in COUNTERS)
    await connection.execute(
        text(f"UPDATE crm_campaigns SET {added} WHERE tenant_id = {THIS_TENANT} AND id = :id"),
        {"id": campaign_id, **{name: more.get(name, 0) for name in COUNTERS}},
    )
    await connection.execute(
        text(
            "UPDATE keepwell.campaigns SET counted = cast(:ours AS jsonb) WHERE campaign_id = :id"
        ),
        {"id": campaign_id, "ours": orjson.dumps(dict(ours)).decode()},
    )


async def save_members(
    connection: AsyncConnection, tenant_id: TenantId, campaign_id: UUID, action: str
) -> None:
    """Make members of all who got a message of the campaign, with what came of it."""
    await connection.execute(
        text(_MEMBERS), {"tenant": tenant_id, "campaign": campaign_id, "action": action}
    )


async def save_effect(
    connection: AsyncConnection,
    campaign_id: UUID,
    *,
    prevented: int,
    worth: float,
    engagement: float | None,
) -> None:
    """Write what the campaign is worth into `retention_campaigns`."""
    await connection.execute(
        text(
            "UPDATE retention_campaigns SET churn_prevention_count = :prevented, "
            "ltv_improvement_amount = :worth, engagement_improvement_percentage = :engagement, "
            f"updated_at = keepwell.clock() WHERE tenant_id = {THIS_TENANT} "
            "AND base_campaign_id = :id"
        ),
        {"id": campaign_id, "prevented": prevented, "worth": worth, "engagement": engagement},
    )
