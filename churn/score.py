"""From feature rows to health scores: by the model where there is one, else by the scorecard."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from churn.definition import ChurnDefinition, Rhythm, rhythm
from churn.features import matrix_of
from churn.hazards import Factor, Hazards
from churn.health import Judgement, health_scores
from churn.model import HazardModel
from churn.scorecard import scorecard

SCORECARD_VERSION = "scorecard-1"
# Contributions cost 200 times a prediction; nobody reads those of contacts at low risk.
EXPLAIN_FROM = 0.15


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


def score(
    features: pl.DataFrame,
    scorer: HazardModel | ScorecardBasis,
    *,
    as_of: datetime,
    connected: Collection[str],
    explain_from: float = EXPLAIN_FROM,
) -> pl.DataFrame:
    """Health scores, one row per feature row, in order; columns as of `health.health_scores`.

    Args:
        features: contact_id and the columns of `features.churn_features`, at `as_of`.
        scorer: the tenant's model, or the basis of the scorecard.
        as_of: aware moment of the question.
        connected: the event types the tenant has ever sent.
        explain_from: P(churn within 90 days) from which factors are given; 0 for everyone.
    """
    if isinstance(scorer, HazardModel):
        trained = scorer.trained
        standing = rhythm(
            features, trained.definition, tenant_median_days=trained.tenant_median_days
        )
        judged = _by_model(features, standing, scorer, explain_from)
    else:
        standing = rhythm(features, scorer.definition, tenant_median_days=scorer.tenant_median_days)
        judged = _by_scorecard(features, standing, explain_from)
    return health_scores(features, standing, judged, as_of=as_of, connected=connected)


def _by_model(
    features: pl.DataFrame, standing: Rhythm, model: HazardModel, explain_from: float
) -> Judgement:
    matrix = matrix_of(features, model.feature_names)
    hazards = model.predict(matrix, standing.days_to_limit)
    asked = _asked(hazards, standing, explain_from)
    found = model.factors(matrix[asked], standing.days_to_limit[asked])
    return Judgement("model", model.digest, hazards, _per_row(found, asked, standing))


def _by_scorecard(features: pl.DataFrame, standing: Rhythm, explain_from: float) -> Judgement:
    card = scorecard(features, standing)
    asked = _asked(card.hazards, standing, explain_from)
    factors = _per_row(card.factors(asked), asked, standing)
    return Judgement("scorecard", SCORECARD_VERSION, card.hazards, factors)


def _asked(hazards: Hazards, standing: Rhythm, explain_from: float) -> NDArray[np.int64]:
    """Rows to explain; who has churned by definition needs no model to say why."""
    return np.flatnonzero((hazards.hazard_90d >= explain_from) & (standing.days_to_limit > 0))


def _per_row(
    found: Sequence[Sequence[Factor]], asked: NDArray[np.int64], standing: Rhythm
) -> list[Sequence[Factor] | None]:
    factors: list[Sequence[Factor] | None] = [None] * len(standing.silence_days)
    for row, of_row in zip(asked, found, strict=True):
        factors[row] = of_row
    for row in np.flatnonzero(standing.days_to_limit <= 0):
        factors[row] = (_lapsed(standing.silence_days[row], standing.limit_days[row]),)
    return factors


def _lapsed(silence_days: float, limit_days: float) -> Factor:
    return Factor(
        factor="silence",
        value=float(silence_days),
        text=f"no visit for {silence_days:.0f} days, the limit for this contact is "
        f"{limit_days:.0f}",
        points=None,
    )
