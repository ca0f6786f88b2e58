"""The consent ledger: rows are added, never changed; the newest one in effect holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId


@dataclass(frozen=True, slots=True)
class Consent:
    """One row of the ledger.

    Attributes:
        status: granted or revoked.
        basis: why it may be relied on, e.g. express_written, existing_customer, revocation.
        evidence: what proves it: text shown, form version, message that said STOP.
        source, external_id: the system that reported it and its id there; reported once.
        effective_at: holds from this moment on; None is the moment it is recorded.
    """

    contact_id: ContactId
    channel: str
    purpose: str
    status: str
    basis: str
    source: str
    evidence: Mapping[str, Any]
    external_id: str | None = None
    effective_at: datetime | None = None


async def add_consent(connection: AsyncConnection, tenant_id: TenantId, consent: Consent) -> bool:
    """Add a row to the ledger; False if its source had reported it already."""
    added = await connection.execute(
        text(
            "INSERT INTO keepwell.consents (tenant_id, contact_id, channel, purpose, status, "
            "basis, evidence, source, external_id, effective_at) VALUES (:tenant_id, :contact_id, "
            ":channel, :purpose, :status, :basis, cast(:evidence AS jsonb), :source, "
            ":external_id, coalesce(:effective_at, keepwell.clock())) "
            "ON CONFLICT (tenant_id, source, external_id) DO NOTHING"
        ),
        {
            "tenant_id": tenant_id,
            "contact_id": consent.contact_id,
            "channel": consent.channel,
            "purpose": consent.purpose,
            "status": consent.status,
            "basis": consent.basis,
            "evidence": orjson.dumps(dict(consent.evidence)).decode(),
            "source": consent.source,
            "external_id": consent.external_id,
            "effective_at": consent.effective_at,
        },
    )
    return added.rowcount == 1


async def list_consents(
    connection: AsyncConnection, tenant_id: TenantId, contact_id: ContactId
) -> list[Consent]:
    """List a contact's whole ledger, newest first."""
    rows = await connection.execute(
        text(
            "SELECT contact_id, channel, purpose, status, basis, source, "
            "evidence::text AS evidence, external_id, effective_at FROM keepwell.consents "
            "WHERE tenant_id = :tenant_id AND contact_id = :contact_id "
            "ORDER BY effective_at DESC, id DESC"
        ),
        {"tenant_id": tenant_id, "contact_id": contact_id},
    )
    return [
        Consent(**(dict(row._mapping) | {"evidence": orjson.loads(row.evidence)}))  # noqa: SLF001
        for row in rows
    ]


async def list_consents_held(
    connection: AsyncConnection,
    tenant_id: TenantId,
    contact_ids: Sequence[ContactId],
    *,
    now: datetime,
) -> dict[ContactId, dict[tuple[str, str], str]]:
    """Return, by contact, (channel, purpose) -> granted or revoked as it holds at `now`."""
    rows = await connection.execute(
        text(
            "SELECT DISTINCT ON (contact_id, channel, purpose) contact_id, channel, purpose, "
            "status FROM keepwell.consents WHERE tenant_id = :tenant_id "
            "AND contact_id = ANY(cast(:contacts AS uuid[])) AND effective_at <= :now "
            "ORDER BY contact_id, channel, purpose, effective_at DESC, id DESC"
        ),
        {"tenant_id": tenant_id, "contacts": list(contact_ids), "now": now},
    )
    held: dict[ContactId, dict[tuple[str, str], str]] = {}
    for contact_id, channel, purpose, status in rows:
        held.setdefault(contact_id, {})[channel, purpose] = status
    return held
