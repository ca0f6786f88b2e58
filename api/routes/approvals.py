"""What waits for a person, and the answer."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.dependencies import AnswersApprovalsCall, ReadsApprovalsCall
from api.plan_documents import ApproveIn, RefuseIn
from api.plan_shapes import ApprovalAnswer, Approvals
from api.strict_route import StrictRoute
from services.approve import approve, refuse, show_approvals
from store.approvals import ApprovalNotFound

router = APIRouter(prefix="/v1/approvals", tags=["approvals"], route_class=StrictRoute)

ApprovalName = Annotated[
    str, Path(description="The id.", examples=["0190f3a2-4d5e-7c11-9a5b-3f1f6f0c2b7d"])
]


@router.get("", summary="List what waits for a person", response_model=Approvals)
async def read_approvals(
    call: ReadsApprovalsCall,
    state: Literal["waiting", "approved", "refused", "expired", "overtaken"] = "waiting",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """Return messages that wait, what expires first, first. Silence never approves."""
    return answer(await show_approvals(call.connection, state=state, limit=limit, after=after))


@router.post("/{approval}/approve", summary="Approve a message", response_model=ApprovalAnswer)
async def approve_one(
    request: Request, call: AnswersApprovalsCall, approval: ApprovalName, body: ApproveIn
) -> Response:
    """Approve a message; it is queued if the gate still lets it pass.

    `state` is then `approved`, else `overtaken`, and `reason` says what has changed since.
    """
    return await answer_once(
        request,
        call,
        lambda: approve(call.connection, call.tenant_id, _id(approval), by=body.by),
    )


@router.post("/{approval}/refuse", summary="Refuse a message", response_model=ApprovalAnswer)
async def refuse_one(
    request: Request, call: AnswersApprovalsCall, approval: ApprovalName, body: RefuseIn
) -> Response:
    """Refuse a message: it is not sent, and not proposed again for two weeks."""
    return await answer_once(
        request,
        call,
        lambda: refuse(
            call.connection, call.tenant_id, _id(approval), by=body.by, reason=body.reason
        ),
    )


def _id(approval: str) -> UUID:
    try:
        return UUID(approval)
    except ValueError:
        raise ApprovalNotFound("Nothing of this id was put before a person.") from None
