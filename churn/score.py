"""From feature rows to health scores: by the model where there is one, else by the scorecard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from churn.confidence import Judgement
from churn.definition import ChurnDefinition, Rhythm, rhythm
from churn.feature_rows import Array
from churn.features import matrix_of
from churn.hazards import Factor, Hazards
from churn.health import health_scores
from churn.health_policy import HealthPolicy
from churn.levels import risk_levels
from churn.model import HazardModel
from churn.scorecard import scorecard
from churn.trial import JUDGED_DAYS, MIN_CHURNED, MIN_ROWS
from churn.valuation import money

SCORECARD_VERSION = "scorecard-1"


@dataclass(frozen=True, slots=True)
class ScorecardBasis:
    """What the scorecard needs of a tenant.

    Attributes:
        definition: when a contact counts as churned.
        tenant_median_days: from `definition.tenant_median` over all contacts, kept with the tenant,
            so that one contact alone is scored as among all.
    """

    definition: ChurnDefinition
    tenant_median_days: float


@dataclass(frozen=True, slots=True)
class Before:
    """What was said of each contact the last time, in the order of the feature rows.

    Attributes:
        levels: its risk level; None where it had none.
    """

    levels: Sequence[str | None]


def score(
    features: pl.DataFrame,
    scorer: HazardModel | ScorecardBasis,
    *,
    as_of: datetime,
    policy: HealthPolicy,
    before: Before | None = None,
    explain_all: bool = False,
) -> pl.DataFrame:
    """Health scores, one row per feature row, in order; columns as of `health.health_scores`.

    Contributions cost 200 times a prediction, so factors are given where the level is medium or
    above or has changed, and for everybody only if asked.

    Args:
        features: contact_id and the columns of `features.churn_features`, at `as_of`.
        scorer: the tenant's model, or the basis of the scorecard.
        as_of: aware moment of the question.
        policy: the tenant's weights and levels.
        before: for hysteresis and for who has changed.
        explain_all: whether everybody is explained.
    """
    if isinstance(scorer, HazardModel):
        trained = scorer.trained
        standing = rhythm(
            features, trained.definition, tenant_median_days=trained.tenant_median_days
        )
        judged = _by_model(features, standing, scorer)
    else:
        standing = rhythm(features, scorer.definition, tenant_median_days=scorer.tenant_median_days)
        judged = _by_scorecard(features, standing)
    previous = None if before is None else before.levels
    asked = _asked(judged.hazards, standing, policy, previous, everybody=explain_all)
    explained = Judgement(
        judged.tier,
        judged.version,
        judged.hazards,
        _per_row(judged.factors(asked), asked, standing),
        judged.familiar,
        judged.spread,
        judged.calibration_error,
        judged.money,
        judged.money_method,
    )
    return health_scores(
        features, standing, explained, as_of=as_of, policy=policy, previous=previous
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    tier: str
    version: str
    hazards: Hazards
    factors: Callable[[NDArray[np.int64]], Sequence[Sequence[Factor]]]
    familiar: Array | None = None
    spread: Array | None = None
    calibration_error: float | None = None
    money: tuple[Array, Array, Array] | None = None
    money_method: str = "survival"


def _by_model(features: pl.DataFrame, standing: Rhythm, model: HazardModel) -> _Judged:
    matrix = matrix_of(features, model.feature_names)
    value, here = model.trained.value, standing.days_to_limit > 0
    hazards, spread = model.predict_with_spread(matrix, standing.days_to_limit)
    return _Judged(
        model.trained.tier,
        model.digest,
        hazards,
        lambda rows: model.factors(matrix[rows], standing.days_to_limit[rows]),
        model.familiar(matrix),
        spread,
        _calibration_error(model),
        None if value is None else money(value, features, matrix, hazards, here),
        "survival" if value is None else value.method,
    )


def _calibration_error(model: HazardModel) -> float | None:
    """At 90 days in the time after the training; None where too few windows closed in it."""
    told = model.trained.metrics.get("all", {}).get(JUDGED_DAYS)
    if told is None or told.n < MIN_ROWS or told.n * told.base_rate < MIN_CHURNED:
        return None
    return told.ece


def _by_scorecard(features: pl.DataFrame, standing: Rhythm) -> _Judged:
    card = scorecard(features, standing)
    return _Judged("scorecard", SCORECARD_VERSION, card.hazards, card.factors)


def _asked(
    hazards: Hazards,
    standing: Rhythm,
    policy: HealthPolicy,
    previous: Sequence[str | None] | None,
    *,
    everybody: bool,
) -> NDArray[np.int64]:
    """Rows to explain; who has churned by definition needs no model to say why."""
    levels = np.array(risk_levels(hazards.hazard_90d, policy, previous), dtype=object)
    wanted = np.isin(levels, ("medium", "high", "critical"))
    if previous is not None:
        was = np.array(list(previous), dtype=object)
        wanted |= (levels != was) & np.array([level is not None for level in was], dtype=np.bool_)
    if everybody:
        wanted = ~np.isnan(hazards.hazard_90d)
    return np.flatnonzero(wanted & (standing.days_to_limit > 0))


def _per_row(
    found: Sequence[Sequence[Factor]], asked: NDArray[np.int64], standing: Rhythm
) -> list[Sequence[Factor] | None]:
    factors: list[Sequence[Factor] | None] = [None] * len(standing.silence_days)
    for row, of_row in zip(asked, found, strict=True):
        factors[row] = of_row
    for row in np.flatnonzero(standing.days_to_limit <= 0):
        factors[row] = (_lapsed(standing, row),)
    return factors


def _lapsed(standing: Rhythm, row: np.int64) -> Factor:
    if standing.by_contract[row]:
        return Factor(
            factor="contract",
            value=float(-standing.days_to_limit[row]),
            text=f"the contract ended, or could be renewed no more, "
            f"{-standing.days_to_limit[row]:.0f} days ago",
            points=None,
        )
    silence_days, limit_days = standing.silence_days[row], standing.limit_days[row]
    return Factor(
        factor="silence",
        value=float(silence_days),
        text=f"no visit for {silence_days:.0f} days, the limit for this contact is "
        f"{limit_days:.0f}",
        points=None,
    )
