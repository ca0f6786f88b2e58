"""What clients get about the policy."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.shapes import Shape


class PolicyVersion(Shape):
    """One version, without its numbers."""

    version: int
    digest: str = Field(description="SHA-256 of the numbers; stands on every decision.")
    changed: dict[str, Any] = Field(description="What the tenant has set, by section.")
    set_by: str
    reason: str
    effective_at: datetime


class Policy(PolicyVersion):
    """The version in force."""

    numbers: dict[str, Any] = Field(description="All numbers that decisions go by.")
    sources: list[dict[str, Any]] = Field(description="Where the product's own numbers come from.")
    budgets: list[dict[str, Any]] = Field(description="What of each is used and left.")
    levers_cost: dict[str, Any] = Field(description="Worth that levers gave up lately.")


class PolicyVersions(Shape):
    """Versions, newest first."""

    versions: list[PolicyVersion]
    next: int | None = Field(description="`before` of the next page; null on the last one.")


class PolicySet(Shape):
    """What came of a change."""

    version: int = Field(description="In force now.")
    digest: str
    changed: list[str] = Field(description="Sections that differ from before.")
    dry_run: bool


class Machines(Shape):
    """What holds for the contact now."""

    contact_id: UUID
    refused: bool
