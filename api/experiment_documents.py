"""What clients send and get about experiments, lift and insights."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.documents import Name, Strict
from api.shapes import Shape

ExperimentName = Annotated[
    str, StringConstraints(min_length=1, max_length=80, pattern=r"^[a-z0-9][a-z0-9_.-]*$")
]


class PlanExperimentIn(Strict):
    """What an experiment on a message has to find out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "recall-wording", "action": "recall-due", "by": "ada"}]
        }
    )

    name: ExperimentName
    action: Name = Field(description="Whose wording is tried.")
    by: Name = Field(description="Who plans it; stands in the audit trail.")
    arms: list[Name] = Field(
        default_factory=list,
        max_length=20,
        description="Wordings, the control first; empty: all the action has.",
    )
    smallest: float = Field(0.05, description="Difference in P(goal) that would matter.")
    rate: float | None = Field(None, description="P(goal) expected; absent: as learnt.")
    alpha: float = Field(0.05, description="P(a false alarm ever).")
    power: float = Field(0.8, description="0.8 or 0.9.")


class StartExperimentIn(Strict):
    """Who starts it."""

    by: Name


class StopExperimentIn(Strict):
    """Who stops it, and why."""

    by: Name
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class Experiment(Shape):
    """An experiment as planned, how it stands, how it ended."""

    name: str
    action: str
    arms: list[str] = Field(description="The first is the control.")
    rate: float
    smallest: float
    alpha: float
    power: float
    units_per_arm: int = Field(description="Messages per arm that the plan needs.")
    mixture: float = Field(description="Fixes the intervals; set when planned.")
    state: Literal["planned", "running", "stopped"]
    planned_by: str
    planned_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    verdict: str | None
    verdict_arm: str | None
    reason: str | None


class PlannedExperiment(Experiment):
    """A plan with the time it will take."""

    once_units_per_arm: int = Field(description="For a single look at the end.")
    messages_a_week: float
    weeks: float | None = Field(description="Null: no such message has left in twelve weeks.")


class ExperimentSoFar(Experiment):
    """An experiment with its arms."""

    window_days: int | None = None
    arms_so_far: list[dict[str, Any]]
    standing: dict[str, Any] | None = Field(description="Null before the start.")


class Experiments(Shape):
    """All experiments, newest first, and what people have to know of them."""

    experiments: list[Experiment]
    notices: list[dict[str, Any]]


class LiftReport(Shape):
    """Groups compared; intervals that hold whenever one looks."""

    since: datetime
    until: datetime
    weeks_observed: float
    against: str
    groups: dict[str, int] = Field(description="Contacts by group.")
    lift: dict[str, dict[str, dict[str, Any]]] = Field(description="By group and metric.")
    segments: dict[str, dict[str, dict[str, dict[str, Any]]]]


class UpliftReport(Shape):
    """How well contacts are ranked by what contacting them changes."""

    since: datetime
    contacted: int
    left_alone: int
    needs_left_alone: int
    qini: dict[str, Any] | None = Field(description="Null while too few have been left alone.")


class Insights(Shape):
    """When and how a contact is reached best, and how sure that is."""

    contact_id: UUID
    latest: dict[str, Any] | None = Field(description="Null before the first night.")
