"""Does the engine contact those whom it changes? Qini and uplift at k, against the holdout."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.uplift import qini
from services.goals import goals_in_force
from store.uplifts import list_expected_effects

_DEFAULT_DAYS = 365
LEAST_LEFT_ALONE = 30


async def report_uplift(
    connection: AsyncConnection, *, now: datetime, since: datetime | None = None
) -> dict[str, Any]:
    """Return how well contacts are ranked by expected effect; `qini` is null with too few held out.

    Groups are drawn by lot, so who was left alone is no choice of the engine's.
    """
    from_when = since or now - timedelta(days=_DEFAULT_DAYS)
    goals = await goals_in_force(connection)
    frame = await list_expected_effects(connection, goals, since=from_when)
    contacted = frame["contacted"].to_numpy().astype(np.bool_)
    alone = int((~contacted).sum())
    enough = min(alone, int(contacted.sum())) >= LEAST_LEFT_ALONE
    told = {
        "since": from_when.isoformat(),
        "contacted": int(contacted.sum()),
        "left_alone": alone,
        "needs_left_alone": LEAST_LEFT_ALONE,
        "qini": None,
    }
    if enough:
        reached = frame["reached"].to_numpy().astype(np.bool_)
        found = qini(frame["effect"].to_numpy().astype(np.float64), contacted, reached)
        told["qini"] = _plain(asdict(found))
    return told


def _plain(value: Any) -> Any:  # noqa: ANN401 - a tree of plain values
    """The same with null where nothing is known: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and np.isnan(value) else value
