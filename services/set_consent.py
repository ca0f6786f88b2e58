"""Write down what a contact agreed to or withdrew, per channel and purpose, with its proof."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.actions import CHANNELS, PURPOSES
from engine.errors import InvalidInput
from engine.ids import ContactId, TenantId
from services.redecide import redecide
from store.audit import AuditLine, add_audit
from store.consents import Consent, add_consent, list_consents, list_consents_held
from store.leases import get_moment
from store.profiles import contact_not_found, find_contact, get_contact_id
from store.sends import suppress_queued

STATUSES = ("granted", "revoked")
_TOLERANCE = timedelta(minutes=5)
_REVOKED = "consent_revoked"


@dataclass(frozen=True, slots=True)
class ConsentTold:
    """What somebody reports.

    Attributes:
        channels, purposes: every pair of them.
        status: granted or revoked.
        basis: why it may be relied on, e.g. express_written, existing_customer, revocation.
        source: the system, form or person that heard it.
        by: who reports it; stands in the audit trail.
        at: when it was said, aware; None for now.
        id: unique at the source; the same again changes nothing. Empty: every report counts.
        evidence: what proves it, e.g. the text shown; no message may rely on more than is here.
    """

    channels: tuple[str, ...]
    purposes: tuple[str, ...]
    status: str
    basis: str
    source: str
    by: str
    at: datetime | None = None
    id: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


async def set_consent(
    connection: AsyncConnection, tenant_id: TenantId, contact: str, told: ConsentTold, now: datetime
) -> dict[str, Any]:
    """Add it to the ledger; return what holds now, how many rows are new, and what was taken back.

    A withdrawal takes back what is queued, in the same transaction. What is said later holds: an
    old grant that is reported late does not undo a newer withdrawal.

    Raises:
        ContactNotFound: unknown, or another tenant's.
        InvalidInput: an unknown channel, purpose or status, no basis, source or name, a time
            without zone or ahead of the clock.
    """
    _check(told, now)
    # by the database's clock, as the gate asks: what was just said holds for the next message
    moment = await get_moment(connection)
    at = moment if told.at is None else min(told.at, moment)
    contact_id = await get_contact_id(connection, contact)
    if not await find_contact(connection, contact_id):
        raise contact_not_found(contact)
    added = suppressed = 0
    for channel in dict.fromkeys(told.channels):
        for purpose in dict.fromkeys(told.purposes):
            row = Consent(
                contact_id, channel, purpose, told.status, told.basis, told.source,
                {"by": told.by, **told.evidence},
                external_id=f"{told.id}/{channel}/{purpose}" if told.id else None,
                effective_at=at,
            )  # fmt: skip
            added += await add_consent(connection, tenant_id, row)
    everybody = await list_consents_held(connection, tenant_id, [contact_id], now=moment)
    held = everybody.get(contact_id, {})
    for pair in ((c, p) for c in told.channels for p in told.purposes):
        if added and held.get(pair) == "revoked":
            suppressed += await suppress_queued(
                connection, tenant_id, contact_id,
                reason=_REVOKED, channel=pair[0], purpose=pair[1],
            )  # fmt: skip
    if added:
        detail = {"channels": list(told.channels), "purposes": list(told.purposes),
                  "status": told.status, "source": told.source}  # fmt: skip
        line = AuditLine(told.by, "contact.consent", "contact", str(contact_id), detail)
        await add_audit(connection, tenant_id, line)
        if told.status == "granted":
            await redecide(connection, tenant_id, contact_id, at=moment)
    return {
        "contact_id": str(contact_id),
        "added": added,
        "suppressed": suppressed,
        "held": _listed(held),
    }


def _check(told: ConsentTold, now: datetime) -> None:
    for what, given, known in (
        ("channel", told.channels, CHANNELS),
        ("purpose", told.purposes, PURPOSES),
        ("status", (told.status,), STATUSES),
    ):
        unknown = sorted(set(given) - set(known))
        if unknown or not given:
            raise InvalidInput(
                f"A consent names its {what}; found {unknown or 'none'}.",
                hint=f"Known: {', '.join(known)}.",
            )
    for name in ("basis", "source", "by"):
        if not str(getattr(told, name)).strip():
            raise InvalidInput(f"A consent needs a {name}.", hint="It is what proves it later.")
    if told.at is not None and told.at.tzinfo is None:
        raise InvalidInput("The time of a consent has no time zone.", hint="Add a final Z.")
    if told.at is not None and told.at > now + _TOLERANCE:
        raise InvalidInput(f"The consent was given at {told.at.isoformat()}, after now.")


async def show_consent(
    connection: AsyncConnection, tenant_id: TenantId, contact: str, now: datetime
) -> dict[str, Any]:
    """Return what holds per channel and purpose, and the whole ledger, newest first.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    contact_id = await get_contact_id(connection, contact)
    if not await find_contact(connection, contact_id):
        raise contact_not_found(contact)
    held = await list_consents_held(connection, tenant_id, [contact_id], now=now)
    return {
        "contact_id": str(contact_id),
        "held": _listed(held.get(ContactId(contact_id), {})),
        "ledger": [
            {
                "channel": row.channel,
                "purpose": row.purpose,
                "status": row.status,
                "basis": row.basis,
                "source": row.source,
                "evidence": dict(row.evidence),
                "effective_at": None if row.effective_at is None else row.effective_at.isoformat(),
            }
            for row in await list_consents(connection, tenant_id, contact_id)
        ],
    }


def _listed(held: Mapping[tuple[str, str], str]) -> list[dict[str, str]]:
    return [{"channel": c, "purpose": p, "status": s} for (c, p), s in sorted(held.items())]
