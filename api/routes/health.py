"""Health of contacts: read, set by a person, and what it is made of."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.dependencies import ContactName, Now, ReadsContactsCall, RuntimeOf, WritesHealthCall
from api.health_documents import LevelsIn, LiftIn, OverrideIn, WeightsIn
from api.health_shapes import AtRisk, Health, HealthSettings
from api.strict_route import StrictRoute
from engine.ids import ContactId
from services.override_health import lift_override, override_health
from services.set_health import Author, set_levels, set_weights, show_health_settings
from services.show_at_risk import AtRiskAsked, show_at_risk
from services.show_health import show_health
from store.health_overrides import NewOverride
from store.profiles import get_contact_id

router = APIRouter(prefix="/v1", tags=["health"], route_class=StrictRoute)


@router.get("/contacts/{contact}/health", summary="Read a contact's health", response_model=Health)
async def read_health(call: ReadsContactsCall, contact: ContactName) -> Response:
    """Return the newest analysis with parts, inputs and reasons, and up to 30 as history.

    An override in force shows in `latest` and stands by itself under `override`.
    """
    return answer(await show_health(call.connection, call.tenant_id, contact))


@router.post(
    "/contacts/{contact}/health/override", summary="Set a contact's health", response_model=Health
)
async def override(
    request: Request,
    call: WritesHealthCall,
    contact: ContactName,
    body: OverrideIn,
    runtime: RuntimeOf,
) -> Response:
    """Set risk level or score in place of the model's until it expires; no analysis wipes it."""

    async def made() -> dict[str, object]:
        contact_id: ContactId = await get_contact_id(call.connection, contact)
        new = NewOverride(
            contact_id, body.reason, body.by, body.expires_at, body.health_score, body.risk_level
        )
        return await override_health(call.connection, runtime, call.tenant_id, contact, new)

    return await answer_once(request, call, made)


@router.post(
    "/contacts/{contact}/health/override/lift", summary="Lift what was set", response_model=Health
)
async def lift(
    request: Request,
    call: WritesHealthCall,
    contact: ContactName,
    body: LiftIn,
    runtime: RuntimeOf,
) -> Response:
    """Let the model's word count again; 404 if nothing is in force."""

    async def made() -> dict[str, object]:
        return await lift_override(call.connection, runtime, call.tenant_id, contact, by=body.by)

    return await answer_once(request, call, made)


@router.get("/health/at-risk", summary="List who may leave", response_model=AtRisk)
async def list_at_risk(
    call: ReadsContactsCall,
    level: Annotated[
        list[str] | None,
        Query(max_length=4, description="low, medium, high, critical; absent: from medium on."),
    ] = None,
    min_risk: Annotated[
        float, Query(ge=0, le=1, description="P(left within 90 days) from which on.")
    ] = 0.0,
    include_left: Annotated[
        bool, Query(description="Also those who have left by definition: risk 1.")
    ] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """Return contacts of the newest analysis, most likely to leave first, at full precision.

    All pages of one listing are of the same analysis, whatever comes meanwhile.
    """
    asked = AtRiskAsked(tuple(level or ()), min_risk, include_left, limit, cursor)
    return answer(await show_at_risk(call.connection, asked))


@router.get("/health/settings", summary="Read weights and levels", response_model=HealthSettings)
async def read_settings(call: ReadsContactsCall, now: Now) -> Response:
    """Return the weights of the parts, the bounds of the levels, and who set them when."""
    return answer(await show_health_settings(call.connection, now))


@router.post("/health/weights", summary="Set weights of parts", response_model=HealthSettings)
async def write_weights(
    request: Request, call: WritesHealthCall, body: WeightsIn, now: Now
) -> Response:
    """Set weights; those not named share the rest. Decisions and analyses use them from now on."""

    async def made() -> dict[str, object]:
        author = Author(body.by, body.reason)
        return await set_weights(call.connection, call.tenant_id, body.changes(), author, at=now)

    return await answer_once(request, call, made)


@router.post("/health/levels", summary="Set bounds of risk levels", response_model=HealthSettings)
async def write_levels(
    request: Request, call: WritesHealthCall, body: LevelsIn, now: Now
) -> Response:
    """Set where levels begin; analyses use them from now on."""

    async def made() -> dict[str, object]:
        author = Author(body.by, body.reason)
        return await set_levels(call.connection, call.tenant_id, body.changes(), author, at=now)

    return await answer_once(request, call, made)
