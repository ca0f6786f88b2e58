"""A tenant's whole history as the judges of models and health take it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from churn.closed_windows import Known
from churn.definition import ChurnDefinition
from churn.features import churn_features
from services.playbook import event_types, property_types
from services.profiles import zoned
from store.profiles import list_contacts, list_events

WHOLE_HISTORY_DAYS = 36_500  # a century: whatever was imported


async def known_history(
    connection: AsyncConnection,
    definition: ChurnDefinition,
    time_zone: str | None,
    moment: datetime,
    *,
    tenant_median_days: float,
) -> Known:
    """Return what was known of the tenant at a moment; the data end with the newest visit."""
    specs = churn_features(definition)
    contacts = zoned(await list_contacts(connection, moment), time_zone)
    events = await list_events(
        connection,
        moment,
        event_types(specs),
        told_by=property_types(specs),
        history_days=WHOLE_HISTORY_DAYS,
    )
    visits = events.filter(events["type"].is_in(definition.arrival_types))
    newest = visits["occurred_at"].max()
    until = newest if isinstance(newest, datetime) else moment
    return Known(contacts, events, specs, definition, tenant_median_days, until)
