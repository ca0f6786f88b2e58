"""The night's work on health: rate texts, retrain when it is time, score, watch for drift."""

import logging
from datetime import datetime, timedelta

from engine.errors import TooFewData
from engine.ids import TenantId
from services.night_job import begin_tonight
from services.rate_texts import rate_texts
from services.score_health import score_health
from services.train_churn import train_churn
from services.watch_drift import watch_drift
from services.wiring import Runtime
from store.decisions import finish_run
from store.leases import get_moment
from store.models import list_models

log = logging.getLogger(__name__)

BY = "nightly"
# Models lose power within some months; a month's data are a quarter more than a season's.
RETRAIN_AFTER = timedelta(days=28)
_MONDAY = 0  # looked at once a week: what is too little today is too little tomorrow


async def texts_tonight(runtime: Runtime, tenant_id: TenantId) -> None:
    """Rate what customers wrote since the last night."""
    await rate_texts(runtime.database, tenant_id, now=runtime.clock.now())


async def retrain_tonight(runtime: Runtime, tenant_id: TenantId) -> None:
    """On Mondays, train a challenger if the newest model is four weeks old or there is none."""
    async with runtime.database.transaction(tenant_id) as connection:
        now = await get_moment(connection)
        if now.weekday() != _MONDAY:
            return
        newest = await list_models(connection, limit=1)
        if newest and now - datetime.fromisoformat(newest[0]["created_at"]) < RETRAIN_AFTER:
            return
        run_id = await begin_tonight(connection, tenant_id, "retrain", now)
        if run_id is None:
            return
        try:
            async with connection.begin_nested():
                found = await train_churn(connection, runtime, tenant_id, by=BY)
        except TooFewData as error:
            log.info("tenant %s: not trained: %s", tenant_id, error.message)
            await finish_run(connection, run_id, {"models": 0})
            return
        await finish_run(connection, run_id, {"models": 1})
        log.info("tenant %s: model %s is %s", tenant_id, found["digest"][:12], found["status"])


async def score_tonight(runtime: Runtime, tenant_id: TenantId) -> None:
    """Score every contact; if that fails, the scores of the night before stay."""
    async with runtime.database.transaction(tenant_id) as connection:
        now = await get_moment(connection)
        run_id = await begin_tonight(connection, tenant_id, "score tonight", now)
        if run_id is None:
            return
        found = await score_health(connection, runtime, tenant_id)
        await finish_run(connection, run_id, {"contacts": found["contacts"]})


async def drift_tonight(runtime: Runtime, tenant_id: TenantId) -> None:
    """Once a week, on Mondays, look whether the model still fits."""
    async with runtime.database.transaction(tenant_id) as connection:
        now = await get_moment(connection)
        if now.weekday() != _MONDAY:
            return
        run_id = await begin_tonight(connection, tenant_id, "drift", now)
        if run_id is None:
            return
        report = await watch_drift(connection, runtime, tenant_id)
        await finish_run(connection, run_id, {"alerts": len(report["alerts"])})
