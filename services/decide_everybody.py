"""Decide for every contact of a tenant, however many: part by part, one transaction each.

What a crash leaves undone is done by running the same moment again: a decision has the id of its
content, so what is there stays as it is.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from engine.ids import TenantId
from services.decide import DecidedPart, checked_as_of, decide_part, run_id_of
from services.playbook import playbook_at
from services.profiles import PART, parts_of, some_profiles
from services.wiring import Runtime
from store.decisions import finish_run, start_run
from store.profiles import list_contact_ids


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How many decisions a run has made, and how many of them propose something."""

    as_of: datetime
    decisions: int
    actions: int


async def decide_everybody(
    runtime: Runtime,
    tenant_id: TenantId,
    tell: Callable[[DecidedPart], None],
    *,
    as_of: datetime | None = None,
    dry_run: bool = False,
    size: int = PART,
) -> RunSummary:
    """Decide for every contact known at `as_of`; `tell` gets each part once it is committed.

    Memory holds one part of about `size` contacts. What is in force at the start holds for all of
    them. A dry run stores nothing and promises nothing.

    Raises:
        InvalidInput: `as_of` lies in the future, or before 1970.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    run_id = None if dry_run else run_id_of(tenant_id, moment)
    async with runtime.database.transaction(tenant_id) as connection:
        playbook = await playbook_at(connection, tenant_id, moment)
        everybody = await list_contact_ids(connection, moment)
        if run_id is not None and not everybody.is_empty():
            await start_run(connection, tenant_id, run_id, "decide", moment)
    counts: Counter[str] = Counter(decisions=0, actions=0)
    for ids in parts_of(playbook, everybody, size):
        async with runtime.database.transaction(tenant_id) as connection:
            part = await some_profiles(connection, playbook, moment, ids)
            made = await decide_part(
                connection, runtime, playbook, part, as_of=moment, run_id=run_id
            )
        counts["decisions"] += len(made.recorded)
        counts["actions"] += sum(each.action is not None for each in made.recorded)
        tell(made)
    if run_id is not None and counts["decisions"]:
        async with runtime.database.transaction(tenant_id) as connection:
            await finish_run(connection, run_id, counts)
    return RunSummary(moment, counts["decisions"], counts["actions"])
