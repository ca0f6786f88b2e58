"""What clients get about campaigns."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.shapes import Shape


class CampaignOut(Shape):
    """A campaign of the CRM."""

    id: UUID
    name: str
    campaign_type: str
    status: str = Field(description="In the CRM: draft, scheduled, running, paused, completed.")
    state: str = Field(description="running, refused, resting, ended or 'not taken in'.")
    faults: list[str] = Field(description="Why it is refused.")
    rule: str = Field(description="The rule that decisions name.")
    trigger: str | None
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    counters: dict[str, int] = Field(description="The CRM's counters, by column.")
    churn_prevention_count: int | None


class CampaignResults(Shape):
    """What the messages came to."""

    messages: int
    answered: int
    converted: int


class CampaignDetail(CampaignOut):
    """A campaign with its results at this moment."""

    results: CampaignResults


class Campaigns(Shape):
    """All campaigns, the newest first."""

    campaigns: list[CampaignOut]


class TakenInOne(Shape):
    """What became of one campaign."""

    id: UUID
    name: str
    state: str
    rule: str
    faults: list[str]


class CampaignsTakenIn(Shape):
    """What became of those that run or ran."""

    release: int | None = Field(description="The release of rules in force.")
    campaigns: list[TakenInOne]
