"""The days ahead, and what people say of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.dependencies import AnswersApprovalsCall, ReadsApprovalsCall, RuntimeOf
from api.plan_documents import MarkIn, WithdrawIn
from api.plan_shapes import Marked, Marks, Plan, Withdrawn
from api.strict_route import StrictRoute
from services.mark_plan import PlannedMessage, Word, mark_plan, show_marks, withdraw
from services.plan_days import LONGEST_DAYS, PlanFilter, plan_days

router = APIRouter(prefix="/v1/plan", tags=["plan"], route_class=StrictRoute)

# a request answers within seconds; what is larger is planned beside the database
MOST_CONTACT_DAYS = 70_000


@router.get("", summary="Plan the days ahead", response_model=Plan)
async def read_plan(
    call: ReadsApprovalsCall,
    runtime: RuntimeOf,
    days: Annotated[int, Query(ge=1, le=LONGEST_DAYS)] = 7,
    rule: Annotated[str | None, Query(max_length=200)] = None,
    channel: Annotated[str | None, Query(max_length=32)] = None,
    contact_id: Annotated[str | None, Query(max_length=36)] = None,
    day: Annotated[str | None, Query(max_length=10, description="Local day of the send.")] = None,
) -> Response:
    """Return who would get what, when, by which channel, and why; nothing is stored or sent.

    A dry run of each day ahead, caps and cooldowns counted as if what comes before had been sent.
    """
    only = PlanFilter(rule, channel, contact_id, day)
    return answer(
        await plan_days(
            call.connection,
            runtime,
            call.tenant_id,
            days=days,
            only=only,
            most_contact_days=MOST_CONTACT_DAYS,
        )
    )


@router.post("/marks", summary="Approve, hold or strike planned messages", response_model=Marked)
async def mark(request: Request, call: AnswersApprovalsCall, body: MarkIn) -> Response:
    """Say something about rows of the plan; the real run respects it. Strikes are feedback."""
    rows = [PlannedMessage(row.contact_id, row.rule, row.subject) for row in body.rows]
    word = Word(body.verdict, body.by, body.reason, body.until)
    return await answer_once(
        request, call, lambda: mark_plan(call.connection, call.tenant_id, rows, word)
    )


@router.get("/marks", summary="Read what people said of the plan", response_model=Marks)
async def read_marks(
    call: ReadsApprovalsCall, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> Response:
    """Return the newest marks, and the feedback on each rule."""
    return answer(await show_marks(call.connection, limit=limit))


@router.post("/marks/{mark_id}/withdraw", summary="Take a mark back", response_model=Withdrawn)
async def withdraw_mark(
    request: Request,
    call: AnswersApprovalsCall,
    mark_id: Annotated[int, Path(ge=1, le=2**62)],
    body: WithdrawIn,
) -> Response:
    """Take a word back: the run decides as if it had not been said."""
    return await answer_once(
        request, call, lambda: withdraw(call.connection, call.tenant_id, mark_id, by=body.by)
    )
