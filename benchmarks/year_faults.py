"""What goes wrong during a simulated year: a provider at whim, a worker that dies in its call."""

import asyncio
import logging
import multiprocessing
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from uuid import UUID

import numpy as np

from engine.errors import ProviderUnavailable
from engine.ids import TenantId
from gateways.sender import AcceptanceUnknown, Message, Receipt
from services.deliver import Channels, deliver_due
from services.deliver_outcome import Terms
from store.database import Database

# a killed worker's lease has run out long before the next round of the day
TERMS = Terms(first_retry_seconds=0.0, longest_retry_seconds=60.0)
_CALLING, _IDLE = "calling", "idle"
_PATIENCE_SECONDS = 120.0
_NEVER_SECONDS = 3600.0


@dataclass
class FaultySender:
    """A provider that is down, silent or fine; of what it took it drops repeats for a day.

    Attributes:
        down: takes nothing at all.
        accepted: calls that it took, by the message's id.
    """

    rng: np.random.Generator
    key_lifetime: timedelta | None = timedelta(days=1)
    down: bool = False
    accepted: Counter[UUID] = field(default_factory=Counter)

    async def send(self, message: Message) -> Receipt:
        """Accept the message, or not, or without saying so."""
        luck = self.rng.random()
        if self.down or luck < 0.15:
            raise ProviderUnavailable("The provider is down.")
        self.accepted[message.send_id] += 1
        if luck < 0.25:
            raise AcceptanceUnknown("The answer was lost.")
        return Receipt(provider_id=str(message.send_id))

    async def close(self) -> None:
        """Nothing is open."""


class _Hanging:
    """Tells that it was called, and never answers."""

    key_lifetime: timedelta | None = timedelta(days=1)

    def __init__(self, tell: Connection) -> None:
        self._tell = tell

    async def send(self, message: Message) -> Receipt:
        self._tell.send(_CALLING)
        await asyncio.sleep(_NEVER_SECONDS)
        return Receipt(provider_id=str(message.send_id))

    async def close(self) -> None:
        """Nothing is open."""


def _deliver(database_url: str, offset: timedelta, tenant_id: TenantId, tell: Connection) -> None:
    logging.disable()

    async def work() -> None:
        database = Database(database_url, clock_offset=offset)
        hanging = _Hanging(tell)
        channels = Channels({"email": hanging, "sms": hanging}, TERMS)
        await deliver_due(database, channels, tenant_id)
        tell.send(_IDLE)

    asyncio.run(work())


def kill_a_worker(database_url: str, offset: timedelta, tenant_id: TenantId) -> bool:
    """Have a process claim what is due and kill it within a call; False if nothing was due."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.year_faults"])
    here, there = context.Pipe(duplex=False)
    worker = context.Process(
        target=_deliver, args=(database_url, offset, tenant_id, there), daemon=True
    )
    worker.start()
    told = here.recv() if here.poll(_PATIENCE_SECONDS) else _IDLE
    worker.kill()
    worker.join()
    return bool(told == _CALLING)
