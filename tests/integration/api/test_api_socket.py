"""The application behind a real uvicorn socket."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
import uvicorn

from api.app import create_app
from store.database import Database

pytestmark = pytest.mark.integration

WAIT_SECONDS = 20


@pytest.fixture
async def port(runtime) -> AsyncIterator[int]:
    # the application closes its database, so it gets one of its own
    own = replace(runtime, database=Database(runtime.database_url))
    config = uvicorn.Config(create_app(own), port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    async with asyncio.timeout(WAIT_SECONDS):
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn sets a flag, no event
            await asyncio.sleep(0)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    async with asyncio.timeout(WAIT_SECONDS):
        await serving


async def speak(port: int, *pieces: bytes) -> bytes:
    """Send raw bytes and return what comes back until the server closes or is silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.readuntil(b"}")
    finally:
        writer.close()


async def test_a_decision_over_a_real_socket(port, key, contact):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_SECONDS) as web:
        answer = await web.post(
            f"/v1/contacts/external:{contact.external}/next-best-action",
            json={"dry_run": True},
            headers=key,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["contact_id"] == str(contact.id)
        assert answer.headers["x-request-id"]
        empty = await web.post(f"/v1/contacts/{contact.id}/next-best-action", headers=key)
        assert empty.status_code == 200


async def test_a_large_body_is_refused_before_it_is_sent(port):
    head = (
        b"POST /v1/events HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        b"Content-Length: 150000000\r\n\r\n"
    )
    assert (await speak(port, head)).startswith(b"HTTP/1.1 413 ")


async def test_a_chunked_body_is_cut_off_at_the_limit(port):
    head = (
        b"POST /v1/events HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert (await speak(port, head, *[chunk] * 17)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
    ],
)
async def test_a_body_of_two_lengths_is_refused(port, framing):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            b"POST /v1/events HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
            + framing
            + b"\r\n2\r\n{}\r\n0\r\n\r\n"
        )
        async with asyncio.timeout(WAIT_SECONDS):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    finally:
        writer.close()
