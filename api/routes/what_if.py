"""A past week under proposed rules, levers or policy."""

from fastapi import APIRouter
from fastapi.responses import Response

from api.answers import answer
from api.dependencies import ReadsApprovalsCall, RuntimeOf
from api.routes.plan import MOST_CONTACT_DAYS
from api.rule_tool_documents import given
from api.strict_route import StrictRoute
from api.what_if_documents import WhatIf, WhatIfIn
from services.what_if import Proposed, what_if

router = APIRouter(tags=["plan"], route_class=StrictRoute)


@router.post("/v1/what-if", summary="Decide a past week otherwise", response_model=WhatIf)
async def ask(call: ReadsApprovalsCall, runtime: RuntimeOf, body: WhatIfIn) -> Response:
    """Return who would have got what, as in force and as proposed; nothing is stored or sent.

    Bounded like the plan; a larger window is decided by the command, beside the database.
    """
    found = given(body.file)
    proposed = Proposed(
        file=None if found is None else found.texts,
        levers=body.proposed_levers(),
        sections=body.sections,
    )
    return answer(
        await what_if(
            call.connection,
            runtime,
            call.tenant_id,
            proposed,
            since=body.since,
            until=body.until,
            most_contact_days=MOST_CONTACT_DAYS,
        )
    )
