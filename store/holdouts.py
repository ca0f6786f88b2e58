"""What happens to those who are left alone: the holdout, as if it had been written to."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class GoalOf:
    """What counts as success of an action: any of these event types within the window."""

    action: str
    types: tuple[str, ...]
    window_days: int


async def count_left_alone(
    connection: AsyncConnection, goals: Sequence[GoalOf]
) -> dict[str, tuple[int, int]]:
    """Return by action: people-windows of the holdout, and those in which the goal was reached.

    A contact in the holdout is decided for night after night without being written to; one
    decision per contact, action and window counts, and only once its window is over. Of the last
    year.
    """
    rows = await connection.execute(
        text(
            "WITH goal AS (SELECT * FROM unnest(cast(:actions AS text[]), "
            "cast(:types AS text[]), cast(:days AS int[])) AS g(action, types, days)), "
            "first AS (SELECT c.action, d.contact_id, min(d.as_of) AS as_of FROM "
            "keepwell.decisions d JOIN keepwell.candidates c ON c.tenant_id = d.tenant_id "
            "AND c.decision_id = d.id AND c.removed_by = 'holdout' JOIN goal g "
            "ON g.action = c.action WHERE d.experiment_group = 'holdout' "
            "AND d.as_of > keepwell.clock() - interval '1 year' GROUP BY c.action, "
            "d.contact_id, floor(extract(epoch FROM d.as_of) / (86400.0 * g.days))) "
            "SELECT f.action, count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM "
            "keepwell.events e WHERE e.contact_id = f.contact_id "
            "AND e.type = ANY(string_to_array(g.types, ' ')) AND e.occurred_at > f.as_of "
            "AND e.occurred_at <= f.as_of + make_interval(days => g.days))) "
            "FROM first f JOIN goal g ON g.action = f.action "
            "WHERE f.as_of < keepwell.clock() - make_interval(days => g.days) GROUP BY f.action"
        ),
        {
            "actions": [goal.action for goal in goals],
            "types": [" ".join(goal.types) for goal in goals],
            "days": [goal.window_days for goal in goals],
        },
    )
    return {action: (int(n), int(reached)) for action, n, reached in rows}
