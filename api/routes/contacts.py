"""Read a contact and how it fares."""

from fastapi import APIRouter
from fastapi.responses import Response

from api.answers import answer
from api.dependencies import ContactName, ReadsContactsCall
from api.shapes import Contact, Health
from services.show_contact import show_contact
from services.show_health import show_health

router = APIRouter(prefix="/v1/contacts", tags=["contacts"])


@router.get("/{contact}", summary="Read a contact", response_model=Contact)
async def read_contact(call: ReadsContactsCall, contact: ContactName) -> Response:
    """Return who the contact is and which channels the CRM leaves open."""
    return answer(await show_contact(call.connection, call.tenant_id, contact))


@router.get("/{contact}/health", summary="Read a contact's health", response_model=Health)
async def read_health(call: ReadsContactsCall, contact: ContactName) -> Response:
    """Return the latest health score with its reasons, and up to 30 earlier ones."""
    return answer(await show_health(call.connection, call.tenant_id, contact))
