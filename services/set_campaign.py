"""Set up a campaign in the CRM's own tables, start it, pause it, end it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict, InvalidInput
from engine.ids import TenantId
from services.show_campaigns import campaign_document
from services.take_in_campaigns import take_in_campaigns
from store.audit import AuditLine, add_audit
from store.campaigns import add_campaign, add_trigger, get_campaign, set_campaign_status

# what somebody may do -> the CRM's status
STATUSES = {"start": "running", "pause": "paused", "end": "completed"}
_MOST_LETTERS = 200
_HIGHEST_SCORE = 100


class CampaignOver(Conflict):
    """A campaign that is over is not started again."""

    code = "campaign_over"


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """A campaign as somebody sets it up; the names are the columns of the CRM's tables.

    Attributes:
        trigger: columns of `retention_campaigns`; None without a trigger.
        target_health_score_range: first and last score, both included.
    """

    name: str
    campaign_type: str
    content_template: Mapping[str, Any]
    description: str = ""
    target_audience: Mapping[str, Any] | None = None
    scheduled_start: datetime | None = None
    scheduled_end: datetime | None = None
    trigger: Mapping[str, Any] | None = None


_TRIGGER = {
    "trigger_type": None,
    "trigger_conditions": None,
    "target_health_score_range": None,
    "ai_optimization_enabled": True,
    "content_variants": None,
    "timing_optimization": None,
    "channel_preferences": None,
}


async def add_new_campaign(
    connection: AsyncConnection, tenant_id: TenantId, new: NewCampaign, *, by: str
) -> dict[str, Any]:
    """Add it as a draft; return it as a document. What it means is looked at when it starts.

    Raises:
        InvalidInput: no name, a time without zone, an end before the start, a trigger without a
            type or with a setting that there is not.
    """
    if not new.name.strip() or len(new.name) > _MOST_LETTERS:
        raise InvalidInput(f"A campaign has a name of at most {_MOST_LETTERS} letters.")
    begins, ends = new.scheduled_start, new.scheduled_end
    if any(at is not None and at.tzinfo is None for at in (begins, ends)):
        raise InvalidInput("A time has no time zone.", hint="Add one, e.g. a final Z.")
    if begins is not None and ends is not None and begins >= ends:
        raise InvalidInput("The campaign would end before it begins.")
    trigger = None if new.trigger is None else _trigger(new.trigger)
    campaign_id = await add_campaign(
        connection,
        tenant_id,
        {
            "name": new.name.strip(),
            "description": new.description,
            "campaign_type": new.campaign_type,
            "target_audience": dict(new.target_audience or {}),
            "content_template": dict(new.content_template),
            "scheduled_start": new.scheduled_start,
            "scheduled_end": new.scheduled_end,
        },
    )
    if trigger is not None:
        await add_trigger(connection, tenant_id, campaign_id, trigger)
    await _note(connection, tenant_id, campaign_id, by, "campaign.add")
    return campaign_document(await get_campaign(connection, campaign_id))


def _trigger(given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(given.keys() - _TRIGGER.keys())
    if unknown or not given.get("trigger_type"):
        what = f"has no setting {unknown}" if unknown else "has a trigger_type"
        raise InvalidInput(f"A trigger {what}.", hint=f"Settings: {sorted(_TRIGGER)}.")
    row = {**_TRIGGER, **given}
    scores = row["target_health_score_range"]
    if scores is not None and not _is_range(scores):
        raise InvalidInput(
            f"target_health_score_range is {scores}, which is no range of scores.",
            hint="First and last, both included: [0, 60].",
        )
    return row


def _is_range(scores: object) -> bool:
    if not isinstance(scores, list | tuple) or len(scores) != 2:
        return False
    first, last = scores
    return all(type(each) is int for each in scores) and 0 <= first <= last <= _HIGHEST_SCORE


async def set_campaign(
    connection: AsyncConnection,
    tenant_id: TenantId,
    campaign_id: UUID,
    wish: str,
    *,
    now: datetime,
    by: str,
) -> dict[str, Any]:
    """Start, pause or end a campaign and take it in at once; return it as a document.

    What a paused or ended campaign has queued does not leave any more.

    Raises:
        CampaignNotFound: unknown, or another tenant's.
        CampaignOver: it is to be started and was ended.
        InvalidInput: the wish is none of STATUSES, or nobody wishes it.
    """
    if wish not in STATUSES or not by.strip():
        raise InvalidInput(f"Somebody may {', '.join(STATUSES)} a campaign.", hint="--by NAME")
    campaign = await get_campaign(connection, campaign_id)
    if campaign.status == "completed" and wish != "end":
        raise CampaignOver(
            f"The campaign '{campaign.name}' is over.", hint="Add a new one with the same content."
        )
    await set_campaign_status(connection, campaign_id, STATUSES[wish], now=now)
    await _note(connection, tenant_id, campaign_id, by, f"campaign.{wish}")
    await take_in_campaigns(connection, tenant_id, now=now, by=by)
    return campaign_document(await get_campaign(connection, campaign_id))


async def _note(
    connection: AsyncConnection, tenant_id: TenantId, campaign_id: UUID, by: str, action: str
) -> None:
    await add_audit(connection, tenant_id, AuditLine(by, action, "campaign", str(campaign_id)))
