"""Decide, read a decision, replay it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.dependencies import ContactName, DecidesCall, ReadsDecisionsCall, RuntimeOf
from api.documents import DecideIn, Moment, NothingIn
from api.shapes import Decision, DecisionSummary, Explanation, Replay
from api.strict_route import StrictRoute
from engine.errors import DecisionNotFound
from services.decide import decide_contact
from services.explain_decision import explain_contact, explain_decision
from services.explanation_words import explanation_lines
from services.replay_decision import replay_decision
from services.show_decision import show_decision
from services.summarise_decisions import summarise_decisions

router = APIRouter(prefix="/v1", tags=["decisions"], route_class=StrictRoute)

DecisionName = Annotated[
    str, Path(description="The decision's id.", examples=["0190f3a2-4d5e-7c11-9a5b-3f1f6f0c2b7d"])
]
_DEFAULTS = DecideIn()


@router.post(
    "/contacts/{contact}/next-best-action",
    summary="Decide a contact's next best action",
    response_model=Decision,
)
async def next_best_action(
    request: Request,
    call: DecidesCall,
    contact: ContactName,
    runtime: RuntimeOf,
    body: DecideIn | None = None,
) -> Response:
    """Decide what to do next for one contact, store the decision and queue what it sends.

    `action` is null when the best is to do nothing; `reason` says why. With `dry_run` nothing is
    stored or queued. Repeat safely with an `Idempotency-Key`.
    """
    wish = body or _DEFAULTS
    return await answer_once(
        request,
        call,
        lambda: decide_contact(
            call.connection,
            runtime,
            call.tenant_id,
            contact,
            as_of=wish.as_of,
            trigger=wish.trigger,
            dry_run=wish.dry_run,
        ),
    )


@router.get("/decisions/summary", summary="Group decisions", response_model=DecisionSummary)
async def summary(
    call: ReadsDecisionsCall,
    runtime: RuntimeOf,
    since: Annotated[
        Moment | None, Query(description="First moment; absent: the newest run over all contacts.")
    ] = None,
    until: Annotated[Moment | None, Query(description="End; absent: now.")] = None,
) -> Response:
    """Return who was left with no action, which stage did it, and what levers and caps cost."""
    return answer(await summarise_decisions(call.connection, runtime, since=since, until=until))


@router.get("/decisions/{decision}", summary="Read a decision", response_model=Decision)
async def read_decision(call: ReadsDecisionsCall, decision: DecisionName) -> Response:
    """Return a stored decision with all candidates and what became of each."""
    return answer(await show_decision(call.connection, call.tenant_id, _id(decision)))


@router.get(
    "/decisions/{decision}/explain", summary="Explain a decision", response_model=Explanation
)
async def explain(call: ReadsDecisionsCall, decision: DecisionName) -> Response:
    """Return a stored decision with the conditions, stages and terms of every candidate.

    `explanation.smallest_change` is the least that would have flipped the choice; `words` says all
    of it for people.
    """
    document = await explain_decision(call.connection, call.tenant_id, _id(decision))
    return answer(document | {"words": explanation_lines(document)})


@router.get(
    "/contacts/{contact}/explain",
    summary="Explain what would be decided for a contact",
    response_model=Explanation,
)
async def explain_one(
    call: ReadsDecisionsCall,
    contact: ContactName,
    runtime: RuntimeOf,
    as_of: Annotated[
        Moment | None, Query(description="With what was known at this moment; absent: now.")
    ] = None,
) -> Response:
    """Return what would be decided at a moment, and why; nothing is stored or sent."""
    document = await explain_contact(call.connection, runtime, call.tenant_id, contact, as_of=as_of)
    return answer(document | {"words": explanation_lines(document)})


@router.post("/decisions/{decision}/replay", summary="Recompute a decision", response_model=Replay)
async def replay(
    call: ReadsDecisionsCall,
    runtime: RuntimeOf,
    decision: DecisionName,
    _body: NothingIn | None = None,
) -> Response:
    """Recompute a decision from what was known then and compare every field; changes nothing."""
    found = _id(decision)
    return answer(await replay_decision(call.connection, runtime, call.tenant_id, found))


def _id(decision: str) -> UUID:
    # an id that can't exist is answered like one that doesn't
    try:
        return UUID(decision)
    except ValueError:
        raise DecisionNotFound("There is no such decision.") from None
