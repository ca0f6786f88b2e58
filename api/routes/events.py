"""Take in what happened."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from api.answers import answer_once
from api.dependencies import Call, Now, RecordsEventsCall
from api.documents import EventBatchIn, EventIn
from api.errors import invalid_fields, problem_document
from api.shapes import BatchResult, EventResult
from api.strict_route import StrictRoute
from engine.errors import KeepwellError, Unavailable
from services.record_event import record_event

router = APIRouter(prefix="/v1", tags=["events"], route_class=StrictRoute)


@router.post("/events", summary="Record one event", response_model=EventResult)
async def record_one(
    request: Request, call: RecordsEventsCall, now: Now, body: EventIn
) -> Response:
    """Record one event; an id seen before changes nothing and is answered `duplicate`."""
    return await answer_once(
        request,
        call,
        lambda: record_event(call.connection, call.tenant_id, body.to_event(), now=now),
    )


@router.post("/events:batch", summary="Record up to 1,000 events", response_model=BatchResult)
async def record_batch(
    request: Request, call: RecordsEventsCall, now: Now, body: EventBatchIn
) -> Response:
    """Record many events; the answer has one result per event, in the order sent.

    An event that can't be accepted is `rejected` with its problem and does not hinder the others.
    """

    async def record_all() -> dict[str, Any]:
        return {"results": [await _record(call, item, now) for item in body.events]}

    return await answer_once(request, call, record_all)


async def _record(call: Call, item: object, now: Now) -> dict[str, Any]:
    try:
        event = EventIn.model_validate(item).to_event()
    except ValidationError as error:
        return _rejected(item, invalid_fields(error.errors()))
    try:
        # whatever one event's failure leaves behind must not ride on the others' commit
        async with call.connection.begin_nested():
            return await record_event(call.connection, call.tenant_id, event, now=now)
    except Unavailable:
        raise
    except KeepwellError as error:
        return _rejected(item, error)


def _rejected(item: object, error: KeepwellError) -> dict[str, Any]:
    event_id = item.get("id") if isinstance(item, dict) else None
    return {
        "id": event_id if isinstance(event_id, str) else None,
        "status": "rejected",
        "problem": problem_document(error),
    }
