"""Read a contact."""

from fastapi import APIRouter
from fastapi.responses import Response

from api.answers import answer
from api.dependencies import ContactName, ReadsContactsCall
from api.experiment_documents import Insights
from api.shapes import Contact
from services.show_contact import show_contact
from services.show_insights import show_insights

router = APIRouter(prefix="/v1/contacts", tags=["contacts"])


@router.get("/{contact}", summary="Read a contact", response_model=Contact)
async def read_contact(call: ReadsContactsCall, contact: ContactName) -> Response:
    """Return who the contact is and which channels the CRM leaves open."""
    return answer(await show_contact(call.connection, call.tenant_id, contact))


@router.get("/{contact}/insights", summary="How a contact is reached best", response_model=Insights)
async def read_insights(call: ReadsContactsCall, contact: ContactName) -> Response:
    """Return best time, day and channel, shares, patterns, and how right predictions were."""
    return answer(await show_insights(call.connection, contact))
