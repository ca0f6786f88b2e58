"""Keeps one part of the worker going, whatever happens to what it depends on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from engine.chance import salt
from engine.errors import Unavailable

log = logging.getLogger(__name__)

_JITTER = 0.25
_HEALTHY_SECONDS = 30.0  # work that went on for so long had what it needs: a new outage is news


async def repeat(
    name: str,
    work: Callable[[], Awaitable[None]],
    *,
    stop: asyncio.Event,
    every_seconds: float,
    woken: asyncio.Event | None = None,
) -> None:
    """Do the work again and again until `stop`, with a pause, give or take a quarter, in between.

    `woken` cuts a pause short. A server that is away is logged once until it is back; any other
    error each time. Neither ends the loop.
    """
    away = False
    round_number = 0
    while not stop.is_set():
        round_number += 1
        began = asyncio.get_running_loop().time()
        try:
            await work()
            if away:
                log.info("%s: back to normal", name)
            away = False
        except (Unavailable, RedisError, OSError) as error:
            if not away or asyncio.get_running_loop().time() - began > _HEALTHY_SECONDS:
                log.warning("%s: goes on without: %s", name, error)
            away = True
        except Exception:  # the worker outlives every single fault
            log.exception("%s: failed, goes on", name)
        # many workers that started together must not look together
        spread = (
            1.0 - _JITTER + 2.0 * _JITTER * salt(name, str(id(stop)), str(round_number)) / 2**64
        )
        await _pause(every_seconds * spread, stop, woken)


async def _pause(seconds: float, stop: asyncio.Event, woken: asyncio.Event | None) -> None:
    events = [event for event in (stop, woken) if event is not None]
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiting:
            waiter.cancel()
    if woken is not None:
        woken.clear()
