"""Health scores: what the hazards mean for people, in the columns of `customer_health_scores`."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import polars as pl

from churn.churn_date import churn_date
from churn.components import Components, component_scores, weighted_score
from churn.confidence import Judgement, confidence_of
from churn.definition import HORIZONS, VISITS, Rhythm
from churn.feature_rows import Array
from churn.features import matrix_of
from churn.hazards import Factor, Hazards
from churn.health_policy import PARTS, HealthPolicy
from churn.levels import risk_levels
from churn.valuation import YEAR_DAYS, by_survival
from engine.errors import InvalidInput

_DAY_MICROSECONDS = 86_400_000_000
_LARGEST_LTV = 99_999_999.99  # numeric(10, 2)

FACTORS = pl.List(
    pl.Struct({"factor": pl.String, "value": pl.Float64, "text": pl.String, "points": pl.Float64})
)


def health_scores(
    features: pl.DataFrame,
    standing: Rhythm,
    judged: Judgement,
    *,
    as_of: datetime,
    policy: HealthPolicy,
    previous: Sequence[str | None] | None = None,
) -> pl.DataFrame:
    """One row per contact, in order; a row does not depend on the other rows.

    Columns, null where the contact has never visited unless said otherwise:
        contact_id: String.
        overall_health_score: Int64, the weighted mean of the parts that are known; null without
            any. See `components.weighted_score`.
        churn_probability, retention_probability: P within 90 days and its complement, 2 decimals.
        churn_risk_level: of the same P, by the policy's bounds; see `levels.risk_levels`.
        engagement_score, satisfaction_score, payment_behavior_score,
        communication_responsiveness_score: Int64, see `components`; null where not known.
        components: String, JSON: per part its score and inputs, null where not known. Never null.
        predicted_ltv: money of the next 12 months in whole units of currency, 2 decimals; no
            discount, no margin. Null where visits carry no amounts. predicted_ltv_low and _high: a
            tenth and nine tenths of the chance lie below, null without a model. ltv_method: which
            method told it, see `valuation`.
        predicted_churn_date, churn_date_from, churn_date_to: Dates (UTC), null unless P(churn
            within 120 days) >= 0.5; at least four fifths of that chance lie from the second to the
            third, `churn_date_share` of it. Where the limit has passed, all three are the day it
            did. See `churn_date`.
        risk_factors, positive_indicators: lists of {factor, value, text, points}; null where not
            asked.
        model_version: String, never null.
        confidence_level: share, 2 decimals; `confidence_reason` says why. Never null.
        analysis_date: `as_of`.
        hazard_30d, hazard_60d, hazard_90d, hazard_120d: Float64, full precision.

    Args:
        features: contact_id and the columns of `features.churn_features`.
        standing: from `definition.rhythm` of the same rows.
        judged: of the same rows.
        as_of: aware moment of the question.
        policy: the tenant's weights and levels.
        previous: the level each contact had before, for hysteresis; None where it had none.
    """
    if not len(judged.factors) == len(judged.hazards.hazard_90d) == features.height:
        raise InvalidInput("Features, hazards and factors differ in length.")
    risk = judged.hazards.hazard_90d
    parts = component_scores(features, standing)
    confidence, reasons = confidence_of(matrix_of(features, (VISITS,))[:, 0], judged)
    table = pl.DataFrame(
        {
            "contact_id": features["contact_id"],
            "overall_health_score": _whole(weighted_score(parts, policy.weights)),
            "churn_probability": _nullable(risk).round(2),
            "retention_probability": 1 - _nullable(risk).round(2),
            "churn_risk_level": pl.Series(risk_levels(risk, policy, previous), dtype=pl.String),
            **_money(features, judged, standing),
            **_churn_dates(judged.hazards, standing, as_of),
            "risk_factors": _chosen(judged.factors, raising=True),
            "positive_indicators": _chosen(judged.factors, raising=False),
            "model_version": pl.Series([judged.model_version] * features.height, dtype=pl.String),
            "confidence_level": confidence,
            "confidence_reason": reasons,
            "analysis_date": pl.Series(
                [as_of.astimezone(UTC)] * features.height, dtype=pl.Datetime("us", "UTC")
            ),
            **{f"hazard_{days}d": _nullable(judged.hazards.within(days)) for days in HORIZONS},
        }
    ).with_columns(pl.col("retention_probability").round(2))
    return table.with_columns(
        *(_whole(parts.scores[part]).alias(f"{part}_score") for part in PARTS),
        components=_told(parts, features.height),
    )


def _whole(scores: Array) -> pl.Series:
    return _nullable(scores).cast(pl.Int64)


def _told(parts: Components, height: int) -> pl.Series:
    """The parts with their inputs as JSON texts."""
    structs = []
    for part in PARTS:
        inputs = pl.struct(
            _nullable(values).round(4).alias(name) for name, values in parts.inputs[part].items()
        )
        score = _whole(parts.scores[part]).alias("score")
        structs.append(pl.struct(score, inputs.alias("inputs")).alias(part))
    if not height:
        return pl.Series("components", [], dtype=pl.String)
    return pl.select(pl.struct(structs).struct.json_encode().alias("components")).to_series()


def _money(features: pl.DataFrame, judged: Judgement, standing: Rhythm) -> dict[str, pl.Series]:
    """Expected money of the next 12 months, its interval, and the method."""
    nothing = np.full(features.height, np.nan)
    if judged.money is None:
        here = standing.days_to_limit > 0
        expected = by_survival(features, judged.hazards, here, YEAR_DAYS)
        told = expected, nothing, nothing
    else:
        told = judged.money
    names = ("predicted_ltv", "predicted_ltv_low", "predicted_ltv_high")
    rounded = {
        name: _nullable(np.clip(np.round(values, 2), 0, _LARGEST_LTV))
        for name, values in zip(names, told, strict=True)
    }
    methods = [None if np.isnan(each) else judged.money_method for each in told[0]]
    return rounded | {"ltv_method": pl.Series(methods, dtype=pl.String)}


def _churn_dates(hazards: Hazards, standing: Rhythm, as_of: datetime) -> dict[str, pl.Series]:
    limit = standing.days_to_limit
    found = churn_date(hazards, limit)
    days = {
        "predicted_churn_date": found.expected_days,
        "churn_date_from": found.earliest_days,
        "churn_date_to": found.latest_days,
    }
    dates = {name: _dates(np.where(limit <= 0, limit, told), as_of) for name, told in days.items()}
    return dates | {"churn_date_share": _nullable(np.where(limit <= 0, 1.0, found.share)).round(2)}


def _dates(days: Array, as_of: datetime) -> pl.Series:
    ahead = (_nullable(days) * _DAY_MICROSECONDS).cast(pl.Int64).cast(pl.Duration("us"))
    return (ahead + as_of.astimezone(UTC)).dt.date()


def _chosen(factors: Sequence[Sequence[Factor] | None], *, raising: bool) -> pl.Series:
    rows = [
        None
        if found is None
        else [asdict(factor) for factor in found if _raises(factor) is raising]
        for found in factors
    ]
    return pl.Series(rows, dtype=FACTORS)


def _raises(factor: Factor) -> bool:
    return factor.points is None or factor.points > 0


def _nullable(values: Array) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64).fill_nan(None)
