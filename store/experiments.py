"""Experiments on messages: planned, running, stopped; and what came of each arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict, NotFound
from engine.ids import TenantId
from engine.lift import Sample


class ExperimentNotFound(NotFound):
    code = "experiment_not_found"


class ExperimentConflict(Conflict):
    code = "experiment_conflict"


@dataclass(frozen=True, slots=True)
class Experiment:
    """A row; see `keepwell.experiments`."""

    name: str
    action: str
    arms: tuple[str, ...]
    rate: float
    smallest: float
    alpha: float
    power: float
    units_per_arm: int
    mixture: float
    state: str
    planned_by: str
    planned_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    verdict: str | None
    verdict_arm: str | None
    reason: str | None


_COLUMNS = (
    "name, action, arms, rate, smallest, alpha, power, units_per_arm, mixture, state, planned_by, "
    "planned_at, started_at, stopped_at, verdict, verdict_arm, reason"
)


async def add_experiment(
    connection: AsyncConnection, tenant_id: TenantId, new: Mapping[str, Any]
) -> None:
    """Add a planned experiment.

    Raises:
        ExperimentConflict: the name is taken.
    """
    result = await connection.execute(
        text(
            "INSERT INTO keepwell.experiments (tenant_id, name, action, arms, rate, smallest, "
            "alpha, power, units_per_arm, mixture, planned_by) VALUES (:tenant, :name, :action, "
            ":arms, :rate, :smallest, :alpha, :power, :units_per_arm, :mixture, :planned_by) "
            "ON CONFLICT DO NOTHING"
        ),
        {"tenant": tenant_id, **new},
    )
    if not result.rowcount:
        raise ExperimentConflict(
            f"There is an experiment '{new['name']}' already.",
            hint="Give the new one another name; what was measured under a name stays.",
        )


async def get_experiment(connection: AsyncConnection, name: str) -> Experiment:
    """Return an experiment by name.

    Raises:
        ExperimentNotFound: there is none.
    """
    rows = await connection.execute(
        text(f"SELECT {_COLUMNS} FROM keepwell.experiments WHERE name = :name"), {"name": name}
    )
    row = rows.first()
    if row is None:
        raise ExperimentNotFound(
            f"There is no experiment '{name}'.", hint="'keepwell experiments list' names them."
        )
    return _experiment(row)


async def list_experiments(
    connection: AsyncConnection, *, state: str | None = None
) -> list[Experiment]:
    """Return experiments, newest first; those in a state, or all."""
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM keepwell.experiments "
            "WHERE cast(:state AS text) IS NULL OR state = :state ORDER BY planned_at DESC, name"
        ),
        {"state": state},
    )
    return [_experiment(row) for row in rows]


async def start_experiment(connection: AsyncConnection, name: str) -> bool:
    """Start a planned experiment.

    False if it is not planned any more, or another one runs on the same action.
    """
    result = await connection.execute(
        text(
            "UPDATE keepwell.experiments e SET state = 'running', started_at = keepwell.clock() "
            "WHERE name = :name AND state = 'planned' AND NOT EXISTS (SELECT FROM "
            "keepwell.experiments o WHERE o.state = 'running' AND o.action = e.action)"
        ),
        {"name": name},
    )
    return bool(result.rowcount)


async def stop_experiment(
    connection: AsyncConnection, name: str, *, verdict: str, arm: str, reason: str
) -> bool:
    """Stop a running experiment for good; False if it does not run."""
    result = await connection.execute(
        text(
            "UPDATE keepwell.experiments SET state = 'stopped', stopped_at = keepwell.clock(), "
            "verdict = :verdict, verdict_arm = nullif(:arm, ''), reason = :reason "
            "WHERE name = :name AND state = 'running'"
        ),
        {"name": name, "verdict": verdict, "arm": arm, "reason": reason},
    )
    return bool(result.rowcount)


async def list_arm_outcomes(
    connection: AsyncConnection, experiment: Experiment, guards: Sequence[str], *, window_days: int
) -> dict[str, dict[str, Sample]]:
    """Return per metric and arm what came of the messages that the experiment sent.

    A message counts once its window is over, or at once when its goal is reached: no arm looks
    better for being quick. Guards count their events within the window after a message.
    """
    rows = await connection.execute(
        text(
            "WITH sent AS (SELECT d.id, d.variant, d.contact_id, s.sent_at, coalesce(r.reward, 0) "
            ">= 1 AS reached FROM keepwell.decisions d "
            "JOIN keepwell.sends s ON s.tenant_id = d.tenant_id AND s.decision_id = d.id "
            "AND s.state = 'sent' LEFT JOIN keepwell.rewards r ON r.tenant_id = d.tenant_id "
            "AND r.decision_id = d.id WHERE d.action = :action AND d.variant = ANY(:arms) "
            "AND d.experiment_group = 'engine' "
            # a channel that has one of the arms only took no part in the draw
            "AND cast(d.treatment->>'variant_probability' AS double precision) < 1 "
            "AND s.sent_at >= :started AND s.decided_at <= coalesce(:stopped, keepwell.clock())), "
            "closed AS (SELECT * FROM sent WHERE sent_at < keepwell.clock() - "
            "make_interval(days => :days)), "
            "harms AS (SELECT contact_id, type, occurred_at AS at FROM keepwell.events "
            "WHERE type = ANY(:guards) AND occurred_at >= :started UNION ALL "
            "SELECT contact_id, 'opt_out', effective_at FROM keepwell.consents "
            "WHERE status = 'revoked' AND effective_at >= :started) "
            "SELECT 'goal' AS metric, variant, count(*), count(*) FILTER (WHERE reached) "
            "FROM closed GROUP BY variant UNION ALL "
            "SELECT g.type, c.variant, count(*), count(*) FILTER (WHERE EXISTS (SELECT "
            "FROM harms h WHERE h.contact_id = c.contact_id AND h.type = g.type "
            "AND h.at >= c.sent_at AND h.at < c.sent_at + make_interval(days => :days))) "
            "FROM sent c CROSS JOIN unnest(cast(:guards AS text[])) AS g(type) "
            "GROUP BY g.type, c.variant"
        ),
        {
            "action": experiment.action,
            "arms": list(experiment.arms),
            "started": experiment.started_at,
            "stopped": experiment.stopped_at,
            "days": window_days,
            "guards": list(guards),
        },
    )
    found: dict[str, dict[str, Sample]] = {"goal": {}, **{guard: {} for guard in guards}}
    for metric, arm, n, reached in rows:
        found[metric][arm] = Sample(int(n), float(reached), float(reached))
    return found


async def add_notice(
    connection: AsyncConnection, tenant_id: TenantId, *, kind: str, subject: str, detail: object
) -> None:
    """Leave a notice for the people of a tenant."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.experiment_notices (tenant_id, kind, subject, detail) "
            "VALUES (:tenant, :kind, :subject, cast(:detail AS jsonb))"
        ),
        {
            "tenant": tenant_id,
            "kind": kind,
            "subject": subject,
            "detail": orjson.dumps(detail).decode(),
        },
    )


async def list_notices(connection: AsyncConnection, *, limit: int = 50) -> list[dict[str, Any]]:
    """Return the newest notices."""
    rows = await connection.execute(
        text(
            "SELECT at, kind, subject, detail::text FROM keepwell.experiment_notices "
            "ORDER BY id DESC LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [
        {"at": row[0].isoformat(), "kind": row[1], "subject": row[2], **orjson.loads(row[3])}
        for row in rows
    ]


def _experiment(row: Any) -> Experiment:  # noqa: ANN401 - a row of the driver
    values = list(row)
    values[2] = tuple(values[2])
    return Experiment(*values)
