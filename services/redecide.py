"""Bring a contact back to arbitration: what was to be done has been blocked, expired or overtaken.

A worker decides anew at the moment given, with all rules and with what is known then; what comes
out may be the same action, another one, another channel, or nothing.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId
from store.due_checks import ask_check

TRIGGER = "redecide"

# The gate's answers after which something else may be right. A refusal by the person is not among
# them: who has just said no on one channel is not tried on another.
_COMES_BACK = frozenset(
    {
        "expired",
        "facts_changed",
        "frequency_cap",
        "no_legal_slot",
        "recipient_changed",
        "recipient_missing",
        "rule_halted",
        "message_unsendable",
        "provider_refused",
        "duplicate",
    }
)


def comes_back(reason: str | None) -> bool:
    """Tell whether the contact is decided about anew after a message ended for this reason."""
    return reason in _COMES_BACK


async def redecide(
    connection: AsyncConnection, tenant_id: TenantId, contact_id: ContactId, *, at: datetime
) -> None:
    """Have a worker decide about the contact anew, not before `at`; the commit wakes it."""
    await ask_check(connection, tenant_id, contact_id, trigger=TRIGGER, occurred_at=at)
