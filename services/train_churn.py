"""Train a tenant's churn model on its imported history, and put it in force."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from churn import artifact
from churn.definition import industry_definition
from churn.features import churn_features
from churn.train import train
from engine.ids import TenantId
from services.decide import checked_as_of
from services.playbook import event_types
from services.profiles import zoned
from services.tenant_settings import parse_settings
from services.wiring import Runtime
from store.audit import AuditLine, add_audit
from store.models import NewModel, add_champion
from store.playbooks import get_versions
from store.profiles import list_contacts, list_events

KIND = "hazard"
_WHOLE_HISTORY_DAYS = 36_500  # a century: whatever was imported


async def train_churn(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    as_of: datetime | None = None,
    by: str = "keepwell train",
) -> dict[str, Any]:
    """Train on everything known at `as_of` (default now) and make the result the champion.

    The last window whose outcome is known is kept out of training and tests the model; the
    returned document holds the metrics of that test beside the majority rate.

    Raises:
        TooFewData: says what there is and what it takes; the scorecard stays in force.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    versions = await get_versions(connection, moment)
    settings = parse_settings(
        versions.settings_json, name=versions.tenant_name, industry=versions.industry
    )
    definition = industry_definition(versions.industry or "", settings.visit_types)
    specs = churn_features(definition)
    contacts = zoned(await list_contacts(connection, moment), settings.time_zone)
    events = await list_events(
        connection, moment, event_types(specs), history_days=_WHOLE_HISTORY_DAYS
    )
    trained = train(contacts, events, definition, as_of=moment)
    document = artifact.dump(trained)
    digest = artifact.digest(document)
    metrics = {
        group: {days: asdict(scores) for days, scores in by_horizon.items()}
        for group, by_horizon in trained.metrics.items()
    }
    await add_champion(
        connection,
        tenant_id,
        NewModel(
            digest=digest,
            kind=KIND,
            artefact=document,
            metrics=metrics,
            features=list(trained.feature_names),
            trained_until=trained.trained_until,
        ),
    )
    await add_audit(connection, tenant_id, AuditLine(by, "train", "model", digest))
    return {
        "digest": digest,
        "trained_until": trained.trained_until.isoformat(),
        "data_from": trained.data_from.isoformat(),
        "data_until": trained.data_until.isoformat(),
        "contacts": trained.contacts,
        "training_rows": trained.training_rows,
        "training_events": trained.training_events,
        "calibration": asdict(trained.calibration),
        "out_of_time": orjson.loads(orjson.dumps(metrics, option=orjson.OPT_NON_STR_KEYS)),
    }
