"""What clients send about health: strict, every field bounded, unknown fields refused."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.documents import Moment, Name, Strict

Reason = Annotated[str, StringConstraints(min_length=3, max_length=1_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class OverrideIn(Strict):
    """What a person knows better; one of level and score at least."""

    by: Name = Field(description="Who says so; stands beside the score and in the audit trail.")
    reason: Reason = Field(description="Why; shown beside the score.")
    expires_at: Moment = Field(description="Until when it holds; within 400 days.")
    risk_level: Literal["low", "medium", "high", "critical"] | None = None
    health_score: int | None = Field(None, ge=0, le=100)


class LiftIn(Strict):
    """Who lifts it."""

    by: Name = Field(description="Who does it; stands in the audit trail.")


class WeightsIn(Strict):
    """Weights of parts; those not named share the rest as they shared before."""

    by: Name = Field(description="Who does it; stands in the audit trail.")
    reason: str = Field("", max_length=1_000)
    engagement: Share | None = None
    satisfaction: Share | None = None
    payment_behavior: Share | None = None
    communication_responsiveness: Share | None = None

    def changes(self) -> dict[str, float]:
        """Return the weights that are named."""
        told = self.model_dump(exclude={"by", "reason"}, exclude_none=True)
        return {name: float(value) for name, value in told.items()}


class LevelsIn(Strict):
    """Bounds of the risk levels, probabilities of leaving within 90 days."""

    by: Name = Field(description="Who does it; stands in the audit trail.")
    reason: str = Field("", max_length=1_000)
    medium_from: Share | None = None
    high_from: Share | None = None
    critical_above: Share | None = None
    margin: Share | None = Field(
        None, description="How far the risk must fall under a level's beginning to leave it."
    )

    def changes(self) -> dict[str, float]:
        """Return the bounds that are named."""
        told = self.model_dump(exclude={"by", "reason"}, exclude_none=True)
        return {name: float(value) for name, value in told.items()}
