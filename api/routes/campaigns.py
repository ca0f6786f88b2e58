"""Campaigns of the CRM: set up, start, pause, end, and what came of them."""

from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.campaign_documents import CampaignIn, CampaignWish
from api.campaign_shapes import CampaignDetail, CampaignOut, Campaigns, CampaignsTakenIn
from api.dependencies import Now, ReadsRulesCall, WritesRulesCall
from api.strict_route import StrictRoute
from services.set_campaign import add_new_campaign, set_campaign
from services.show_campaigns import show_campaign, show_campaigns
from services.take_in_campaigns import take_in_campaigns

router = APIRouter(tags=["campaigns"], route_class=StrictRoute)


@router.get("/v1/campaigns", summary="List campaigns", response_model=Campaigns)
async def listed(call: ReadsRulesCall) -> Response:
    """Return all campaigns of the CRM with their state and counters, the newest first."""
    return answer({"campaigns": await show_campaigns(call.connection)})


@router.post("/v1/campaigns", summary="Add a campaign", response_model=CampaignOut, status_code=201)
async def add(request: Request, call: WritesRulesCall, body: CampaignIn) -> Response:
    """Add a campaign to the CRM as a draft."""

    async def made() -> dict[str, object]:
        return await add_new_campaign(
            call.connection, call.tenant_id, body.new_campaign(), by=body.by
        )

    return await answer_once(request, call, made, 201)


@router.post(
    "/v1/campaigns/take-in", summary="Take in campaigns now", response_model=CampaignsTakenIn
)
async def take_in(
    request: Request, call: WritesRulesCall, now: Now, body: CampaignWish
) -> Response:
    """Take in what was changed in the CRM now instead of tonight."""

    async def made() -> dict[str, object]:
        return await take_in_campaigns(call.connection, call.tenant_id, now=now, by=body.by)

    return await answer_once(request, call, made)


@router.get("/v1/campaigns/{campaign}", summary="Read a campaign", response_model=CampaignDetail)
async def read(call: ReadsRulesCall, campaign: UUID) -> Response:
    """Return a campaign, why it is refused if it is, and what its messages came to."""
    return answer(await show_campaign(call.connection, campaign))


@router.post(
    "/v1/campaigns/{campaign}/{wish}",
    summary="Start, pause or end a campaign",
    response_model=CampaignOut,
)
async def wished(
    request: Request,
    call: WritesRulesCall,
    now: Now,
    campaign: UUID,
    wish: Literal["start", "pause", "end"],
    body: CampaignWish,
) -> Response:
    """Let it run, rest or end; a campaign that can't run is `refused` and says why."""

    async def made() -> dict[str, object]:
        return await set_campaign(
            call.connection, call.tenant_id, campaign, wish, now=now, by=body.by
        )

    return await answer_once(request, call, made)
