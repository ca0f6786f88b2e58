"""The worker with Redis, without Redis, and with a Redis that comes and goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import orjson
import pytest

from embedded.servers import EmbeddedServers
from engine.errors import DatabaseUnavailable
from engine.ids import SendId, TenantId
from gateways.debug_smtp import DebugSmtp, Received
from gateways.email import EmailSender
from services.deliver import Channels
from services.wiring import Runtime
from store.sends import notify_wake
from tests.factories.outbox import WORKING_HOURS, Outbox, database_at, email_only
from tests.factories.smtp_server import HANG, moody_server
from workers.context import WorkerContext
from workers.main import run_worker
from workers.queue import Queue
from workers.relay import relay
from workers.settings import QUEUE, open_pool

pytestmark = pytest.mark.integration

SENDER = "Nobody <nobody@keepwell.invalid>"
PATIENCE_SECONDS = 30


@dataclass
class Mailbox:
    """Waits for messages by send id."""

    arrived: dict[str, asyncio.Event] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def put(self, received: Received) -> None:
        identity = received.message_id.strip("<>").partition("@")[0]
        self.counts[identity] = self.counts.get(identity, 0) + 1
        self._event(identity).set()

    async def wait_for(self, send_id: SendId) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._event(str(send_id)).wait()

    def _event(self, identity: str) -> asyncio.Event:
        return self.arrived.setdefault(identity, asyncio.Event())


class Doorway:
    """A TCP way to Redis's socket that can be shut; counts who comes through."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0
        self.entered = asyncio.Event()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()
        self.entered.clear()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._socket_path)
        self.entered.set()
        for source, sink in ((reader, inner_writer), (inner_reader, writer)):
            self._open.add(sink)
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()
        with suppress(OSError):
            await sink.wait_closed()
        self._open.discard(sink)


@pytest.fixture
async def outbox(servers: EmbeddedServers, tenant: TenantId) -> AsyncIterator[Outbox]:
    database = database_at(servers.app_database_url, WORKING_HOURS)
    yield Outbox(database, tenant)
    await database.close()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def channels(mailbox: Mailbox) -> AsyncIterator[Channels]:
    async with DebugSmtp(on_message=mailbox.put) as server:
        ways = email_only(EmailSender(server.url, sender=SENDER))
        yield ways
        await ways.close()


@asynccontextmanager
async def working(runtime: Runtime, channels: Channels) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(runtime, stop=stop, channels=channels))
    yield stop
    stop.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await worker


def of(runtime: Runtime, outbox: Outbox, redis_url: str | None) -> Runtime:
    return replace(runtime, database=outbox.database, redis_url=redis_url)


async def wake(outbox: Outbox, tenant_id: TenantId) -> None:
    async with outbox.database.transaction(tenant_id) as connection:
        await notify_wake(connection, tenant_id, "deliver")


@pytest.mark.parametrize("redis_url", [None, "redis://127.0.0.1:1"])
async def test_without_redis_everything_is_sent(
    runtime: Runtime,
    outbox: Outbox,
    mailbox: Mailbox,
    channels: Channels,
    redis_url: str | None,
) -> None:
    before = await outbox.add_send()
    async with working(of(runtime, outbox, redis_url), channels):
        await mailbox.wait_for(before)
        during = await outbox.add_send()
        await mailbox.wait_for(during)
    assert [send.state for send in await outbox.all()] == ["sent", "sent"]
    assert mailbox.counts[str(before)] == mailbox.counts[str(during)] == 1


async def test_a_redis_that_dies_and_comes_back_costs_nothing(
    runtime: Runtime, outbox: Outbox, mailbox: Mailbox, channels: Channels
) -> None:
    assert runtime.redis_url is not None
    doorway = Doorway(runtime.redis_url.removeprefix("unix://"))
    await doorway.open()
    async with working(of(runtime, outbox, doorway.url), channels):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await doorway.entered.wait()
        await doorway.shut()
        without = await outbox.add_send()
        await wake(outbox, outbox.tenant_id)
        await mailbox.wait_for(without)

        await doorway.open()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await doorway.entered.wait()
        again = await outbox.add_send()
        await wake(outbox, outbox.tenant_id)
        await mailbox.wait_for(again)
    await doorway.shut()
    assert [send.state for send in await outbox.all()] == ["sent", "sent"]
    assert mailbox.counts[str(without)] == mailbox.counts[str(again)] == 1


async def test_a_database_that_drops_every_connection_costs_nothing(
    runtime: Runtime, outbox: Outbox, mailbox: Mailbox, channels: Channels
) -> None:
    first = await outbox.add_send()
    async with working(of(runtime, outbox, None), channels):
        await mailbox.wait_for(first)
        await outbox.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = current_user AND pid <> pg_backend_pid()"
        )
        second = await outbox.add_send()
        await mailbox.wait_for(second)
    assert [send.state for send in await outbox.all()] == ["sent", "sent"]
    assert mailbox.counts[str(first)] == mailbox.counts[str(second)] == 1


