"""What clients send and get about a past week under other terms."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.documents import Moment, Name, Strict
from api.rule_documents import RulesFileIn
from api.shapes import Shape
from engine.policy.settings import Lever

_MOST_LEVERS = 20


class LeverIn(Strict):
    """A manager's boost."""

    on: Name = Field(description="A rule or action, purpose:… or goal:….")
    percent: float = Field(ge=-100, le=10_000)


class WhatIfIn(Strict):
    """A window, and what would have been different in it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "since": "2026-03-02T14:00:00Z",
                    "until": "2026-03-09T14:00:00Z",
                    "sections": {"caps": [{"purpose": "any", "in": "7 days", "at_most": 1}]},
                }
            ]
        }
    )

    since: Moment
    until: Moment
    file: RulesFileIn | None = Field(None, description="In place of the one of its name in force.")
    levers: Annotated[list[LeverIn], Field(max_length=_MOST_LEVERS)] = Field(default_factory=list)
    sections: Annotated[dict[str, Any], Field(max_length=50)] = Field(
        default_factory=dict, description="Of the policy, by name; the others stay as they were."
    )

    def proposed_levers(self) -> list[Lever]:
        """As the service takes them."""
        return [Lever(each.on, each.percent, "", "what if") for each in self.levers]


class WhatIf(Shape):
    """The window decided twice."""

    since: str = Field(alias="from")
    to: str
    days: int
    rules: dict[str, Any]
    in_force: dict[str, Any] = Field(description="Sends, contacts, worth and cost in cents.")
    proposed: dict[str, Any]
    by_day: list[dict[str, Any]]
    by_rule: list[dict[str, Any]]
    budgets: list[dict[str, Any]]
    gained: dict[str, Any] = Field(description="Contacts that only then get something.")
    lost: dict[str, Any]
    changed: dict[str, Any]
