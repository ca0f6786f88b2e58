"""Decisions grouped: who was left with nothing, which stage did it, what levers and caps cost."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput
from services.reason_words import reason_words, stage_words
from services.wiring import Runtime
from store.decision_summaries import (
    Window,
    count_levers,
    count_outcomes,
    count_removed,
    count_rules,
    find_newest_run,
)

_WITHOUT_RUN = timedelta(days=7)


async def summarise_decisions(
    connection: AsyncConnection,
    runtime: Runtime,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[str, Any]:
    """Return the decisions made for moments in [since, until), grouped.

    Without `since` those of the newest run over all contacts, or of the last seven days if there
    was none. Amounts are in cents; `forgone_cents` of a stage and `cost_cents` of a lever are what
    they cost in expected worth.

    Raises:
        InvalidInput: the window ends before it begins.
    """
    window, of = await _window(connection, runtime, since, until)
    outcomes = await count_outcomes(connection, window)
    removed = await count_removed(connection, window)
    return {
        "of": of,
        "since": window.since.isoformat(),
        "until": window.until.isoformat(),
        "run_id": None if window.run_id is None else str(window.run_id),
        "decisions": sum(each["decisions"] for each in outcomes),
        "with_action": sum(each["decisions"] for each in outcomes if each["action"]),
        "without_action": sum(each["decisions"] for each in outcomes if not each["action"]),
        "worth_cents": sum(each["worth_cents"] for each in outcomes if each["action"]),
        "outcomes": [each | {"words": reason_words(each["reason"])} for each in outcomes],
        "stages": [
            each | {"asks": stage_words(each["stage"]), "words": reason_words(each["reason"])}
            for each in removed
        ],
        "rules": await count_rules(connection, window),
        "levers": await count_levers(connection, window),
    }


async def _window(
    connection: AsyncConnection,
    runtime: Runtime,
    since: datetime | None,
    until: datetime | None,
) -> tuple[Window, str]:
    now = runtime.clock.now()
    if since is None:
        newest = await find_newest_run(connection)
        if newest is not None and (until is None or newest[1] < until):
            run_id, as_of = newest
            return Window(as_of, as_of + timedelta(microseconds=1), run_id), "the newest run"
        since = (until or now) - _WITHOUT_RUN
    ends = until or max(now, since) + timedelta(microseconds=1)
    if ends <= since:
        raise InvalidInput(
            f"The window ends at {ends.isoformat()}, before it begins at {since.isoformat()}.",
            hint="Give a later end, or leave it out.",
        )
    return Window(since, ends), "all decisions in the window"
