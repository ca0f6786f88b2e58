"""Consent of a contact, per channel and purpose."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.consent_documents import ConsentIn, Consents, ConsentSet
from api.dependencies import ContactName, Now, ReadsContactsCall, RecordsEventsCall
from api.strict_route import StrictRoute
from services.set_consent import set_consent, show_consent

router = APIRouter(prefix="/v1/contacts", tags=["contacts"], route_class=StrictRoute)


@router.get("/{contact}/consent", summary="Read a contact's consent", response_model=Consents)
async def read(call: ReadsContactsCall, contact: ContactName, now: Now) -> Response:
    """Return what holds per channel and purpose, and the ledger with its evidence."""
    return answer(await show_consent(call.connection, call.tenant_id, contact, now))


@router.put("/{contact}/consent", summary="Grant or withdraw consent", response_model=ConsentSet)
async def write(
    request: Request, call: RecordsEventsCall, contact: ContactName, now: Now, body: ConsentIn
) -> Response:
    """Add to the ledger; a withdrawal takes back what is queued, in the same transaction.

    The same `id` of the same source again changes nothing. A grant is decided about at once.
    """

    async def made() -> dict[str, object]:
        return await set_consent(call.connection, call.tenant_id, contact, body.told(), now)

    return await answer_once(request, call, made)
