"""What the SMS sender makes of what an HTTP provider answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest

from engine.errors import ProviderRefused, ProviderUnavailable
from gateways.sender import AcceptanceUnknown, MessageUnsendable, ProviderBusy
from gateways.sms import SmsSender
from tests.factories.messages import make_message


@dataclass
class Provider:
    """A real HTTP server that gives one answer and keeps what it was asked."""

    answer: bytes
    url: str = ""
    requests: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, orjson.loads(body)))
        writer.write(self.answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def answered(status: str, body: bytes = b"{}", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{extra}\r\n"
    return head.encode() + body


@asynccontextmanager
async def provider(answer: bytes) -> AsyncIterator[Provider]:
    serving = Provider(answer)
    server = await asyncio.start_server(serving.serve, "127.0.0.1", 0)
    serving.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/"
    async with server:
        yield serving


async def test_a_text_is_posted_with_the_send_id_as_its_key() -> None:
    message = make_message(recipient="+15550123456", subject="")
    async with provider(answered("201 Created", b'{"id": "SM1"}')) as sms:
        sender = SmsSender(sms.url, token="secret", sender="+15550000000")
        receipt = await sender.send(message)
        await sender.close()
    ((headers, body),) = sms.requests
    assert receipt.provider_id == "SM1"
    assert headers["idempotency-key"] == str(message.send_id)
    assert headers["authorization"] == "Bearer secret"
    assert body == {"to": "+15550123456", "from": "+15550000000", "text": "It is time."}


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (answered("400 Bad Request"), ProviderRefused),
        (answered("409 Conflict"), ProviderUnavailable),
        (answered("429 Too Many Requests", extra="Retry-After: 7\r\n"), ProviderBusy),
        (answered("302 Found", extra="Location: http://127.0.0.1:1/\r\n"), ProviderRefused),
        (answered("500 Internal Server Error"), AcceptanceUnknown),
        (b"", AcceptanceUnknown),
    ],
)
async def test_each_status_has_its_meaning(answer: bytes, meaning: type[Exception]) -> None:
    async with provider(answer) as sms:
        sender = SmsSender(sms.url, token="", sender="Practice")
        with pytest.raises(meaning) as told:
            await sender.send(make_message(recipient="+15550123456"))
        await sender.close()
    assert type(told.value) is meaning
    if isinstance(told.value, ProviderBusy):
        assert told.value.retry_after_seconds == 7


async def test_a_provider_that_is_not_there_took_nothing() -> None:
    async with provider(b"") as sms:
        url = sms.url
    sender = SmsSender(url, token="", sender="Practice")
    with pytest.raises(ProviderUnavailable):
        await sender.send(make_message(recipient="+15550123456"))
    await sender.close()


async def test_what_is_no_number_is_not_sent() -> None:
    sender = SmsSender("http://127.0.0.1:1/", token="", sender="Practice")
    with pytest.raises(MessageUnsendable):
        await sender.send(make_message(recipient="+1555\r\n0123456"))
    await sender.close()
