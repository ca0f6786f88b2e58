"""The shapes of answers about approvals and the plan."""

from datetime import datetime
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


class Plan(Shape):
    """The days ahead."""

    as_of: datetime
    days: int
    planned: int = Field(description="Messages that the runs of these days would choose.")
    queued: int = Field(description="In the outbox already.")
    waiting: int = Field(description="Waiting for a person.")
    by_day: list[dict[str, Any]] = Field(description="Counts by action, channel and reason.")
    rows: list[dict[str, Any]] = Field(description="Who, what, when, by which channel, why.")
    not_wanted: list[dict[str, Any]] = Field(description="Held or struck, and still in force.")


class Marked(Shape):
    """What a word about the plan did."""

    verdict: str
    marks: list[int]
    taken_back: int = Field(description="Queued messages that were taken back.")
    until: datetime


class Marks(Shape):
    """What people said of the plan."""

    marks: list[dict[str, Any]]
    by_rule: list[dict[str, Any]] = Field(description="Feedback: how often each was struck.")


class Withdrawn(Shape):
    """A word that was taken back."""

    id: int
    withdrawn: bool
