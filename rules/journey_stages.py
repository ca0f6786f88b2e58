"""The stages of a customer's life, read from their dated file."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

_FILE = Path(__file__).parent / "journey_stages.yaml"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage; `typical_days` is how long a contact is expected to be in it."""

    name: str
    order: int
    typical_days: int
    means: str


@dataclass(frozen=True, slots=True)
class JourneyStages:
    """All stages, and how long a beginning and a return count as such."""

    stages: tuple[Stage, ...]
    onboarding_days: int
    won_back_days: int


@cache
def journey_stages() -> JourneyStages:
    """Return what the file says."""
    said = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return JourneyStages(
        tuple(Stage(s["name"], s["order"], s["typical_days"], s["means"]) for s in said["stages"]),
        said["onboarding_days"],
        said["won_back_days"],
    )
