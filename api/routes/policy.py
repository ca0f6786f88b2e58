"""The policy: its numbers in force, how to change them, every version."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.dependencies import (
    ContactName,
    Now,
    ReadsRulesCall,
    RecordsEventsCall,
    WritesRulesCall,
)
from api.policy_documents import MachinesIn, PolicyIn
from api.policy_shapes import Machines, Policy, PolicySet, PolicyVersions
from api.strict_route import StrictRoute
from services.refuse_machines import refuse_machines
from services.set_policy import PolicyChange, set_policy
from services.show_policy import show_policy, show_policy_versions

router = APIRouter(tags=["policy"], route_class=StrictRoute)


@router.get("/v1/policy", summary="Show the policy in force", response_model=Policy)
async def show(call: ReadsRulesCall, now: Now) -> Response:
    """Return all numbers, what the tenant has set of them, their sources, and what is left."""
    return answer(await show_policy(call.connection, call.tenant_id, now))


@router.patch("/v1/policy", summary="Change the policy", response_model=PolicySet)
async def change(request: Request, call: WritesRulesCall, body: PolicyIn) -> Response:
    """Put sections in force with the next decision; null gives a section back to the product.

    Messages that wait are asked about again under the new numbers before they leave. Faults of all
    sections are answered together.
    """
    wish = PolicyChange(
        body.sections, body.by, body.reason, f"api key {request.state.key_id}", body.dry_run
    )

    async def made() -> dict[str, object]:
        return await set_policy(call.connection, call.tenant_id, wish)

    return await answer_once(request, call, made)


@router.get(
    "/v1/policy/versions", summary="List the policy's versions", response_model=PolicyVersions
)
async def versions(
    call: ReadsRulesCall,
    before: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="Only versions with lower numbers.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Return versions, newest first; `next` is the `before` of the next page, null on the last."""
    found = await show_policy_versions(call.connection, before=before, limit=limit + 1)
    page = found[:limit]
    following = page[-1]["version"] if len(found) > limit else None
    return answer({"versions": page, "next": following})


@router.put(
    "/v1/contacts/{contact}/machines",
    summary="Refuse or allow decisions by machines",
    response_model=Machines,
)
async def machines(
    request: Request, call: RecordsEventsCall, contact: ContactName, body: MachinesIn
) -> Response:
    """Note whether the contact may be decided about by machines that learn; holds at once."""

    async def made() -> dict[str, object]:
        return await refuse_machines(
            call.connection,
            call.tenant_id,
            contact,
            refused=body.refused,
            by=body.by,
            source=f"api key {request.state.key_id}",
        )

    return await answer_once(request, call, made)
