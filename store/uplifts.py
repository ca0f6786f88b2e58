"""Contacts of engine and holdout: what was expected of contacting them, and what followed."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.holdouts import GoalOf

_SCHEMA = {
    "action": pl.String,
    "effect": pl.Float64,
    "contacted": pl.Boolean,
    "reached": pl.Boolean,
}


async def list_expected_effects(
    connection: AsyncConnection, goals: Sequence[GoalOf], *, since: datetime
) -> pl.DataFrame:
    """Return one row per contact, action and window of that action's goal, once it is over.

    What the engine would have done counts for both groups, whether or not a message left: the
    first decision of a window in which the action won, or would have but for the holdout.
    """
    rows = await connection.execute(
        text(
            "WITH goal AS (SELECT * FROM unnest(cast(:actions AS text[]), "
            "cast(:types AS text[]), cast(:days AS int[])) AS g(action, types, days)), "
            "won AS (SELECT DISTINCT ON (d.contact_id, c.action, w.n) c.action, c.effect, "
            "d.contact_id, d.as_of, d.experiment_group, g.types, g.days "
            "FROM keepwell.decisions d JOIN keepwell.candidates c ON c.tenant_id = d.tenant_id "
            "AND c.decision_id = d.id AND coalesce(c.removed_by, '') IN ('', 'holdout') "
            "AND c.effect IS NOT NULL JOIN goal g ON g.action = c.action, "
            "LATERAL (SELECT floor(extract(epoch FROM d.as_of) / (86400.0 * g.days)) AS n) w "
            "WHERE d.as_of >= :since AND d.experiment_group IN ('engine', 'holdout') "
            "ORDER BY d.contact_id, c.action, w.n, d.as_of) "
            "SELECT action, effect, experiment_group = 'engine', EXISTS (SELECT FROM "
            "keepwell.events e WHERE e.contact_id = won.contact_id "
            "AND e.type = ANY(string_to_array(won.types, ' ')) AND e.occurred_at > won.as_of "
            "AND e.occurred_at <= won.as_of + make_interval(days => won.days)) FROM won "
            "WHERE as_of < keepwell.clock() - make_interval(days => days) "
            "ORDER BY contact_id, action, as_of"
        ),
        {
            "actions": [goal.action for goal in goals],
            "types": [" ".join(goal.types) for goal in goals],
            "days": [goal.window_days for goal in goals],
            "since": since,
        },
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=_SCHEMA, orient="row")
