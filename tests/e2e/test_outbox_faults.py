"""Workers are killed, SMTP answers at whim: nothing is lost, and no offer goes out twice."""

import asyncio
import multiprocessing
import random
from collections import Counter
from collections.abc import AsyncIterator
from multiprocessing.process import BaseProcess

import pytest
from aiosmtpd.smtp import SMTP

from embedded.servers import EmbeddedServers
from engine.ids import TenantId
from gateways.debug_smtp import ACCEPTED, DebugSmtp, Received, cut
from tests.factories.fault_worker import work
from tests.factories.outbox import WORKING_HOURS, Outbox, database_at, offset_to

pytestmark = pytest.mark.e2e

SEED = 20260303
SERVICE, MARKETING = 45, 15
WORKERS = 3
KILLS = 9
PATIENCE_SECONDS = 60
ENDED = {"sent", "unknown"}


class Chaos:
    """Answers by seeded whim and kills a seeded worker at seeded moments within the call."""

    def __init__(self, start: "WorkerStart") -> None:
        self._random = random.Random(SEED)
        self._start = start
        self.workers: list[BaseProcess] = []
        self.kills = 0
        self.faults: Counter[str] = Counter()
        self.server = DebugSmtp(answer=self._answer)

    def begin(self) -> None:
        self.workers = [self._start(self.server.url) for _ in range(WORKERS)]

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.join()

    async def _answer(self, received: Received, protocol: SMTP) -> str:
        whim = self._random.random()
        if whim < 0.12 and self.kills < KILLS:
            self._kill_one()
        if whim < 0.60:
            return ACCEPTED
        fault, answer = self._fault(whim)
        self.faults[fault] += 1
        if fault == "accepted, then cut":
            self.server.keep(received)
        if "cut" in fault:
            cut(protocol)
        return answer

    @staticmethod
    def _fault(whim: float) -> tuple[str, str]:
        if whim < 0.80:
            return "come back later", "451 4.7.1 come back later"
        if whim < 0.90:
            return "accepted, then cut", ""
        return "cut", ""

    def _kill_one(self) -> None:
        self.kills += 1
        place = self._random.randrange(WORKERS)
        self.workers[place].kill()
        self.workers[place].join()
        self.workers[place] = self._start(self.server.url)


class WorkerStart:
    """Starts delivery processes quickly: they are forked from one that has all imported."""

    def __init__(self, database_url: str, tenant_id: TenantId) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.factories.fault_worker"])
        self._database_url = database_url
        self._tenant_id = tenant_id

    def __call__(self, smtp_url: str) -> BaseProcess:
        process = self._context.Process(
            target=work,
            args=(self._database_url, offset_to(WORKING_HOURS), smtp_url, self._tenant_id),
            daemon=True,
        )
        process.start()
        return process


@pytest.fixture
async def outbox(servers: EmbeddedServers, tenant: TenantId) -> AsyncIterator[Outbox]:
    database = database_at(servers.app_database_url, WORKING_HOURS)
    yield Outbox(database, tenant)
    await database.close()


async def all_ended(outbox: Outbox) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while {send.state for send in await outbox.all()} - ENDED:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.1)


async def test_killed_workers_and_a_flaky_server_lose_and_double_nothing(
    outbox: Outbox, servers: EmbeddedServers, tenant: TenantId
) -> None:
    service = {str(await outbox.add_send()) for _ in range(SERVICE)}
    marketing = {str(await outbox.add_send(purpose="marketing")) for _ in range(MARKETING)}
    chaos = Chaos(WorkerStart(servers.app_database_url, tenant))
    async with chaos.server:
        chaos.begin()
        try:
            await all_ended(outbox)
        finally:
            chaos.end()

    accepted = Counter(m.message_id.strip("<>").partition("@")[0] for m in chaos.server.messages)
    bytes_seen = {(m.message_id, m.raw) for m in chaos.server.messages}
    states = {str(send.id): send.state for send in await outbox.all()}
    # the test has teeth only if things went wrong
    assert chaos.kills == KILLS
    assert len(chaos.faults) == 3
    # every message was accepted under its own id, and only those
    assert service <= set(accepted) <= service | marketing
    assert {states[identity] for identity in service} == {"sent"}
    # repeats carried the same bytes under the same id: a receiver can drop them
    assert len(bytes_seen) == len(accepted)
    # an offer was accepted once, or nobody can tell and it was left alone
    assert all(accepted[identity] <= 1 for identity in marketing)
    assert all(accepted[i] == 1 for i in marketing if states[i] == "sent")
    # each sent message is one activity in the CRM, whatever the number of attempts
    activities = await outbox.rows("SELECT external_id FROM crm_activities")
    assert sorted(row["external_id"] for row in activities) == sorted(
        identity for identity, state in states.items() if state == "sent"
    )
    # the provider saw no call that is not on record
    (attempts,) = await outbox.rows("SELECT count(*) AS n FROM keepwell.attempts")
    assert (
        attempts["n"]
        >= len(chaos.server.messages)
        + sum(chaos.faults.values())
        - (chaos.faults["accepted, then cut"])
    )
