"""When a contact of a tenant counts as gone: the industry's start values with the tenant's own."""

import math
import re
from collections.abc import Mapping, Sequence
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

# the others are numbers
_TEXTS, _TYPES = ("judged_by",), ("holding_types", "ending_types")
_NOUN_AND_VERB = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")

Value = float | str | Sequence[str]


def tenant_definition(industry: str | None, settings: TenantSettings) -> ChurnDefinition:
    """Return the definition that the next model is trained with, and that the scorecard uses.

    Raises:
        InvalidInput: the tenant's own values contradict each other.
    """
    start = industry_definition(industry or "", settings.visit_types)
    own: dict[str, Any] = {n: v for n, v in settings.churn.items() if n in SETTABLE}
    own |= {name: tuple(own[name]) for name in _TYPES if name in own}
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
    changes: Mapping[str, Value],
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
    whole = {name: _checked(name, value) for name, value in changes.items()}
    stored["churn"] = (stored.get("churn") or {}) | whole
    await save_settings(connection, tenant_id, stored)
    shown = await show_definition(connection, tenant_id, at)  # refuses what can't be
    line = AuditLine(by, "set_definition", "churn_definition", str(tenant_id), dict(whole))
    await add_audit(connection, tenant_id, line)
    return shown


def _checked(name: str, value: Value) -> float | int | str | list[str]:
    """The value in the type that its name has; texts may come as one word or several."""
    if name in _TEXTS:
        return str(value)
    if name in _TYPES:
        told = value.split(",") if isinstance(value, str) else value
        if not isinstance(told, Sequence):
            told = [str(told)]
        types = [each.strip() for each in told if each.strip()]
        wrong = [each for each in types if not _NOUN_AND_VERB.fullmatch(each)]
        if wrong:
            raise InvalidInput(
                f"{name} names {', '.join(wrong)}, which is no type of event.",
                hint="Types are noun and verb, e.g. contract.cancelled; several by commas.",
            )
        return types
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} is a number, not {value!r}.") from error
    if not math.isfinite(number):
        raise InvalidInput(f"{name} is a finite number, not {value!r}.")
    return int(number) if name == "min_visits" else number
