"""Score every contact's health and keep the rows in customer_health_scores."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from churn.features import churn_features
from churn.health_policy import LEVELS
from churn.levels import risk_levels
from churn.score import Before, ScorecardBasis, score
from engine.features.columns import feature_columns
from engine.ids import ContactId, TenantId
from services.decide import checked_as_of, run_id_of
from services.playbook import Playbook, event_types, playbook_at, property_types
from services.profiles import PART, parts_of, zoned
from services.recommend_actions import recommended_actions
from services.tell_changes import tell_changes
from services.wiring import Runtime
from store.decisions import finish_run, start_run
from store.health_overrides import list_overrides_at
from store.health_scores import (
    RUN_KIND,
    list_levels_before,
    list_refusals,
    save_health_scores,
)
from store.profiles import list_contact_ids, list_contacts, list_events

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
    "predicted_ltv_low",
    "predicted_ltv_high",
    "ltv_method",
    "predicted_churn_date",
    "churn_date_from",
    "churn_date_to",
    "churn_date_share",
    "retention_probability",
    "risk_factors",
    "positive_indicators",
    "recommended_actions",
    "analysis_date",
    "model_version",
    "confidence_level",
    "confidence_reason",
    "components",
    "component_score",
    "level_reason",
    "override_id",
    "hazard_30d",
    "hazard_60d",
    "hazard_90d",
    "hazard_120d",
)
_JSON = ("risk_factors", "positive_indicators")
_RECOMMENDED_FROM = ("medium", "high", "critical")

Progress = Callable[[int, int | None], None]


def _silent(done: int, total: int | None) -> None:
    """Show nothing."""


async def score_health(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    as_of: datetime | None = None,
    on_progress: Progress = _silent,
) -> dict[str, Any]:
    """Score all contacts known at `as_of` and store one row each; return a summary.

    By the tenant's model where one applies to that moment, else by the scorecard; `tier` and
    `note` say which and why. Who refused machines gets no score. All in the caller's transaction: a
    run that fails changes nothing, and the scores of the run before stay. `on_progress` gets
    contacts done and the total.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    playbook = await playbook_at(connection, tenant_id, moment)
    everybody, refused = await _who_may_be_judged(connection, moment)
    run_id = run_id_of(tenant_id, moment, RUN_KIND)
    await start_run(connection, tenant_id, run_id, RUN_KIND, moment)
    told = await _told_before(connection, moment)
    levels: Counter[str] = Counter()
    written = 0
    for ids in parts_of(playbook, everybody, PART):
        scores = await _scored(connection, playbook, moment, ids, told)
        written += await save_health_scores(connection, scores)
        levels.update(level or "unknown" for level in scores["churn_risk_level"])
        on_progress(written, everybody.height)
    if as_of is None:  # of a moment of the past nothing is news
        await tell_changes(connection, tenant_id, playbook, moment)
    await finish_run(connection, run_id, {"contacts": written, "refused": refused, **levels})
    return {
        "as_of": moment.isoformat(),
        "contacts": written,
        "refused_machines": refused,
        "tier": playbook.health_tier,
        "note": playbook.tier_note,
        "levels": dict(levels.most_common()),
    }


async def _who_may_be_judged(
    connection: AsyncConnection, moment: datetime
) -> tuple[pl.DataFrame, int]:
    """The contacts known by then without those who refused machines, and how many refused."""
    everybody = await list_contact_ids(connection, moment)
    refusals = await list_refusals(connection, moment)
    kept = everybody.filter(~pl.col("contact_id").is_in(list(refusals)))
    return kept, everybody.height - kept.height


@dataclass(frozen=True, slots=True)
class _Told:
    """What was said of contacts: by the analysis before, and by people."""

    levels: pl.DataFrame
    overrides: pl.DataFrame


async def _told_before(connection: AsyncConnection, moment: datetime) -> _Told:
    return _Told(
        await list_levels_before(connection, moment), await list_overrides_at(connection, moment)
    )


