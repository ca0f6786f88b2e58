"""An SMTP server that keeps what it receives: for the demo and for tests, on this machine only."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, Self, cast
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, Envelope, Session

ACCEPTED = "250 2.0.0 accepted"


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it arrived.

    Attributes:
        recipients: of the envelope.
        raw: the bytes of DATA.
    """

    recipients: tuple[str, ...]
    raw: bytes

    @property
    def letter(self) -> EmailMessage:
        """The message, parsed."""
        return message_from_bytes(self.raw, policy=default)

    @property
    def message_id(self) -> str:
        """The Message-ID with its angle brackets."""
        return str(self.letter["Message-ID"])

    @property
    def text(self) -> str:
        """The plain text."""
        body = self.letter.get_body(("plain",))
        return "" if body is None else str(body.get_content())


# decides the answer to DATA from the message and the protocol, whose transport it may cut
Answer = Callable[[Received, SMTP], Awaitable[str]]


def cut(protocol: SMTP) -> None:
    """End a client's connection without a word."""
    if isinstance(protocol.transport, asyncio.WriteTransport):
        protocol.transport.abort()


class DebugSmtp:
    """Receives in the running event loop; `async with DebugSmtp() as server: server.url`.

    Args:
        port: 0 takes a free one; a stopped server keeps its number and can start again.
        on_message: called with each accepted message.
        answer: what to say to a message; accepts all by default.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        on_message: Callable[[Received], None] | None = None,
        answer: Answer | None = None,
    ) -> None:
        self.port = port
        self.messages: list[Received] = []
        self.connections = 0
        self._on_message = on_message
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._open: WeakSet[SMTP] = WeakSet()

    @property
    def url(self) -> str:
        """Where it listens, as KEEPWELL_SMTP_URL has it."""
        return f"smtp://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen on 127.0.0.1."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection and listen no more."""
        if self._server is None:
            return
        self._server.close()
        for protocol in list(self._open):
            cut(protocol)
        self._open.clear()
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # aiosmtpd finds the hook by this name
    async def handle_DATA(  # noqa: N802
        self,
        protocol: SMTP,
        session: Session,  # noqa: ARG002 - part of the hook's signature
        envelope: Envelope,
    ) -> str:
        """Keep the message if the answer accepts it."""
        received = Received(tuple(map(str, envelope.rcpt_tos)), cast(bytes, envelope.content))
        answer = ACCEPTED if self._answer is None else await self._answer(received, protocol)
        if answer.startswith("2"):
            self.keep(received)
        return answer

    def keep(self, received: Received) -> None:
        """Add a message to those received."""
        self.messages.append(received)
        if self._on_message is not None:
            self._on_message(received)

    def _protocol(self) -> Any:  # noqa: ANN401 - aiosmtpd has no types
        protocol = SMTP(self, hostname="localhost", enable_SMTPUTF8=False)
        self._open.add(protocol)
        self.connections += 1
        return protocol
