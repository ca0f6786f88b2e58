"""Decide for all contacts of a tenant in partitions, each of them independent of the others.

A partition reads its contacts, decides, and writes by COPY, in a transaction of its own. Who does
it, this process, others beside it, or a cluster, makes no difference to the result: a decision has
the id of its content. A run that broke off is done again and stores only what is missing.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.ids import TenantId
from services.clock import Clock
from services.decide import checked_as_of, decide_part, run_id_of
from services.decide_everybody import RunSummary
from services.executors import Executor
from services.playbook import playbook_at, playbook_of
from services.profiles import PART, parts_of, some_profiles
from services.settings import Settings
from services.wiring import Runtime, make_database
from store.decisions import finish_run, start_run
from store.playbooks import Versions, get_versions
from store.profiles import list_contact_ids


@dataclass(frozen=True, slots=True)
class Partition:
    """Some contacts of a run, and all that deciding for them needs; can be sent anywhere.

    Attributes:
        database_url: as the process that decides reaches it.
        versions: what is in force for the whole run.
    """

    settings: Settings
    clock: Clock
    database_url: str
    tenant_id: TenantId
    as_of: datetime
    versions: Versions
    contact_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class PartitionDone:
    """What became of a partition.

    Attributes:
        promised: messages, by what became of them.
    """

    decisions: int
    actions: int
    promised: dict[str, int]


def decide_partition(partition: Partition) -> PartitionDone:
    """Decide for a partition and commit it; in whatever process, with connections of its own."""
    return asyncio.run(_decide(partition))


async def _decide(partition: Partition) -> PartitionDone:
    database = make_database(partition.settings, partition.database_url, partition.clock)
    runtime = Runtime(
        settings=partition.settings,
        clock=partition.clock,
        database=database,
        database_url=partition.database_url,
        redis_url=None,
        owner_database_url=None,
        embedded=False,
    )
    tenant_id, as_of = partition.tenant_id, partition.as_of
    try:
        async with database.transaction(tenant_id) as connection:
            playbook = await playbook_of(connection, tenant_id, partition.versions)
            part = await some_profiles(connection, playbook, as_of, partition.contact_ids)
            run_id = run_id_of(tenant_id, as_of)
            made = await decide_part(
                connection, runtime, playbook, part, as_of=as_of, run_id=run_id
            )
    finally:
        await database.close()
    statuses = Counter(promise.status for promise in made.promises.values())
    return PartitionDone(len(made.recorded), len(made.promises), dict(statuses))


async def decide_partitions(
    runtime: Runtime,
    tenant_id: TenantId,
    executor: Executor,
    tell: Callable[[PartitionDone], None] | None = None,
    *,
    as_of: datetime | None = None,
    size: int = PART,
) -> RunSummary:
    """Decide for every contact known at `as_of` and record it; `tell` gets each part when it is in.

    Each process holds one partition of about `size` contacts. What is in force at the start holds
    for all. Where a budget is short, who gets it depends on which partition comes first; what is
    given stays within it to the cent.

    Raises:
        InvalidInput: `as_of` lies in the future, or before 1970.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    run_id = run_id_of(tenant_id, moment)
    async with runtime.database.transaction(tenant_id) as connection:
        playbook = await playbook_at(connection, tenant_id, moment)
        versions = await get_versions(connection, moment)
        everybody = await list_contact_ids(connection, moment)
        await start_run(connection, tenant_id, run_id, "decide", moment)

    def partitions() -> Iterator[Partition]:
        for ids in parts_of(playbook, everybody, size):
            yield Partition(
                runtime.settings,
                runtime.clock,
                runtime.database_url,
                tenant_id,
                moment,
                versions,
                ids,
            )

    def work() -> Counter[str]:
        counts: Counter[str] = Counter(decisions=0, actions=0)
        for done in executor.map(decide_partition, partitions()):
            counts["decisions"] += done.decisions
            counts["actions"] += done.actions
            if tell is not None:
                tell(done)
        return counts

    counts = await asyncio.to_thread(work)
    async with runtime.database.transaction(tenant_id) as connection:
        await finish_run(connection, run_id, counts)
    return RunSummary(moment, counts["decisions"], counts["actions"])
