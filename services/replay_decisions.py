"""Replay many stored decisions, and count how many come out to the bit."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from engine.ids import TenantId
from services.replay_decision import replay_decision
from services.wiring import Runtime
from store.decisions import list_decision_ids

_AT_ONCE = 250  # decisions a transaction
_MOST_SHOWN = 20
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


async def replay_decisions(
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    limit: int,
    since: datetime | None = None,
    tell: Callable[[int, int | None], None] | None = None,
) -> dict[str, Any]:
    """Replay up to `limit` decisions made for moments from `since` on; nothing is changed.

    `verdicts` counts identical, inputs_changed (recomputed to the bit from what is stored, but the
    sources say something else today) and differs; `differing` shows the first of the last kind.
    `tell` is told how many are done.
    """
    verdicts: Counter[str] = Counter()
    fields = 0
    differing: list[dict[str, Any]] = []
    after: UUID | None = None
    while verdicts.total() < limit:
        async with runtime.database.transaction(tenant_id) as connection:
            size = min(_AT_ONCE, limit - verdicts.total())
            found = await list_decision_ids(
                connection, since=since or _EARLIEST, limit=size, after=after
            )
            for decision_id in found:
                told = await replay_decision(connection, runtime, tenant_id, decision_id)
                verdicts[told["verdict"]] += 1
                fields += told["compared_fields"]
                if told["verdict"] == "differs" and len(differing) < _MOST_SHOWN:
                    differing.append(told)
        if not found:
            break
        after = found[-1]
        if tell is not None:
            tell(verdicts.total(), limit)
    return {
        "replayed": verdicts.total(),
        "compared_fields": fields,
        "verdicts": dict(sorted(verdicts.items())),
        "differing": differing,
    }
