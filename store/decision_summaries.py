"""Stored decisions counted: who was left without an action, by which stage, and at what cost."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class Window:
    """Which decisions are counted: those of one run, or those made for a moment in [since, until).

    Attributes:
        run_id: None for all that lie in the window.
    """

    since: datetime
    until: datetime
    run_id: UUID | None = None

    @property
    def values(self) -> dict[str, object]:
        """Parameters of the statements below."""
        return {"since": self.since, "until": self.until, "run": self.run_id}


_DECIDED = """
  decided AS MATERIALIZED (
    SELECT id, contact_id, action, reason, score_cents, send_at FROM keepwell.decisions
     WHERE as_of >= :since AND as_of < :until
       AND (cast(:run AS uuid) IS NULL OR run_id = :run)
  )
"""
# of each decision: what came furthest, and what each stage took away that was worth something
_TRACED = """
  traced AS (
    SELECT d.id, d.contact_id, d.action, d.reason AS outcome, c.removed_by, c.reason, c.rule,
           c.score_cents, c.lever, c.effect * c.value_cents * c.context * coalesce(c.capacity, 1)
             - c.cost_cents
             - c.fatigue_cents AS without_lever,
           greatest(max(c.score_cents) FILTER (WHERE c.removed_by IS NULL)
                      OVER (PARTITION BY d.id), 0) AS got_cents
      FROM decided d JOIN keepwell.candidates c ON c.decision_id = d.id
     WHERE c.action IS NOT NULL
  )
"""


async def find_newest_run(connection: AsyncConnection) -> tuple[UUID, datetime] | None:
    """Return id and moment of the newest run that decided for all contacts; None without any."""
    row = (
        await connection.execute(
            text(
                "SELECT id, as_of FROM keepwell.runs WHERE kind = 'decide' "
                "ORDER BY as_of DESC LIMIT 1"
            )
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1])


async def count_outcomes(connection: AsyncConnection, window: Window) -> list[dict[str, Any]]:
    """Count decisions and contacts by action (None: nothing) and reason, the most first."""
    return await _rows(
        connection,
        f"""WITH {_DECIDED}
            SELECT action, reason, count(*) AS decisions, count(DISTINCT contact_id) AS contacts,
                   coalesce(sum(score_cents), 0) AS worth_cents
              FROM decided GROUP BY action, reason ORDER BY decisions DESC, action, reason""",
        window,
    )


async def count_removed(connection: AsyncConnection, window: Window) -> list[dict[str, Any]]:
    """Count per stage and reason what it took away.

    `left_with_nothing` counts decisions for nothing whose reason is this one; `forgone_cents` is
    what the best candidate that the stage removed was worth more than what was chosen, summed over
    decisions. `example` is a contact whom the stage left without an action.
    """
    return await _rows(
        connection,
        f"""WITH {_DECIDED}, {_TRACED}, by_decision AS (
              SELECT id, contact_id, removed_by, reason, count(*) AS candidates,
                     greatest(max(score_cents) - max(got_cents), 0) AS forgone_cents,
                     bool_or(action IS NULL AND outcome = reason) AS last_hope
                FROM traced WHERE removed_by IS NOT NULL
               GROUP BY id, contact_id, removed_by, reason)
            SELECT removed_by AS stage, reason, sum(candidates)::bigint AS candidates,
                   count(DISTINCT contact_id) AS contacts,
                   count(*) FILTER (WHERE last_hope) AS left_with_nothing,
                   coalesce(sum(forgone_cents), 0) AS forgone_cents,
                   min(contact_id::text) FILTER (WHERE last_hope) AS example
              FROM by_decision GROUP BY removed_by, reason
             ORDER BY left_with_nothing DESC, candidates DESC, stage, reason""",
        window,
    )


async def count_rules(connection: AsyncConnection, window: Window) -> list[dict[str, Any]]:
    """Count per rule how often it proposed, won, and lost, and what its winners are worth."""
    return await _rows(
        connection,
        f"""WITH {_DECIDED}, {_TRACED}
            SELECT rule, count(*) AS proposed, count(*) FILTER (WHERE removed_by IS NULL) AS chosen,
                   count(*) FILTER (WHERE reason = 'lower_value') AS outbid,
                   coalesce(sum(score_cents) FILTER (WHERE removed_by IS NULL), 0) AS worth_cents
              FROM traced GROUP BY rule ORDER BY chosen DESC, proposed DESC, rule""",
        window,
    )


async def count_levers(connection: AsyncConnection, window: Window) -> list[dict[str, Any]]:
    """Count per rule with a lever how often it decided the choice, and what that cost.

    `cost_cents` is how much less the choice is worth, counted without any lever, than the best
    that was allowed: what the manager's boost is paid with.
    """
    return await _rows(
        connection,
        f"""WITH {_DECIDED}, {_TRACED}, best AS (
              SELECT id, rule, lever, removed_by, without_lever,
                     greatest(max(without_lever) OVER (PARTITION BY id), 0) AS best_cents
                FROM traced
               WHERE removed_by IS NULL OR reason IN ('lower_value', 'not_worth_it'))
            SELECT rule, lever, count(*) AS proposed,
                   count(*) FILTER (WHERE removed_by IS NULL) AS chosen,
                   count(*) FILTER (WHERE removed_by IS NULL
                                      AND without_lever < best_cents) AS decided_by_lever,
                   coalesce(sum(best_cents - without_lever)
                              FILTER (WHERE removed_by IS NULL), 0) AS cost_cents
              FROM best WHERE lever <> 1 GROUP BY rule, lever ORDER BY cost_cents DESC, rule""",
        window,
    )


async def _rows(
    connection: AsyncConnection, statement: str, window: Window
) -> list[dict[str, Any]]:
    found = await connection.execute(text(statement), window.values)
    return [dict(row) for row in found.mappings()]


async def claim_run(
    connection: AsyncConnection, tenant_id: TenantId, as_of: datetime, *, given_up: timedelta
) -> bool:
    """Tell whether the nightly run of this moment is ours: nobody has begun it, or gave it up."""
    claimed = await connection.scalar(
        text(
            "INSERT INTO keepwell.runs (tenant_id, id, kind, as_of) "
            "VALUES (:tenant, :id, 'nightly', :as_of) ON CONFLICT (tenant_id, id) DO UPDATE "
            "SET started_at = keepwell.clock() WHERE runs.finished_at IS NULL "
            "AND runs.started_at < keepwell.clock() - cast(:given_up AS interval) RETURNING true"
        ),
        {
            "tenant": tenant_id,
            "id": uuid5(tenant_id, f"nightly {as_of.isoformat()}"),
            "as_of": as_of,
            "given_up": given_up,
        },
    )
    return bool(claimed)


async def end_claim(connection: AsyncConnection, tenant_id: TenantId, as_of: datetime) -> None:
    """Note that the nightly run of this moment is over."""
    await connection.execute(
        text("UPDATE keepwell.runs SET finished_at = keepwell.clock() WHERE id = :id"),
        {"id": uuid5(tenant_id, f"nightly {as_of.isoformat()}")},
    )
