"""The calibration report of a tenant: predicted against observed, for anyone to read."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from churn.closed_windows import Known, closed_only, closed_windows, origins_between
from churn.labels import RUN_UP_DAYS
from churn.metrics import scores
from churn.model import HazardModel
from churn.reliability import by_month, by_segment, by_tenth
from churn.report_page import Report, report_page
from engine.errors import TooFewData
from engine.ids import TenantId
from services.closed_history import known_history
from services.decide import checked_as_of
from services.playbook import playbook_at
from services.wiring import Runtime
from store.drift_reports import list_monthly_reports

HORIZONS = (30, 90)
_SCORER = "present"


async def churn_report(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    as_of: datetime | None = None,
) -> tuple[str, dict[str, Any]]:
    """Return the page and what it says in figures.

    Tenths and segments are of windows that closed after the model's training alone; months are all,
    with those it had learnt from marked. With the scorecard nothing was learnt from.

    Raises:
        TooFewData: no window has closed.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    playbook = await playbook_at(connection, tenant_id, moment)
    model = playbook.model
    definition = playbook.definition
    known = await known_history(
        connection,
        definition,
        playbook.settings.time_zone,
        moment,
        tenant_median_days=definition.usual_interval_days
        if model is None
        else model.trained.tenant_median_days,
    )
    drift = await list_monthly_reports(connection)
    told = playbook.tier_note if model is None else f"model {model.digest[:12]}"
    report = await asyncio.to_thread(
        _report, known, model, playbook.tenant_name, told, runtime.clock.now().isoformat()
    )
    if drift:
        report = replace(report, alerts=drift[0]["alerts"])
    figures = {
        "tenant": playbook.tenant_name,
        "scorer": told,
        "horizons": {
            str(days): {
                "n": found.n, "auc": found.auc, "log_loss": found.log_loss, "brier": found.brier,
                "ece": found.ece, "accuracy": found.accuracy,
                "majority_accuracy": found.majority_accuracy,
            }
            for days, found in report.scores.items()
        },
        "months": {str(days): len(points) for days, points in report.months.items()},
    }  # fmt: skip
    return report_page(report), figures


def _report(
    known: Known, model: HazardModel | None, tenant: str, scorer: str, made_at: str
) -> Report:
    first = known.events["occurred_at"].min()
    start = first if isinstance(first, datetime) else known.until
    origins = [
        origin
        for origin in origins_between(start, known.until)
        if (origin - start).days >= RUN_UP_DAYS
    ]
    windows = closed_windows(known, {_SCORER: model}, origins)
    if not closed_only(windows, HORIZONS[0]).height:
        raise TooFewData(
            "No window has closed: there is nothing to compare predictions with yet.",
            hint=f"It takes {RUN_UP_DAYS + HORIZONS[0]} days of visits.",
        )
    unseen, unseen_from = windows, None
    if model is not None:
        until = model.trained.trained_until
        unseen = windows.filter(windows["origin"] >= until)
        unseen_from = until.strftime("%Y-%m")
    judged = {}
    for days in HORIZONS:
        closed = closed_only(unseen, days)
        if closed.height:
            judged[days] = scores(
                closed[f"churned_{days}"].to_numpy(), closed[f"{_SCORER}_{days}"].to_numpy()
            )
    return Report(
        tenant=tenant,
        made_at=made_at,
        scorer=scorer,
        scores=judged,
        tenths={days: by_tenth(unseen, _SCORER, days) for days in HORIZONS},
        segments={days: by_segment(unseen, _SCORER, days) for days in HORIZONS},
        months={
            days: by_month(windows, _SCORER, days, unseen_from=unseen_from) for days in HORIZONS
        },
        alerts=(),
    )
