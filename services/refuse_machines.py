"""Note that a contact refuses, or allows again, to be decided about by machines that learn."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.actions import PURPOSES
from engine.ids import TenantId
from engine.profile import BY_MACHINE
from store.audit import AuditLine, add_audit
from store.consents import Consent, add_consent
from store.profiles import contact_not_found, find_contact, get_contact_id


async def refuse_machines(
    connection: AsyncConnection,
    tenant_id: TenantId,
    contact: str,
    *,
    refused: bool,
    by: str,
    source: str,
) -> dict[str, Any]:
    """Write the wish into the ledger of consent; it holds for the next decision.

    Who refuses gets what plain rules say, worded by templates, and is scored by no model; what a
    language model has worded and waits is not sent.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    contact_id = await get_contact_id(connection, contact)
    if not await find_contact(connection, contact_id):
        raise contact_not_found(contact)
    for purpose in PURPOSES:
        wish = Consent(
            contact_id=contact_id,
            channel=BY_MACHINE,
            purpose=purpose,
            status="revoked" if refused else "granted",
            basis="refusal" if refused else "allowed_again",
            source=source,
            evidence={"by": by},
        )
        await add_consent(connection, tenant_id, wish)
    line = AuditLine(by, "contact.machines", "contact", str(contact_id), {"refused": refused})
    await add_audit(connection, tenant_id, line)
    return {"contact_id": str(contact_id), "refused": refused}
