"""Train a tenant's churn model and let it challenge the one in force."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from churn import artifact
from churn.artifact import TrainedModel
from churn.closed_windows import Known, closed_windows, origins_between
from churn.model import HazardModel
from churn.person_rows import Rows
from churn.pooled import borrower_until, train_pooled
from churn.train import train
from churn.trial import Trial, compare
from engine.errors import InvalidInput, ModelUnusable
from engine.ids import TenantId
from services.churn_definition import tenant_definition
from services.closed_history import known_history
from services.decide import checked_as_of
from services.pool_churn import borrowed_rows
from services.tenant_settings import parse_settings
from services.wiring import Runtime
from store.audit import AuditLine, add_audit
from store.models import (
    NewModel,
    add_challenger,
    add_trial,
    find_champion,
    list_trials,
    make_champion,
)
from store.playbooks import find_model, get_versions

KIND = "hazard"


async def train_churn(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    as_of: datetime | None = None,
    by: str = "keepwell train",
) -> dict[str, Any]:
    """Train on everything known at `as_of` (default now) and let the result challenge the champion.

    Where the tenant pools and three others of its industry lend, the model is of the highest tier
    that the tenant's own past has earned, see `churn.pooled`; else it is of its own rows alone.
    Both predict the windows after the training, which the challenger has not seen; it takes over if
    it is better there with a stated probability, see `churn.trial`. The returned document holds the
    metrics of that time beside the majority rate, the comparison and the `status` that came of it.

    Raises:
        TooFewData: says what there is and what it takes; what was in force stays in force.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    versions = await get_versions(connection, moment)
    settings = parse_settings(
        versions.settings_json, name=versions.tenant_name, industry=versions.industry
    )
    definition = tenant_definition(versions.industry, settings)
    known = await known_history(
        connection,
        definition,
        settings.time_zone,
        moment,
        tenant_median_days=definition.usual_interval_days,
    )
    lent: list[Rows] = []
    if settings.churn_pool:
        until = borrower_until(known.events, definition, moment)
        judged_by = definition.judged_by
        lent = await borrowed_rows(
            connection, runtime, tenant_id, versions.industry, until, judged_by
        )
    # in a thread: a worker goes on sending meanwhile
    if lent:
        trained = await asyncio.to_thread(
            train_pooled, known.contacts, known.events, definition, lent, as_of=moment
        )
    else:
        trained = await asyncio.to_thread(
            train, known.contacts, known.events, definition, as_of=moment
        )
    document = artifact.dump(trained)
    digest = artifact.digest(document)
    metrics = {
        group: {days: asdict(scores) for days, scores in by_horizon.items()}
        for group, by_horizon in trained.metrics.items()
    }
    facts = facts_of(trained)
    status = await add_challenger(
        connection,
        tenant_id,
        NewModel(
            digest=digest,
            kind=KIND,
            artefact=document,
            metrics=metrics,
            features=list(trained.feature_names),
            trained_until=trained.trained_until,
            facts=facts,
        ),
    )
    await add_audit(connection, tenant_id, AuditLine(by, "train", "model", digest))
    if status != "champion":
        status = await _challenged(connection, tenant_id, known, trained, digest, by)
    trials = await list_trials(connection, digest)
    return {
        "digest": digest,
        "status": status,
        **facts,
        "out_of_time": orjson.loads(orjson.dumps(metrics, option=orjson.OPT_NON_STR_KEYS)),
        "trial": trials[0]["result"] if trials else None,
    }


def facts_of(trained: TrainedModel) -> dict[str, Any]:
    """Return what describes a model besides its metrics, as plain values."""
    return {
        "tier": trained.tier,
        "lenders": trained.lenders,
        "trained_until": trained.trained_until.isoformat(),
        "data_from": trained.data_from.isoformat(),
        "data_until": trained.data_until.isoformat(),
        "contacts": trained.contacts,
        "training_rows": trained.training_rows,
        "training_events": trained.training_events,
        "calibration": asdict(trained.calibration),
        "value": _value_of(trained),
        "libraries": dict(trained.libraries),
    }


def _value_of(trained: TrainedModel) -> dict[str, Any] | None:
    """Which method tells money and how right each was on 120 days that none had seen."""
    value = trained.value
    if value is None:
        return None
    return {
        "method": value.method,
        "judged": value.judged,
        "mean_absolute_error": value.mae,
        "spearman": value.spearman,
    }


async def _challenged(
    connection: AsyncConnection,
    tenant_id: TenantId,
    known: Known,
    trained: TrainedModel,
    digest: str,
    by: str,
) -> str:
    """Compare with the champion, keep the comparison, promote; return the model's status."""
    champion = await find_champion(connection, KIND)
    found = await _trial(connection, known, trained, champion)
    await add_trial(
        connection,
        tenant_id,
        challenger=digest,
        champion=champion,
        promoted=found.promoted,
        result=asdict(found) | {"judged_days": 90},
        by=by,
    )
    if not found.promoted:
        return "challenger"
    await make_champion(connection, digest, KIND)
    detail = {"instead_of": champion, "better": found.better}
    await add_audit(connection, tenant_id, AuditLine(by, "promote", "model", digest, detail))
    return "champion"


async def _trial(
    connection: AsyncConnection, known: Known, trained: TrainedModel, champion: str | None
) -> Trial:
    """The comparison on the windows that closed after the challenger's training."""
    stored = None if champion is None else await find_model(connection, champion)
    against: HazardModel | None = None
    if stored is not None:
        try:
            against = HazardModel(artifact.load(stored, expected_digest=champion))
        except ModelUnusable:
            against = None  # what can't be loaded is no champion: the scorecard serves
    # what neither has learnt from
    since = trained.trained_until
    if against is not None:
        since = max(since, against.trained.trained_until)
    origins = origins_between(since, known.until)
    # A contact's limit depends a little on the model's own median, and so does who counts as gone:
    # the challenger has to be better by either's count.
    medians = {trained.tenant_median_days}
    if against is not None:
        medians.add(against.trained.tenant_median_days)
    found = []
    for median in sorted(medians):
        judged = Known(
            known.contacts, known.events, known.specs, trained.definition, median, known.until
        )
        scorers = {"challenger": HazardModel(trained), "champion": against}
        try:
            windows = await asyncio.to_thread(closed_windows, judged, scorers, origins)
        except InvalidInput:
            # the champion reads features that are not computed any more: it can't serve either
            against = None
            windows = await asyncio.to_thread(
                closed_windows, judged, scorers | {"champion": None}, origins
            )
        found.append(compare(windows, first_model=against is None))
    return min(found, key=lambda each: (each.promoted, each.better or 0.0))
