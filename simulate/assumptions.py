"""The assumptions of the simulated businesses, read from dated files that name their sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from engine.errors import InvalidInput

FOLDER = Path(__file__).parent / "industries"
INDUSTRIES = ("healthcare", "trades", "professional_services")


@dataclass(frozen=True)
class Assumptions:
    """What is assumed of one industry, and of people in general.

    Attributes:
        industry: one of INDUSTRIES.
        business: the industry's file; money in USD, times in days, shares in [0, 1].
        people: `people.yaml`; habits in logits.
    """

    industry: str
    business: Mapping[str, Any]
    people: Mapping[str, Any]

    @property
    def contract(self) -> Mapping[str, Any] | None:
        """What is assumed of yearly contracts; None where there are none."""
        found: Mapping[str, Any] | None = self.business["contract"]
        return found


@cache
def assumptions_of(industry: str) -> Assumptions:
    """Return what is assumed of an industry.

    Raises:
        InvalidInput: nothing is.
    """
    if industry not in INDUSTRIES:
        raise InvalidInput(
            f"'{industry}' is no simulated industry.",
            hint=f"Simulated are {', '.join(INDUSTRIES)}.",
        )
    return Assumptions(industry, _read(industry), _read("people"))


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    return document
