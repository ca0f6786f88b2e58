"""A contact's health: the latest score with its parts and reasons, and its history."""

from typing import Any

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict
from engine.ids import TenantId
from services.playbook import playbook_at
from services.score_health import health_at
from services.wiring import Runtime
from store.health_scores import get_stored_health, list_refusals
from store.profiles import contact_not_found, find_contact, get_contact_id


class MachinesRefused(Conflict):
    """The contact refused to be judged by machines."""

    code = "machines_refused"


_HIDDEN = frozenset({"id", "tenant_id", "created_at", "updated_at", "contact_id", "account_id"})


async def show_health(
    connection: AsyncConnection, tenant_id: TenantId, contact: str
) -> dict[str, Any]:
    """Return the contact's latest score, null before the first, and up to 30 as history.

    `override` is what a person has set and is in force now, null if nothing is; `latest` shows its
    level and score in place of the model's. Who refused machines has no `latest`, whatever was said
    before, and `refused_machines` says so.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    contact_id = await get_contact_id(connection, contact)
    stored = await get_stored_health(connection, contact_id)
    if not stored.known:
        raise contact_not_found(contact)
    latest = None if stored.refused else stored.latest
    if latest is not None:
        latest = {name: value for name, value in latest.items() if name not in _HIDDEN}
        if stored.override is not None:
            latest["churn_risk_level"] = stored.override["risk_level"] or latest["churn_risk_level"]
            score = stored.override["health_score"]
            if score is not None:
                latest["overall_health_score"] = score
    return {
        "contact_id": str(contact_id),
        "tenant_id": str(tenant_id),
        "latest": latest,
        "refused_machines": stored.refused,
        "override": stored.override,
        "history": stored.history,
    }


async def explain_health(
    connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId, contact: str
) -> dict[str, Any]:
    """Return what moves the contact's risk at this moment, whatever its level; stores nothing.

    Raises:
        ContactNotFound: unknown, or another tenant's.
        MachinesRefused: the contact refused to be judged by machines.
    """
    contact_id = await get_contact_id(connection, contact)
    if not await find_contact(connection, contact_id):
        raise contact_not_found(contact)
    moment = runtime.clock.now()
    if str(contact_id) in await list_refusals(connection, moment):
        raise MachinesRefused(
            f"Contact {contact_id} refused to be judged by machines.",
            hint="'keepwell policy machines CONTACT --allowed' takes that back, if they wish it.",
        )
    playbook = await playbook_at(connection, tenant_id, moment)
    found = await health_at(connection, playbook, moment, [str(contact_id)], explain_all=True)
    row = found.select(
        "risk_factors", "positive_indicators", "hazard_90d", "confidence_level",
        "confidence_reason", pl.col("model_version"),
    ).row(0, named=True)  # fmt: skip
    return {"contact_id": str(contact_id), "as_of": moment.isoformat(), **row}
