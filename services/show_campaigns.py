"""Show campaigns of the CRM: what they say, whether they run and why not, what came of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput
from services.campaign_rules import action_id, rule_id
from store.campaign_counts import get_totals
from store.campaigns import (
    Campaign,
    CampaignNotFound,
    find_campaign_ids,
    get_campaign,
    list_campaigns,
)

NEVER = "not taken in"
_RATES = ("messages", "answered", "converted")


def campaign_document(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign as plain values."""
    trigger = campaign.trigger
    return {
        "id": str(campaign.id),
        "name": campaign.name,
        "campaign_type": campaign.campaign_type,
        "status": campaign.status,
        "state": campaign.state or NEVER,
        "faults": campaign.faults,
        "rule": rule_id(campaign),
        "trigger": None if trigger is None else trigger.kind,
        "scheduled_start": _iso(campaign.scheduled_start),
        "scheduled_end": _iso(campaign.scheduled_end),
        "counters": dict(campaign.counters),
        "churn_prevention_count": campaign.prevented,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


async def show_campaigns(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Return all campaigns, the newest first."""
    return [campaign_document(each) for each in await list_campaigns(connection)]


async def campaign_named(connection: AsyncConnection, name: str) -> UUID:
    """Return the campaign's id from itself or from its name, if one campaign alone has it.

    Raises:
        CampaignNotFound: no campaign has this name.
        InvalidInput: several have it.
    """
    try:
        return UUID(name)
    except ValueError:
        found = await find_campaign_ids(connection, name)
    if not found:
        raise CampaignNotFound(
            f"There is no campaign '{name}'.", hint="'keepwell campaigns list' lists them."
        )
    if len(found) > 1:
        ids = ", ".join(str(each) for each in found)
        raise InvalidInput(f"{len(found)} campaigns are called '{name}'.", hint=f"By id: {ids}.")
    return found[0]


async def show_campaign(connection: AsyncConnection, campaign_id: UUID) -> dict[str, Any]:
    """Return one campaign with what its messages came to at this moment.

    Raises:
        CampaignNotFound: unknown, or another tenant's.
    """
    campaign = await get_campaign(connection, campaign_id)
    totals = await get_totals(connection, action_id(campaign))
    return campaign_document(campaign) | {"results": {name: totals[name] for name in _RATES}}
