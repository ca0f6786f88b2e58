"""How contacts fare, for decisions: the same numbers as the stored health scores. No I/O."""

from dataclasses import dataclass

from churn.components import component_scores, weighted_score
from churn.definition import rhythm
from churn.feature_rows import FeatureRows
from churn.features import matrix_of
from churn.hazards import Hazards
from churn.scorecard import scorecard
from engine.columns import Floats
from services.playbook import Playbook


@dataclass(frozen=True, slots=True)
class HealthEstimate:
    """P(churn) within 30 to 120 days, and the health score by its parts; NaN where not known."""

    hazards: Hazards
    score: Floats


def estimate_health(playbook: Playbook, features: FeatureRows) -> HealthEstimate:
    """Return the health of each row: hazards by the model, else by the scorecard."""
    model, definition = playbook.model, playbook.definition
    usual = definition.usual_interval_days if model is None else model.trained.tenant_median_days
    standing = rhythm(features, definition, tenant_median_days=usual)
    hazards = (
        scorecard(features, standing).hazards
        if model is None
        else model.predict(matrix_of(features, model.feature_names), standing.days_to_limit)
    )
    parts = component_scores(features, standing)
    return HealthEstimate(hazards, weighted_score(parts, playbook.health.weights))
