"""Load on an HTTP server from a process of its own: keep-alive connections on raw sockets.

Reads one plan as JSON from stdin, writes one result as JSON to stdout:

    {"port": 8000, "connections": 8, "seconds": 3, "rate": null, "first": 0,
     "method": "GET", "paths": ["/v1/…"], "headers": {"authorization": "…"}, "bodies": []}

Without a rate each connection sends its next request when the last is answered (closed loop):
what the server can do. With one, requests start at fixed times whatever became of the others
(open loop), and latency counts from the planned start, so that a stall counts for all it delayed.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import uvloop

HOST = "127.0.0.1"
BODY = b'{"trigger": "api"}'


@dataclass(slots=True)
class Result:
    """What came back; latencies in milliseconds, in the order of the answers."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    acted: int = 0

    def note(self, status: int, body: bytes, began: float) -> None:
        self.latencies_ms.append((time.perf_counter() - began) * 1000)
        self.statuses[status] += 1
        self.acted += b'"status":"promised"' in body


def requests_of(
    method: str, paths: Sequence[str], headers: Mapping[str, str], bodies: Sequence[str] = ()
) -> list[bytes]:
    """Return whole requests as bytes; a POST carries its path's body, or a small one."""
    if method != "POST":
        return [_request(method, path, headers, b"") for path in paths]
    told = [body.encode() for body in bodies] or [BODY] * len(paths)
    return [_request(method, path, headers, body) for path, body in zip(paths, told, strict=True)]


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = {"host": HOST, **headers}
    if body:
        lines |= {"content-type": "application/json", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


class Connection:
    """One keep-alive connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection(HOST, port))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


async def closed_loop(plan: Mapping[str, Any], requests: Sequence[bytes]) -> Result:
    """Every connection asks again as soon as it is answered."""
    result, numbers = Result(), count(plan["first"])
    connections = [await Connection.open(plan["port"]) for _ in range(plan["connections"])]
    until = time.perf_counter() + plan["seconds"]

    async def keep_asking(connection: Connection) -> None:
        while (began := time.perf_counter()) < until:
            answer = await connection.ask(requests[next(numbers) % len(requests)])
            result.note(*answer, began)
        connection.close()

    await asyncio.gather(*map(keep_asking, connections))
    return result


async def open_loop(plan: Mapping[str, Any], requests: Sequence[bytes]) -> Result:
    """Requests start on time; where all connections are busy they wait, and the wait counts."""
    result, interval = Result(), 1 / plan["rate"]
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(plan["connections"]):
        idle.put_nowait(await Connection.open(plan["port"]))
    begin = time.perf_counter()

    async def ask(number: int) -> None:
        connection = await idle.get()
        answer = await connection.ask(requests[(plan["first"] + number) % len(requests)])
        result.note(*answer, begin + number * interval)
        idle.put_nowait(connection)

    async with asyncio.TaskGroup() as group:
        for number in range(int(plan["seconds"] * plan["rate"])):
            await asyncio.sleep(max(0.0, begin + number * interval - time.perf_counter()))
            group.create_task(ask(number))
    while not idle.empty():
        idle.get_nowait().close()
    return result


async def run(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out a plan; return what came of it as plain values."""
    requests = requests_of(plan["method"], plan["paths"], plan["headers"], plan.get("bodies", ()))
    began = time.perf_counter()
    result = await (closed_loop if plan["rate"] is None else open_loop)(plan, requests)
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "latencies_ms": sorted(result.latencies_ms),
        "statuses": dict(result.statuses),
        "acted": result.acted,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.load(sys.stdin)))))