async def test_a_commit_wakes_a_worker_through_redis(
    runtime: Runtime, outbox: Outbox, mailbox: Mailbox, channels: Channels
) -> None:
    """Relay and queue alone, no sweeper: the message can only have come this way."""
    assert runtime.redis_url is not None
    context = WorkerContext(of(runtime, outbox, runtime.redis_url), channels, asyncio.Event())
    queue = Queue(context, runtime.redis_url)
    serving = asyncio.create_task(queue.serve())
    relaying = asyncio.create_task(relay(context, queue))
    send_id = await outbox.add_send()
    arrival = asyncio.create_task(mailbox.wait_for(send_id))
    # until both are up, what is said is not heard: say it again, as every commit does
    while not arrival.done():
        await wake(outbox, outbox.tenant_id)
        await asyncio.wait({arrival}, timeout=0.2)
    await arrival
    assert queue.attached
    context.stop.set()
    await serving
    relaying.cancel()
    await asyncio.wait({relaying})
    await context.finish()
    assert mailbox.counts[str(send_id)] == 1


async def test_without_redis_a_commit_wakes_the_sweeper(
    runtime: Runtime, outbox: Outbox, channels: Channels
) -> None:
    context = WorkerContext(of(runtime, outbox, None), channels, asyncio.Event())
    relaying = asyncio.create_task(relay(context, None))
    woken = asyncio.create_task(context.woken.wait())
    while not woken.done():
        await wake(outbox, outbox.tenant_id)
        await asyncio.wait({woken}, timeout=0.2)
    relaying.cancel()
    await asyncio.wait({relaying})


async def test_a_wake_that_nobody_can_read_is_passed_over(
    runtime: Runtime, outbox: Outbox, channels: Channels
) -> None:
    context = WorkerContext(of(runtime, outbox, None), channels, asyncio.Event())
    relaying = asyncio.create_task(relay(context, None))
    woken = asyncio.create_task(context.woken.wait())
    while not woken.done():
        for payload in ("nonsense", '{"tenant": 1}', '["deliver"]', '{"kind": "deliver"}'):
            await outbox.execute("SELECT pg_notify('keepwell_wake', :payload)", payload=payload)
        await wake(outbox, outbox.tenant_id)
        await asyncio.wait({woken, relaying}, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
        assert not relaying.done()
    relaying.cancel()
    await asyncio.wait({relaying})


async def test_jobs_lie_in_redis_as_json_and_wait_there_once(
    runtime: Runtime, outbox: Outbox
) -> None:
    assert runtime.redis_url is not None
    pool = await open_pool(runtime.redis_url)
    job_id = f"deliver:{outbox.tenant_id}"
    first = await pool.enqueue_job("deliver", str(outbox.tenant_id), _job_id=job_id)
    second = await pool.enqueue_job("deliver", str(outbox.tenant_id), _job_id=job_id)
    stored = await pool.get(f"arq:job:{job_id}")
    await pool.delete(f"arq:job:{job_id}")
    await pool.zrem(QUEUE, job_id)
    await pool.aclose(close_connection_pool=True)
    assert first is not None
    assert second is None
    assert stored is not None
    assert orjson.loads(stored)["a"] == [str(outbox.tenant_id)]


async def test_a_worker_told_to_stop_finishes_what_is_in_hand(
    runtime: Runtime, outbox: Outbox
) -> None:
    server, mood = moody_server(iter([HANG]))
    async with server:
        send_id = await outbox.add_send()
        ways = email_only(EmailSender(server.url, sender=SENDER))
        async with working(of(runtime, outbox, None), ways) as stop:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await mood.arrived.wait()
            stop.set()
            mood.released.set()
    assert (await outbox.get(send_id)).state == "sent"


async def test_work_in_hand_outlives_whoever_waits_for_it(
    runtime: Runtime, channels: Channels
) -> None:
    context = WorkerContext(runtime, channels, asyncio.Event())
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        await go_on.wait()
        ended.set()
        return 7

    waiter = asyncio.create_task(context.once("deliver:x", work))
    other = asyncio.create_task(context.once("deliver:x", work))
    await asyncio.wait({waiter, other}, timeout=0)
    waiter.cancel()
    await asyncio.wait({waiter})
    go_on.set()
    assert await other == 7
    assert ended.is_set()
    await context.finish()


async def test_listening_says_when_the_database_is_away(
    runtime: Runtime, channels: Channels
) -> None:
    away = replace(runtime, database_url="postgresql+psycopg://keepwell@127.0.0.1:1/keepwell")
    with pytest.raises(DatabaseUnavailable):
        await relay(WorkerContext(away, channels, asyncio.Event()), None)
