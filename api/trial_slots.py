"""How many trials on past nights run at once in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import RateLimited

# A trial keeps a core busy for seconds and a connection open; the others are for everybody else.
AT_ONCE = 2
_RETRY_SECONDS = 5


class TrialSlots:
    """Lets some trials run and refuses the rest, so that decisions never wait behind them."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._running = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a slot.

        Raises:
            RateLimited: all are taken.
        """
        if self._running >= self._at_once:
            raise RateLimited(
                f"{self._running} backtests are running, as many as may at once.",
                hint="Wait as Retry-After says, or look at a shorter time.",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
