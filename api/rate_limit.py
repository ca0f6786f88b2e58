"""A token bucket per API key, in this process."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import RateLimited

MAX_KNOWN = 10_000
# first calls with keys not seen before: enough for honest new keys, little for guessing
STRANGERS_PER_SECOND = 50
STRANGERS_BURST = 200


@dataclass(slots=True)
class _Bucket:
    per_second: float
    burst: float
    tokens: float
    at: float


class RateLimit:
    """Lets each key make `per_second` calls on average and `burst` at once.

    Keys that never proved themselves share one small bucket, so guessing slows down nobody else.
    Several API processes allow as many times more: the limit protects the process, it bills nobody.

    Args:
        clock: seconds that only grow.
    """

    def __init__(
        self,
        *,
        per_second: float = 2_000,
        burst: int = 2_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._known: dict[bytes, _Bucket] = {}
        self._strangers = _Bucket(STRANGERS_PER_SECOND, STRANGERS_BURST, STRANGERS_BURST, clock())

    def take(self, key: bytes) -> None:
        """Take one call of this key.

        Raises:
            RateLimited: its bucket is empty; says after how many whole seconds it is not.
        """
        now = self._clock()
        bucket = self._known.get(key, self._strangers)
        bucket.tokens = min(bucket.burst, bucket.tokens + (now - bucket.at) * bucket.per_second)
        bucket.at = now
        if bucket.tokens < 1:
            raise RateLimited(
                "Too many requests with this API key.",
                hint="Wait as Retry-After says, or send events in batches.",
                retry_after_seconds=max(1, math.ceil((1 - bucket.tokens) / bucket.per_second)),
            )
        bucket.tokens -= 1

    def welcome(self, key: bytes) -> None:
        """Give a key that proved itself a bucket of its own."""
        if key in self._known:
            return
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[key] = _Bucket(self._per_second, self._burst, self._burst, self._clock())
