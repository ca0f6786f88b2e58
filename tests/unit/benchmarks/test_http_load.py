"""The load generator against a real server on the loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from benchmarks.http_load import run

PLAN = {
    "connections": 3,
    "seconds": 0.1,
    "rate": None,
    "first": 0,
    "paths": ["/a", "/b"],
    "headers": {"authorization": "Bearer x"},
}


@asynccontextmanager
async def server(answer: Callable[[str, bytes], tuple[int, bytes]]) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name == b"content-length" else length
            status, body = answer(head.decode(), await reader.readexactly(length))
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            writer.write(body)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await listening.wait_closed()


async def test_a_closed_loop_asks_all_paths_in_turn_and_counts_every_answer() -> None:
    seen: list[str] = []

    def answer(head: str, _body: bytes) -> tuple[int, bytes]:
        seen.append(head.split()[1])
        return (200, b"{}")

    async with server(answer) as port:
        result = await run(PLAN | {"port": port, "method": "GET", "first": 1})
    assert seen[:4] == ["/b", "/a", "/b", "/a"]
    assert result["statuses"] == {200: len(seen)}
    assert len(result["latencies_ms"]) == len(seen) > 3
    assert result["latencies_ms"] == sorted(result["latencies_ms"])


async def test_an_open_loop_asks_as_often_as_planned_whatever_the_server_does() -> None:
    async with server(lambda _head, _body: (503, b"")) as port:
        result = await run(PLAN | {"port": port, "method": "GET", "rate": 200})
    assert result["statuses"] == {503: 20}


@pytest.mark.parametrize(("status", "acted"), [(b"promised", 1), (b"nothing", 0)])
async def test_a_decision_counts_as_acted_when_it_promised_a_message(
    status: bytes, acted: int
) -> None:
    bodies: list[bytes] = []

    def answer(_head: str, body: bytes) -> tuple[int, bytes]:
        bodies.append(body)
        return (200, b'{"send":{"status":"' + status + b'"}}')

    async with server(answer) as port:
        plan = PLAN | {"port": port, "method": "POST", "rate": 10, "seconds": 0.1}
        result = await run(plan)
    assert (result["acted"], len(bodies)) == (acted, 1)
    assert bodies[0].startswith(b"{")