async def _scored(
    connection: AsyncConnection,
    playbook: Playbook,
    moment: datetime,
    ids: Sequence[str],
    told: _Told,
) -> pl.DataFrame:
    """The rows of these contacts as `save_health_scores` takes them."""
    scores = await health_at(connection, playbook, moment, ids, told.levels)
    scores = scores.with_columns(component_score=pl.col("overall_health_score"))
    scores = _with_overrides(scores, told.overrides)
    at_risk = scores.filter(pl.col("churn_risk_level").is_in(_RECOMMENDED_FROM))["contact_id"]
    actions = await recommended_actions(connection, playbook, moment, at_risk.to_list())
    return (
        scores.with_columns(
            pl.Series(
                "recommended_actions",
                [_json(actions.get(contact)) for contact in scores["contact_id"]],
                dtype=pl.String,
            )
        )
        .select(_STORED)
        .with_columns(
            *(pl.Series(name, [_json(v) for v in scores[name]], dtype=pl.String) for name in _JSON),
            pl.lit(str(playbook.tenant_id)).alias("tenant_id"),
            pl.lit(playbook.health_tier).alias("health_tier"),
            pl.lit(moment).dt.convert_time_zone("UTC").alias("as_of"),
        )
    )


async def score_one(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    contact_id: ContactId,
) -> None:
    """Analyse one contact anew at this moment and store the row: something about it was set.

    Who refused machines gets no row.
    """
    moment = runtime.clock.now()
    if str(contact_id) in await list_refusals(connection, moment):
        return
    playbook = await playbook_at(connection, tenant_id, moment)
    told = await _told_before(connection, moment)
    scores = await _scored(connection, playbook, moment, [str(contact_id)], told)
    await save_health_scores(connection, scores)
    await tell_changes(connection, tenant_id, playbook, moment)


async def health_at(
    connection: AsyncConnection,
    playbook: Playbook,
    moment: datetime,
    ids: Sequence[str] | None = None,
    before: pl.DataFrame | None = None,
    *,
    explain_all: bool = False,
) -> pl.DataFrame:
    """Return the health of contacts known at a moment; see churn.health.

    `before` holds the levels of `list_levels_before`; with it `level_reason` says where a level
    was held by the margin.
    """
    contacts = await list_contacts(connection, moment, ids)
    specs = churn_features(playbook.definition)
    events = await list_events(
        connection, moment, event_types(specs), told_by=property_types(specs), ids=ids
    )
    features = feature_columns(
        zoned(contacts, playbook.settings.time_zone), events, specs, as_of=moment
    )
    scorer = playbook.model or ScorecardBasis(
        playbook.definition, playbook.definition.usual_interval_days
    )
    levels = None
    if before is not None:
        levels = features.select("contact_id").join(
            before, on="contact_id", how="left", maintain_order="left"
        )["level"]
    scores = score(
        features,
        scorer,
        as_of=moment,
        policy=playbook.health,
        before=None if levels is None else Before(levels.to_list()),
        explain_all=explain_all,
    )
    fresh = risk_levels(scores["hazard_90d"].fill_null(float("nan")).to_numpy(), playbook.health)
    held = [
        f"held until the risk falls {playbook.health.margin:.0%} under its beginning"
        if level is not None and now is not None and LEVELS.index(level) > LEVELS.index(now)
        else None
        for level, now in zip(scores["churn_risk_level"], fresh, strict=True)
    ]
    return scores.with_columns(pl.Series("level_reason", held, dtype=pl.String))


def _with_overrides(scores: pl.DataFrame, overrides: pl.DataFrame) -> pl.DataFrame:
    """What a person has set in place of what the model says; hazards and parts stay the model's."""
    return scores.join(overrides, on="contact_id", how="left", maintain_order="left").with_columns(
        overall_health_score=pl.coalesce("override_score", "overall_health_score"),
        churn_risk_level=pl.coalesce("override_level", "churn_risk_level"),
        level_reason=pl.coalesce("override_reason", "level_reason"),
    )


def _json(value: object) -> str | None:
    if isinstance(value, pl.Series):
        value = value.to_list()
    return None if value is None else orjson.dumps(value).decode()
