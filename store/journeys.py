"""Journey stages of contacts, written from the newest analysis of health.

Stages that somebody else has set up and put a contact into are left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from store.planning import without_nested_loops

_OURS = "automated_actions ->> 'written_by' = 'keepwell'"


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage as its table holds it."""

    name: str
    order: int
    typical_days: int
    means: str


@dataclass(frozen=True, slots=True)
class StageTerms:
    """What tells the stages apart.

    Attributes:
        visit_types: events that are a visit.
        onboarding_days, won_back_days: how long a beginning, and a return, count as such.
    """

    visit_types: Sequence[str]
    onboarding_days: int
    won_back_days: int


async def ensure_stages(
    connection: AsyncConnection, tenant_id: TenantId, industry: str, stages: Sequence[StageRow]
) -> None:
    """Add those of the product's stages that the tenant does not have."""
    for stage in stages:
        await connection.execute(
            text(
                "INSERT INTO customer_journey_stages (tenant_id, stage_name, stage_order, "
                "industry, typical_duration_days, success_criteria, automated_actions) "
                "VALUES (:tenant, :name, :order, :industry, :days, cast(:means AS jsonb), "
                '\'{"written_by": "keepwell"}\') ON CONFLICT (tenant_id, industry, stage_name) '
                "WHERE tenant_id IS NOT NULL "
                "AND automated_actions ->> 'written_by' = 'keepwell' DO NOTHING"
            ),
            {
                "tenant": tenant_id,
                "name": stage.name,
                "order": stage.order,
                "industry": industry,
                "days": stage.typical_days,
                "means": orjson.dumps({"means": stage.means}).decode(),
            },
        )


# Each contact that was scored, with the stage it is in and the one it belongs to. Who has a stage
# of somebody else's is no row of it.
_STAGED = f"""
  CREATE TEMP TABLE staged ON COMMIT DROP AS
  WITH present AS (
    SELECT DISTINCT ON (p.contact_id) p.contact_id, p.id, s.stage_name, p.entered_stage_date,
           coalesce(s.{_OURS}, false) AS ours
      FROM customer_journey_progress p JOIN customer_journey_stages s ON s.id = p.journey_stage_id
     WHERE p.entered_stage_date <= :as_of
       AND (p.actual_exit_date IS NULL OR p.actual_exit_date > :as_of)
     ORDER BY p.contact_id, p.entered_stage_date DESC, p.id DESC
  )
  SELECT h.contact_id, h.account_id, p.id AS progress_id, p.stage_name AS present,
         h.satisfaction_score, h.hazard_90d,
         CASE
           WHEN h.hazard_90d IS NULL THEN 'prospect'
           WHEN h.hazard_90d >= 1 THEN 'lapsed'
           WHEN p.stage_name = 'lapsed' OR (p.stage_name = 'won_back'
             AND p.entered_stage_date > :as_of - make_interval(days => :won_back)) THEN 'won_back'
           WHEN h.churn_risk_level IN ('high', 'critical') THEN 'at_risk'
           WHEN NOT EXISTS (SELECT FROM keepwell.events e WHERE e.contact_id = h.contact_id
             AND e.type = ANY(:visits)
             AND e.occurred_at <= :as_of - make_interval(days => :onboarding)) THEN 'onboarding'
           ELSE 'active' END AS stage
    FROM (SELECT h.contact_id, c.account_id, h.satisfaction_score, h.hazard_90d, h.churn_risk_level
            FROM customer_health_scores h JOIN crm_contacts c
              ON c.tenant_id = h.tenant_id AND c.id = h.contact_id
           WHERE h.as_of = :as_of) h
    LEFT JOIN present p ON p.contact_id = h.contact_id
   WHERE p.contact_id IS NULL OR p.ours
"""
_LEFT = """
  UPDATE customer_journey_progress p SET actual_exit_date = :as_of,
         stage_completion_percentage = 100, updated_at = keepwell.clock()
    FROM staged s WHERE p.id = s.progress_id AND s.present <> s.stage
"""
_ENTERED = f"""
  INSERT INTO customer_journey_progress (contact_id, account_id, journey_stage_id, tenant_id,
         entered_stage_date, expected_exit_date, satisfaction_score, success_probability)
  SELECT s.contact_id, s.account_id, j.id, :tenant, :as_of,
         :as_of + make_interval(days => j.typical_duration_days), s.satisfaction_score,
         round((1 - s.hazard_90d)::numeric, 2)
    FROM staged s JOIN customer_journey_stages j
      ON j.stage_name = s.stage AND j.industry = :industry AND j.{_OURS}
   WHERE s.present IS DISTINCT FROM s.stage
"""
_TOLD = """
  INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, occurred_at,
         properties)
  SELECT :tenant, 'keepwell', 'journey:' || s.contact_id || ':' || cast(:as_of AS timestamptz),
         s.contact_id,
         'journey.changed', :as_of, jsonb_build_object('from', s.present, 'to', s.stage)
    FROM staged s WHERE s.present <> s.stage
  ON CONFLICT DO NOTHING
"""


