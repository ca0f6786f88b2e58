"""Weights of the parts of health and bounds of the risk levels: show, set, and fit to outcomes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from churn.closed_windows import closed_only, closed_windows, origins_between
from churn.health_policy import HealthPolicy, rest_shared
from churn.labels import RUN_UP_DAYS
from churn.levels import Cut, cut_for_precision, cut_for_recall
from churn.part_weights import fit_weights
from engine.errors import InvalidInput, TooFewData
from engine.ids import TenantId
from services.closed_history import known_history
from services.decide import checked_as_of
from services.playbook import Playbook, health_policy, playbook_at
from services.wiring import Runtime
from store.audit import AuditLine, add_audit
from store.health_settings import add_health_settings, list_health_settings
from store.playbooks import get_versions

_SCORER = "present"
_DAYS = 90


@dataclass(frozen=True, slots=True)
class Author:
    """Who sets it and why; both stand in the audit trail and in the list of versions."""

    by: str
    reason: str = ""


async def show_health_settings(connection: AsyncConnection, at: datetime) -> dict[str, Any]:
    """Return what is in force and the versions that were set, newest first."""
    versions = await get_versions(connection, at)
    history = await list_health_settings(connection)
    return {
        "version": history[0].version if history else 0,
        **health_policy(versions.health_json).as_dict(),
        "history": [asdict(each) | {"made_at": each.made_at.isoformat()} for each in history],
    }


async def set_weights(
    connection: AsyncConnection,
    tenant_id: TenantId,
    changes: Mapping[str, float],
    author: Author,
    *,
    at: datetime,
) -> dict[str, Any]:
    """Set some weights; the others share the rest as they shared before. Return what is in force.

    Raises:
        InvalidInput: an unknown part, a weight outside 0 to 1, or more than 1 in all.
    """
    if not changes:
        raise InvalidInput("No weight is given.", hint="For example engagement=0.5.")
    present = health_policy((await get_versions(connection, at)).health_json)
    policy = replace(present, weights=rest_shared(changes, present.weights))
    await _put(connection, tenant_id, policy, author, "set_weights")
    return await show_health_settings(connection, at)


async def set_levels(
    connection: AsyncConnection,
    tenant_id: TenantId,
    changes: Mapping[str, float],
    author: Author,
    *,
    at: datetime,
) -> dict[str, Any]:
    """Set bounds of levels (medium_from, high_from, critical_above, margin); return what holds.

    Raises:
        InvalidInput: an unknown bound, or bounds that do not rise.
    """
    known = {"medium_from", "high_from", "critical_above", "margin"}
    if not changes or set(changes) - known:
        raise InvalidInput(f"Bounds are {', '.join(sorted(known))}; found {sorted(changes)}.")
    present = health_policy((await get_versions(connection, at)).health_json)
    values = present.as_dict() | dict(changes) | {"chosen_for": f"set by {author.by}"}
    await _put(connection, tenant_id, HealthPolicy(**values), author, "set_levels")
    return await show_health_settings(connection, at)


async def fit_health_weights(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    author: Author,
    *,
    as_of: datetime | None = None,
    apply: bool = True,
) -> dict[str, Any]:
    """Fit the weights to who left, and put them in force where they rank departures better.

    Judged on the last third of the windows, which the fit has not seen. `applied` says whether they
    are in force now.

    Raises:
        TooFewData: too few departures; nothing changes.
    """
    playbook, windows = await _windows(connection, runtime, tenant_id, as_of)
    found = fit_weights(windows, playbook.health.weights)
    better = (found.auc_then or 0.0) > (found.auc_before or 0.0)
    applied = apply and better and dict(found.weights) != dict(playbook.health.weights)
    if applied:
        policy = replace(playbook.health, weights=found.weights)
        await _put(connection, tenant_id, policy, author, "fit_weights")
    return {**asdict(found), "before": dict(playbook.health.weights), "applied": applied}


async def fit_health_levels(  # noqa: PLR0913 - what a command asks
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    author: Author,
    *,
    precision: float | None = None,
    recall: float | None = None,
    as_of: datetime | None = None,
    apply: bool = True,
) -> dict[str, Any]:
    """Choose where 'high' begins so that alerts are right so often, or find so many departures.

    From windows that closed after the model's training, which it has not seen; with the scorecard,
    all closed windows. Medium begins at half of that probability, critical half way up to 1.

    Raises:
        InvalidInput: not exactly one share between 0 and 1.
        TooFewData: too few departures, or no bound reaches it; nothing changes.
    """
    wish = precision if recall is None else recall
    if (precision is None) == (recall is None) or wish is None or not 0 < wish < 1:
        raise InvalidInput("Say one of precision and recall, between 0 and 1.")
    playbook, windows = await _windows(connection, runtime, tenant_id, as_of, unseen=True)
    closed = closed_only(windows, _DAYS)
    if not closed.height:
        raise TooFewData("No window has closed since the model was trained.")
    chance = closed[f"{_SCORER}_{_DAYS}"].fill_nan(0.0).to_numpy()
    churned = closed[f"churned_{_DAYS}"].to_numpy().astype(bool)
    choose = cut_for_precision if recall is None else cut_for_recall
    cut = choose(chance, churned, wish)
    name = "precision" if recall is None else "recall"
    policy = _with_cut(playbook.health, cut, f"{name} {wish}")
    if apply:
        await _put(connection, tenant_id, policy, author, "fit_levels")
    return {**asdict(cut), **policy.as_dict(), "applied": apply}


def _with_cut(policy: HealthPolicy, cut: Cut, wish: str) -> HealthPolicy:
    high = min(max(cut.bound, 0.02), 0.96)
    medium, critical = high / 2, high + (1 - high) / 2
    return replace(
        policy,
        medium_from=medium,
        high_from=high,
        critical_above=critical,
        margin=min(policy.margin, medium / 2),
        chosen_for=f"{wish}: on closed windows precision {cut.precision:.2f}, recall "
        f"{cut.recall:.2f} from {cut.alerts} alerts",
    )


async def _windows(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    as_of: datetime | None,
    *,
    unseen: bool = False,
) -> tuple[Playbook, pl.DataFrame]:
    """The playbook and its predictions beside what happened; with `unseen`, after the training."""
    moment = checked_as_of(as_of, runtime.clock.now())
    playbook = await playbook_at(connection, tenant_id, moment)
    model = playbook.model
    median = (
        playbook.definition.usual_interval_days
        if model is None
        else model.trained.tenant_median_days
    )
    known = await known_history(
        connection, playbook.definition, playbook.settings.time_zone, moment,
        tenant_median_days=median,
    )  # fmt: skip
    first = known.events["occurred_at"].min()
    start = known.until if not isinstance(first, datetime) else first
    if unseen and model is not None:
        origins = origins_between(model.trained.trained_until, known.until)
    else:
        origins = [
            origin
            for origin in origins_between(start, known.until)
            if (origin - start).days >= RUN_UP_DAYS
        ]
    return playbook, closed_windows(known, {_SCORER: model}, origins)


async def _put(
    connection: AsyncConnection,
    tenant_id: TenantId,
    policy: HealthPolicy,
    author: Author,
    action: str,
) -> None:
    version = await add_health_settings(
        connection, tenant_id, policy.as_dict(), by=author.by, reason=author.reason
    )
    detail = policy.as_dict() | {"reason": author.reason}
    line = AuditLine(author.by, action, "health_settings", str(version), detail)
    await add_audit(connection, tenant_id, line)
