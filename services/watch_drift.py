"""Look whether the world has moved away from what the model learnt, and tell people if so."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from churn.closed_windows import Known, closed_windows, origins_between, population
from churn.drift import Agreement, Shift, agreements, alerts, shifts
from churn.labels import RUN_UP_DAYS
from churn.model import HazardModel
from engine.ids import TenantId
from services.closed_history import known_history
from services.decide import checked_as_of
from services.playbook import playbook_at
from services.wiring import Runtime
from store.drift_reports import list_monthly_reports, save_drift_report
from store.notifications import notify_people

log = logging.getLogger(__name__)

SCORE = "P(churn within 90 days)"
HORIZONS = (30, 90)
_SHOWN_INPUTS = 20


async def watch_drift(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    as_of: datetime | None = None,
) -> dict[str, Any]:
    """Compare inputs, score and outcomes with the time of the training; keep and return the report.

    Alerts go to the log and, as notifications of the CRM, to the tenant's owners and admins. With
    the scorecard there is nothing that was learnt: the report says so.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    playbook = await playbook_at(connection, tenant_id, moment)
    report: dict[str, Any] = {
        "as_of": moment.isoformat(),
        "model": None,
        "note": playbook.tier_note,
    }
    model = playbook.model
    told: list[str] = []
    if model is not None:
        known = await known_history(
            connection,
            model.trained.definition,
            playbook.settings.time_zone,
            moment,
            tenant_median_days=model.trained.tenant_median_days,
        )
        inputs, score, calibration = await asyncio.to_thread(_compared, known, model)
        told = alerts(inputs, score, calibration)
        report |= {
            "model": model.digest,
            "inputs": [asdict(each) for each in inputs[:_SHOWN_INPUTS]],
            "score": asdict(score),
            "calibration": [asdict(each) | {"agrees": each.agrees} for each in calibration],
        }
    report["alerts"] = told
    await save_drift_report(
        connection, tenant_id, moment, None if model is None else model.digest, report, told
    )
    if told:
        log.warning("tenant %s: the churn model drifts: %s", tenant_id, "; ".join(told))
        await notify_people(connection, "The churn model needs a look", "\n".join(told))
    return report


async def monthly_drift(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Return the newest report of each month, newest first."""
    return [row["result"] for row in await list_monthly_reports(connection)]


def _compared(
    known: Known, model: HazardModel
) -> tuple[Sequence[Shift], Shift, Sequence[Agreement]]:
    then = population(known, model, model.trained.trained_until)
    now = population(known, model, known.until)
    earlier = _as_long_before(known, model)
    inputs = shifts(then, now, _filled(known, model), earlier=earlier)
    (score,) = shifts(then, now, [SCORE], earlier=earlier)
    windows = closed_windows(
        known, {"model": model}, origins_between(model.trained.trained_until, known.until)
    )
    return inputs, score, agreements(windows, "model", HORIZONS)


def _as_long_before(known: Known, model: HazardModel) -> pl.DataFrame | None:
    """The population as long before the training as now is after it; None before all history."""
    trained = model.trained
    moment = trained.trained_until - (known.until - trained.trained_until)
    if moment <= trained.data_from + timedelta(days=RUN_UP_DAYS):
        return None
    return population(known, model, moment)


def _filled(known: Known, model: HazardModel) -> list[str]:
    """Inputs whose window the history had filled at the training: the others were still growing."""
    trained = model.trained
    history_days = (trained.trained_until - trained.data_from).days
    windows = {spec.name: spec.window_days or 0 for spec in known.specs}
    return [name for name in model.feature_names if windows.get(name, 0) <= history_days]