async def write_stages(
    connection: AsyncConnection,
    tenant_id: TenantId,
    industry: str,
    terms: StageTerms,
    as_of: datetime,
) -> int:
    """Put each contact scored at `as_of` into its stage; return how many changed from another.

    A change is an event, `journey.changed`; a first stage is none.
    """
    values = {"tenant": tenant_id, "industry": industry, "as_of": as_of}
    await connection.execute(text("DROP TABLE IF EXISTS pg_temp.staged"))
    async with without_nested_loops(connection):
        await connection.execute(
            text(_STAGED),
            {
                "as_of": as_of,
                "visits": list(terms.visit_types),
                "onboarding": terms.onboarding_days,
                "won_back": terms.won_back_days,
            },
        )
    await connection.execute(text(_LEFT), {"as_of": as_of})
    await connection.execute(text(_ENTERED), values)
    told = await connection.execute(text(_TOLD), {"tenant": tenant_id, "as_of": as_of})
    return told.rowcount


# levels in their order: which way one changed
_CROSSED = """
  INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, occurred_at,
         value, properties)
  SELECT :tenant, 'keepwell', 'risk:' || h.contact_id || ':' || cast(:as_of AS timestamptz),
         h.contact_id, CASE WHEN o.after > o.before THEN 'risk.raised' ELSE 'risk.lowered' END,
         :as_of, h.hazard_90d, jsonb_build_object('from', b.level, 'to', h.churn_risk_level)
    FROM customer_health_scores h
    JOIN LATERAL (SELECT p.churn_risk_level AS level FROM customer_health_scores p
                   WHERE p.tenant_id = h.tenant_id AND p.contact_id = h.contact_id
                     AND p.as_of < h.as_of ORDER BY p.as_of DESC LIMIT 1) b ON true
    JOIN LATERAL (SELECT array_position(ARRAY['low', 'medium', 'high', 'critical'], b.level)
                           AS before,
                         array_position(ARRAY['low', 'medium', 'high', 'critical'],
                                        h.churn_risk_level) AS after) o ON o.before <> o.after
   WHERE h.as_of = :as_of
  ON CONFLICT DO NOTHING
"""


async def tell_crossings(connection: AsyncConnection, tenant_id: TenantId, as_of: datetime) -> int:
    """Add an event for each contact whose level changed with the analysis; return how many."""
    told = await connection.execute(text(_CROSSED), {"tenant": tenant_id, "as_of": as_of})
    return told.rowcount


async def ask_checks_of(
    connection: AsyncConnection, tenant_id: TenantId, types: Sequence[str], as_of: datetime
) -> int:
    """Have workers look at the contacts of such events of this moment; return how many."""
    asked = await connection.execute(
        text(
            "INSERT INTO keepwell.due_checks (tenant_id, contact_id, check_at, trigger) "
            "SELECT :tenant, contact_id, keepwell.clock(), type FROM keepwell.events "
            "WHERE source = 'keepwell' AND occurred_at = :as_of AND type = ANY(:types)"
        ),
        {"tenant": tenant_id, "as_of": as_of, "types": list(types)},
    )
    return asked.rowcount
