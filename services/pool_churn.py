"""Lend departures to the churn models of an industry's other businesses, and borrow theirs."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from churn.person_rows import Rows
from churn.pooled import LEAST_LENDERS, lent_rows
from engine.errors import InvalidInput
from engine.ids import TenantId
from services.churn_definition import tenant_definition
from services.closed_history import known_history
from services.tenant_settings import parse_settings
from services.wiring import Runtime
from store.audit import AuditLine, add_audit
from store.playbooks import get_versions
from store.tenants import get_industry, get_settings, list_tenant_ids, save_settings

# Their histories are read at each training: enough to learn from, few enough for a night.
MOST_LENDERS = 8


@dataclass(frozen=True, slots=True)
class Pooling:
    """Whether a tenant pools, and with how many.

    Attributes:
        on: the tenant has switched it on.
        industry: whose businesses pool with each other; None: nobody to pool with.
        others: businesses of the industry besides it that have switched it on.
    """

    on: bool
    industry: str | None
    others: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values; `enough`: three or more besides the tenant."""
        return {
            "on": self.on,
            "industry": self.industry,
            "others": self.others,
            "enough": self.others >= LEAST_LENDERS,
        }


async def show_pooling(
    connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
) -> Pooling:
    """Return whether the tenant of this transaction pools, and with how many it could."""
    on = (await get_settings(connection, tenant_id)).get("churn_pool") is True
    industry = await get_industry(connection)
    others = await _lenders(connection, runtime, tenant_id, industry)
    return Pooling(on, industry, len(others))


async def set_pooling(
    connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId, *, on: bool, by: str
) -> Pooling:
    """Switch pooling on or off; what others have learnt meanwhile they keep until they train again.

    Raises:
        InvalidInput: the tenant has no industry.
    """
    if on and not await get_industry(connection):
        raise InvalidInput(
            "The tenant has no industry, so there is nobody to pool with.",
            hint="Set tenants.industry, e.g. to healthcare, trades or professional_services.",
        )
    stored = await get_settings(connection, tenant_id)
    await save_settings(connection, tenant_id, stored | {"churn_pool": on})
    await add_audit(
        connection, tenant_id, AuditLine(by, "pool", "churn_model", str(tenant_id), {"on": on})
    )
    return await show_pooling(connection, runtime, tenant_id)


async def borrowed_rows(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    industry: str | None,
    until: datetime,
    judged_by: str,
) -> list[Rows]:
    """Return what the industry's other businesses lend, each read as that business alone.

    Nothing is kept of it. Empty where fewer than three lend.
    """
    lenders = await _lenders(connection, runtime, tenant_id, industry)
    found: list[Rows] = []
    for lender in lenders:
        rows = await _lent_by(runtime, lender, until, judged_by)
        if rows is not None:
            found.append(rows)
        if len(found) == MOST_LENDERS:
            break
    return found if len(found) >= LEAST_LENDERS else []


async def _lenders(
    connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId, industry: str | None
) -> list[TenantId]:
    """Who lends to this tenant, in an order of its own, so that not all borrow from the same."""
    if not industry:
        return []
    lenders = []
    for other in await list_tenant_ids(connection):
        if other == tenant_id:
            continue
        async with runtime.database.transaction(other) as theirs:
            told = await get_settings(theirs, other)
            if told.get("churn_pool") is True and await get_industry(theirs) == industry:
                lenders.append(other)
    return sorted(lenders, key=lambda lender: sha256(f"{tenant_id}{lender}".encode()).digest())


async def _lent_by(
    runtime: Runtime, lender: TenantId, until: datetime, judged_by: str
) -> Rows | None:
    async with runtime.database.transaction(lender) as theirs:
        versions = await get_versions(theirs, until)
        settings = parse_settings(
            versions.settings_json, name=versions.tenant_name, industry=versions.industry
        )
        definition = tenant_definition(versions.industry, settings)
        if definition.judged_by != judged_by:
            return None  # departures of another kind
        known = await known_history(
            theirs,
            definition,
            settings.time_zone,
            until,
            tenant_median_days=definition.usual_interval_days,
        )
    # in a thread: a worker goes on sending meanwhile
    return await asyncio.to_thread(lent_rows, known.contacts, known.events, definition, until=until)
