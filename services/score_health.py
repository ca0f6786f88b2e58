"""Score every contact's health and keep the rows in customer_health_scores."""

from datetime import datetime
from typing import Any

import orjson
import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from churn.score import ScorecardBasis, score
from engine.features.columns import feature_columns
from engine.ids import TenantId
from services.decide import checked_as_of
from services.playbook import Playbook, playbook_at
from services.profiles import zoned
from services.wiring import Runtime
from store.health_scores import save_health_scores
from store.profiles import list_contacts, list_events

_STORED = (
    "contact_id",
    "overall_health_score",
    "churn_probability",
    "churn_risk_level",
    "engagement_score",
    "satisfaction_score",
    "payment_behavior_score",
    "communication_responsiveness_score",
    "predicted_ltv",
    "predicted_churn_date",
    "retention_probability",
    "risk_factors",
    "positive_indicators",
    "analysis_date",
    "model_version",
    "confidence_level",
    "hazard_30d",
    "hazard_60d",
    "hazard_90d",
    "hazard_120d",
)
_JSON = ("risk_factors", "positive_indicators")


async def score_health(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    as_of: datetime | None = None,
) -> dict[str, Any]:
    """Score all contacts known at `as_of` and store one row each; return a summary.

    By the tenant's model where one applies to that moment, else by the scorecard; `tier` and
    `note` say which and why.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    playbook = await playbook_at(connection, tenant_id, moment)
    scores = await health_at(connection, playbook, moment)
    rows = scores.select(_STORED).with_columns(
        *(pl.Series(name, [_json(v) for v in scores[name]], dtype=pl.String) for name in _JSON),
        pl.lit(str(tenant_id)).alias("tenant_id"),
        pl.lit("scorecard" if playbook.model is None else "model").alias("health_tier"),
        pl.lit(moment).dt.convert_time_zone("UTC").alias("as_of"),
    )
    written = await save_health_scores(connection, rows)
    levels = scores["churn_risk_level"].value_counts(sort=True).to_dicts()
    return {
        "as_of": moment.isoformat(),
        "contacts": written,
        "tier": "scorecard" if playbook.model is None else "model",
        "note": playbook.tier_note,
        "levels": {(row["churn_risk_level"] or "unknown"): row["count"] for row in levels},
    }


async def health_at(
    connection: AsyncConnection, playbook: Playbook, moment: datetime
) -> pl.DataFrame:
    """Return the health of all contacts known at a moment; see churn.health."""
    contacts = await list_contacts(connection, moment)
    events = await list_events(connection, moment, playbook.event_types)
    known = zoned(contacts, playbook.settings.time_zone)
    specs = [spec for spec in playbook.specs if spec.attribute is None]
    features = feature_columns(known, events, specs, as_of=moment)
    scorer = playbook.model or ScorecardBasis(
        playbook.definition, playbook.definition.usual_interval_days
    )
    return score(features, scorer, as_of=moment, connected=set(events["type"].unique()))


def _json(value: object) -> str | None:
    if isinstance(value, pl.Series):
        value = value.to_list()
    return None if value is None else orjson.dumps(value).decode()
