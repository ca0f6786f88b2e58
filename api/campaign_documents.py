"""What clients send about campaigns."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from api.documents import Moment, Name, Strict
from services.set_campaign import NewCampaign

Settings = Annotated[dict[str, Any], Field(max_length=50)]


class CampaignIn(Strict):
    """A campaign; the names are the columns of the CRM's tables."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "by": "ada",
                    "name": "Spring smiles",
                    "campaign_type": "sms",
                    "content_template": {"sms": "Spring visits are open. {{ practice_phone }}"},
                    "target_audience": {"members": True},
                }
            ]
        }
    )

    by: Name = Field(description="Who does it; stands in the audit trail.")
    name: Name
    campaign_type: Name = Field(description="email, sms, multi_channel or call.")
    content_template: Settings = Field(description="Texts by channel, or a shipped template.")
    description: Annotated[str, StringConstraints(max_length=1_000)] = ""
    target_audience: Settings | None = Field(None, description="Whom it is for; none: members.")
    scheduled_start: Moment | None = None
    scheduled_end: Moment | None = None
    trigger: Settings | None = Field(None, description="Columns of `retention_campaigns`.")

    def new_campaign(self) -> NewCampaign:
        """As the service takes it."""
        return NewCampaign(
            self.name,
            self.campaign_type,
            self.content_template,
            self.description,
            self.target_audience,
            self.scheduled_start,
            self.scheduled_end,
            self.trigger,
        )


class CampaignWish(Strict):
    """Who starts, pauses or ends a campaign."""

    by: Name = Field(description="Who does it; stands in the audit trail.")
