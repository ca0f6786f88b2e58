"""A real SMTP receiver that fails on demand."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat

from aiosmtpd.smtp import SMTP

from gateways.debug_smtp import ACCEPTED, DebugSmtp, Received, cut

ACCEPT = "accept"
TEMPORARY = "temporary"  # 451
PERMANENT = "permanent"  # 550
HANG = "hang"  # no answer until released
ACCEPT_THEN_DROP = "accept, then drop"  # taken, but the connection dies before the answer
DROP = "drop"  # not taken, and the connection dies before the answer


@dataclass
class Moody:
    """Answers each message in the next mood of `moods`; accepts once they are used up.

    Attributes:
        seen: how many messages came in, whatever became of them.
    """

    moods: Iterator[str] = field(default_factory=lambda: repeat(ACCEPT))
    seen: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    keep: Callable[[Received], None] | None = None

    async def __call__(self, received: Received, protocol: SMTP) -> str:
        self.seen += 1
        self.arrived.set()
        mood = next(self.moods, ACCEPT)
        if mood == TEMPORARY:
            return "451 4.7.1 come back later"
        if mood == PERMANENT:
            return "550 5.1.1 no such mailbox"
        if mood == HANG:
            await self.released.wait()
        if mood == ACCEPT_THEN_DROP and self.keep is not None:
            self.keep(received)
        if mood in {ACCEPT_THEN_DROP, DROP}:
            cut(protocol)
            return "421 never seen by the client"
        return ACCEPTED


def moody_server(moods: Iterator[str] | None = None) -> tuple[DebugSmtp, Moody]:
    """A server, not yet started, and its moods."""
    mood = Moody(moods) if moods is not None else Moody()
    server = DebugSmtp(answer=mood)
    mood.keep = server.keep
    return server, mood
