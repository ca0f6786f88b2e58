"""A person knows better: set a contact's risk level or score, with reason, author and an end."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from churn.health_policy import LEVELS
from engine.errors import InvalidInput, NotFound
from engine.ids import TenantId
from services.score_health import score_one
from services.show_health import show_health
from services.wiring import Runtime
from store.audit import AuditLine, add_audit
from store.health_overrides import NewOverride, add_override, lift_overrides
from store.profiles import contact_not_found, find_contact, get_contact_id

MIN_REASON, MAX_REASON = 3, 1_000
MAX_DAYS = 400  # what nobody has looked at for a year is not known any more


class OverrideNotFound(NotFound):
    """Nothing is set for this contact that is in force."""

    code = "override_not_found"


async def override_health(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    contact: str,
    override: NewOverride,
) -> dict[str, Any]:
    """Set it, analyse the contact anew, and return its health; `contact_id` of it is not read.

    It holds in every analysis until it expires or is lifted, whatever the model says meanwhile.

    Raises:
        ContactNotFound: unknown, or another tenant's.
        InvalidInput: nothing is set, or reason, author, level, score or end will not do.
    """
    contact_id = await get_contact_id(connection, contact)
    if not await find_contact(connection, contact_id):
        raise contact_not_found(contact)
    _check(override, runtime.clock.now())
    number = await add_override(
        connection,
        tenant_id,
        NewOverride(
            contact_id, override.reason.strip(), override.author.strip(), override.expires_at,
            override.health_score, override.risk_level,
        ),
    )  # fmt: skip
    # reasons are about a person: they stay with the override, not in the audit trail
    detail = {
        "contact_id": str(contact_id),
        "risk_level": override.risk_level,
        "health_score": override.health_score,
        "expires_at": override.expires_at.isoformat(),
    }
    line = AuditLine(override.author, "override", "health", str(number), detail)
    await add_audit(connection, tenant_id, line)
    await score_one(connection, runtime, tenant_id, contact_id)
    return await show_health(connection, tenant_id, contact)


async def lift_override(
    connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId, contact: str, *, by: str
) -> dict[str, Any]:
    """Lift what is set for the contact, analyse it anew, and return its health.

    Raises:
        ContactNotFound: unknown, or another tenant's.
        OverrideNotFound: nothing is in force.
    """
    contact_id = await get_contact_id(connection, contact)
    if not await find_contact(connection, contact_id):
        raise contact_not_found(contact)
    lifted = await lift_overrides(connection, contact_id, by)
    if not lifted:
        raise OverrideNotFound(f"Nothing is set for the contact '{contact}'.")
    for number in lifted:
        detail = {"contact_id": str(contact_id)}
        await add_audit(
            connection, tenant_id, AuditLine(by, "lift_override", "health", str(number), detail)
        )
    await score_one(connection, runtime, tenant_id, contact_id)
    return await show_health(connection, tenant_id, contact)


def _check(override: NewOverride, now: datetime) -> None:
    if override.risk_level is None and override.health_score is None:
        raise InvalidInput("An override sets a risk level, a health score or both.")
    if override.risk_level is not None and override.risk_level not in LEVELS:
        raise InvalidInput(
            f"There is no risk level '{override.risk_level}'.", hint=f"One of {', '.join(LEVELS)}."
        )
    if override.health_score is not None and not 0 <= override.health_score <= 100:
        raise InvalidInput(f"A health score lies in 0 to 100, not at {override.health_score}.")
    if not MIN_REASON <= len(override.reason.strip()) <= MAX_REASON:
        raise InvalidInput(
            f"An override needs a reason of {MIN_REASON} to {MAX_REASON} characters."
        )
    if not override.author.strip():
        raise InvalidInput("An override needs an author.")
    days = (override.expires_at - now).total_seconds() / 86_400
    if not 0 < days <= MAX_DAYS:
        raise InvalidInput(
            f"An override expires within {MAX_DAYS} days; {override.expires_at.isoformat()} is "
            + ("past." if days <= 0 else "later."),
            hint="Set it anew when the time has come.",
        )
