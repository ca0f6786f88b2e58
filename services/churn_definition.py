"""When a contact of a tenant counts as gone: the industry's start values with the tenant's own."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from churn.definition import ChurnDefinition, industry_definition
from engine.errors import InvalidInput
from engine.ids import TenantId
from services.tenant_settings import TenantSettings, parse_settings
from store.audit import AuditLine, add_audit
from store.playbooks import get_versions
from store.tenants import get_settings, save_settings

# what counts as a visit has a setting of its own, `visit_events`
SETTABLE = tuple(f.name for f in fields(ChurnDefinition) if f.name != "visit_types")


def tenant_definition(industry: str | None, settings: TenantSettings) -> ChurnDefinition:
    """Return the definition that the next model is trained with, and that the scorecard uses.

    Raises:
        InvalidInput: the tenant's own values contradict each other.
    """
    start = industry_definition(industry or "", settings.visit_types)
    own = {name: value for name, value in settings.churn.items() if name in SETTABLE}
    return replace(start, **own)


async def show_definition(
    connection: AsyncConnection, tenant_id: TenantId, at: datetime
) -> dict[str, Any]:
    """Return the values in force and which of them are the tenant's own."""
    versions = await get_versions(connection, at)
    settings = parse_settings(
        versions.settings_json, name=versions.tenant_name, industry=versions.industry
    )
    definition = tenant_definition(versions.industry, settings)
    return {
        "tenant_id": str(tenant_id),
        "industry": versions.industry,
        **definition.as_dict(),
        "own": sorted(set(settings.churn) & set(SETTABLE)),
    }


async def set_definition(
    connection: AsyncConnection,
    tenant_id: TenantId,
    changes: Mapping[str, float],
    *,
    by: str,
    at: datetime,
) -> dict[str, Any]:
    """Set some of the values; they hold from the next training, for the scorecard at once.

    Raises:
        InvalidInput: an unknown name, or values that contradict each other; nothing changes.
    """
    unknown = set(changes) - set(SETTABLE)
    if unknown or not changes:
        raise InvalidInput(
            f"A definition has no {', '.join(sorted(unknown)) or 'change'}.",
            hint=f"It has {', '.join(SETTABLE)}.",
        )
    stored = await get_settings(connection, tenant_id)
    whole = {name: int(v) if name == "min_visits" else float(v) for name, v in changes.items()}
    stored["churn"] = (stored.get("churn") or {}) | whole
    await save_settings(connection, tenant_id, stored)
    shown = await show_definition(connection, tenant_id, at)  # refuses what can't be
    line = AuditLine(by, "set_definition", "churn_definition", str(tenant_id), dict(whole))
    await add_audit(connection, tenant_id, line)
    return shown
