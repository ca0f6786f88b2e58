"""What clients get about health."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.shapes import Shape


class Health(Shape):
    """How likely a contact is to leave, its health by parts, and how both came about."""

    contact_id: UUID
    latest: dict[str, Any] | None = Field(
        description="The newest analysis: `components` with inputs, `risk_factors`, "
        "`positive_indicators`, `recommended_actions`, hazards at full precision."
    )
    refused_machines: bool = Field(
        description="Refused to be judged by machines: `latest` is null, nothing new is computed."
    )
    override: dict[str, Any] | None = Field(description="What a person has set, while in force.")
    history: list[dict[str, Any]] = Field(max_length=30, description="Newest first.")


class AtRisk(Shape):
    """Contacts by falling risk."""

    as_of: datetime | None = Field(description="Of the analysis; null before the first.")
    contacts: list[dict[str, Any]]
    next: str | None = Field(description="`cursor` of the next page; null on the last one.")


class HealthSettings(Shape):
    """Weights of the parts, which add up to 1, and bounds of the levels."""

    version: int = Field(description="Counts from 1; 0: the start values.")
    weights: dict[str, float]
    medium_from: float
    high_from: float
    critical_above: float
    margin: float
    chosen_for: str = Field(description="How the bounds were chosen, in words.")
    history: list[dict[str, Any]] = Field(description="Newest first.")
