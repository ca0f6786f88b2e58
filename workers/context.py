"""What the parts of one worker share."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from services.deliver import Channels
from services.wiring import Runtime


@dataclass(frozen=True)
class WorkerContext:
    """One worker's runtime, its ways out, and what it is doing.

    Attributes:
        stop: set when the worker is to end; work in hand is finished first.
        woken: set when the sweeper is to look at once.
        running: work in hand, by kind and tenant.
    """

    runtime: Runtime
    channels: Channels
    stop: asyncio.Event
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    running: dict[str, asyncio.Task[int]] = field(default_factory=dict)

    async def once(self, key: str, work: Callable[[], Coroutine[Any, Any, int]]) -> int:
        """Do the work, or wait for the same work if it is in hand already.

        Who waits may be cancelled (arq does so when Redis goes away), the work is not: a provider
        call cut short would leave a message of which nobody knows whether it went out.
        """
        task = self.running.get(key)
        if task is None:
            task = asyncio.create_task(work(), name=key)
            self.running[key] = task
            task.add_done_callback(lambda _: self.running.pop(key, None))
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for the work in hand."""
        while self.running:
            await asyncio.wait(self.running.values())
