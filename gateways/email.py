"""E-mail over SMTP."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from email.utils import parseaddr
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

import aiosmtplib

from engine.errors import InvalidInput, ProviderRefused, ProviderUnavailable
from gateways.letter import address_of, compose, message_id
from gateways.sender import AcceptanceUnknown, Message, Receipt

TIMEOUT_SECONDS = 10.0
_IDLE_CONNECTIONS = 5
_PERMANENT = 500


class EmailSender:
    """Sends over one SMTP server; keeps a few connections open between messages.

    SMTP has no idempotency key and nobody to ask whether a message was taken: repeats carry the
    same Message-ID, which receivers use to drop copies, and that is all there is.

    Args:
        url: `smtp://[user:password@]host[:port]`, or `smtps://` for TLS from the first byte.
            STARTTLS is used where it is offered; with a password to another machine it is
            required.
        sender: 'Name <address>' for messages that name none.
        timeout_seconds: for the whole of one message, connecting included.
    """

    key_lifetime: timedelta | None = None

    def __init__(self, url: str, *, sender: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or parts.hostname is None:
            raise InvalidInput(
                "The address of the SMTP server is not understood.",
                hint="KEEPWELL_SMTP_URL has the form smtp://user:password@host:587.",
            )
        address_of(parseaddr(sender)[1])
        self._sender = sender
        self._host, self._port = parts.hostname, parts.port
        self._tls = parts.scheme == "smtps"
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._timeout_seconds = timeout_seconds
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, message: Message) -> Receipt:
        """Hand one e-mail to the server; see `Sender.send`."""
        sender = message.sender or self._sender
        envelope = (address_of(parseaddr(sender)[1]), address_of(message.recipient))
        letter = compose(message, sender)
        transfer = _Transfer()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                client = await self._connection()
                try:
                    await transfer.run(client, envelope, letter)
                except BaseException:
                    client.close()
                    raise
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise _meaning(error, transfer) from error
        self._keep(client)
        return Receipt(provider_id=message_id(message, sender))

    async def close(self) -> None:
        """Say goodbye on every open connection."""
        while self._idle:
            client = self._idle.pop()
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit(timeout=1)
            client.close()

    async def _connection(self) -> aiosmtplib.SMTP:
        while self._idle:
            client = self._idle.pop()
            try:
                await client.rset()
            except (aiosmtplib.SMTPException, OSError):
                client.close()
            else:
                return client
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._tls,
            start_tls=True if self.must_encrypt else None,
            username=self._user or None,
            password=self._password or None,
            timeout=self._timeout_seconds,
            local_hostname="localhost",
        )
        try:
            await client.connect()
        except BaseException:
            client.close()
            raise
        return client

    @property
    def must_encrypt(self) -> bool:
        """Whether a connection without TLS is refused: a password would cross a network."""
        if self._tls or not self._password:
            return False
        if self._host == "localhost":
            return False
        try:
            return not ip_address(self._host).is_loopback
        except ValueError:
            return True

    def _keep(self, client: aiosmtplib.SMTP) -> None:
        if len(self._idle) < _IDLE_CONNECTIONS:
            self._idle.append(client)
        else:
            client.close()


class _Transfer:
    """One message on one connection, and how far it came."""

    def __init__(self) -> None:
        self.began = False
        self.data_sent = False

    async def run(self, client: aiosmtplib.SMTP, envelope: tuple[str, str], letter: bytes) -> None:
        sender, recipient = envelope
        self.began = True
        await client.mail(sender)
        await client.rcpt(recipient)
        self.data_sent = True
        await client.data(letter)


def _meaning(
    error: Exception, transfer: _Transfer
) -> ProviderRefused | ProviderUnavailable | AcceptanceUnknown:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        said = f"The SMTP server answered {error.code} {error.message}."
        # a refused login or greeting is the operator's to mend: the message itself is fine
        if error.code >= _PERMANENT and transfer.began:
            return ProviderRefused(said)
        return ProviderUnavailable(said)
    what = str(error) or type(error).__name__
    if transfer.data_sent:
        return AcceptanceUnknown(f"The SMTP server gave no answer to the message: {what}.")
    return ProviderUnavailable(
        f"The SMTP server can't be reached: {what}.",
        hint="Nothing is lost; check KEEPWELL_SMTP_URL if this lasts.",
    )
