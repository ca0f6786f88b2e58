"""What a tenant may set about health: the weights of the parts, and where risk levels begin."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from engine.errors import InvalidInput

PARTS = ("engagement", "satisfaction", "payment_behavior", "communication_responsiveness")
LEVELS = ("low", "medium", "high", "critical")

# Start values: coming is what keeps a service business, and what satisfaction says comes first.
# `keepwell health weights fit` replaces them by what the tenant's own outcomes say.
_WEIGHTS = {
    "engagement": 0.45,
    "satisfaction": 0.25,
    "payment_behavior": 0.15,
    "communication_responsiveness": 0.15,
}


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """Weights and levels in force for a tenant.

    Attributes:
        weights: share of each part in the health score; they add up to 1. A part that is not known
            leaves its share to the others.
        medium_from, high_from, critical_above: P(churn within 90 days) at which a level begins.
        margin: by how much the probability must fall under a level's beginning before the level is
            left; rising takes effect at once.
        chosen_for: how the levels were chosen, in words; for people.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: dict(_WEIGHTS))
    medium_from: float = 0.15
    high_from: float = 0.35
    critical_above: float = 0.60
    margin: float = 0.05
    chosen_for: str = "start values"

    def __post_init__(self) -> None:
        if set(self.weights) != set(PARTS):
            raise InvalidInput(
                f"Weights must name {', '.join(PARTS)}, found {', '.join(sorted(self.weights))}."
            )
        if any(not 0 <= weight <= 1 for weight in self.weights.values()):
            raise InvalidInput(f"A weight must lie in 0 to 1: {dict(self.weights)}.")
        if abs(sum(self.weights.values()) - 1) > 1e-6:
            raise InvalidInput(
                f"Weights must add up to 1, these add up to {sum(self.weights.values()):.3f}.",
                hint="Give all four, or let `set` share out the rest.",
            )
        if not 0 < self.medium_from < self.high_from < self.critical_above < 1:
            raise InvalidInput(
                "Levels must rise between 0 and 1: medium from "
                f"{self.medium_from}, high from {self.high_from}, critical above "
                f"{self.critical_above}."
            )
        if not 0 <= self.margin < self.medium_from:
            raise InvalidInput(f"The margin must lie in 0 to {self.medium_from}: {self.margin}.")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"weights": dict(self.weights)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The policy that `as_dict` wrote."""
        return cls(**values)


def rest_shared(changes: Mapping[str, float], present: Mapping[str, float]) -> dict[str, float]:
    """Weights with some set; what is left to 1 is shared by the others as they shared before.

    >>> rest_shared({"engagement": 0.4}, {"engagement": 0.7, "satisfaction": 0.2, "other": 0.1})
    {'engagement': 0.4, 'satisfaction': 0.4, 'other': 0.2}

    Raises:
        InvalidInput: an unknown part, or the given ones exceed 1.
    """
    unknown = set(changes) - set(present)
    if unknown:
        raise InvalidInput(
            f"There is no part {', '.join(sorted(unknown))}.", hint=f"Parts: {', '.join(present)}."
        )
    left = 1 - sum(changes.values())
    others = {name: weight for name, weight in present.items() if name not in changes}
    if left < -1e-9 or (not others and abs(left) > 1e-6):
        raise InvalidInput(f"The weights add up to {1 - left:.3f}, not to 1.")
    whole = sum(others.values())
    shared = {
        name: left * (weight / whole if whole else 1 / len(others))
        for name, weight in others.items()
    }
    return {name: round(changes.get(name, shared.get(name, 0.0)), 6) for name in present}
