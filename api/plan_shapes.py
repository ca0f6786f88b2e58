"""The shapes of answers about approvals and the plan."""

from typing import Any
from uuid import UUID

from pydantic import Field

from api.shapes import Shape


class Approvals(Shape):
    """Messages put before a person."""

    counts: dict[str, int] = Field(description="By state.")
    approvals: list[dict[str, Any]] = Field(description="With the very text that would be sent.")
    next: UUID | None = Field(description="Give it as `after` for more; null at the end.")


class ApprovalAnswer(Shape):
    """What became of a question."""

    id: UUID
    state: str = Field(description="approved, refused, or overtaken: the gate said no.")
    reason: str | None
