"""A next best action over HTTP against reading and writing one row over HTTP, in one process."""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.api_server import Load, loaded, serving
from benchmarks.figures import Figure, Measured, percentile
from benchmarks.practice import SEED, World
from services.manage_keys import create_key
from services.score_health import score_health
from services.wiring import Runtime

CONNECTIONS = 8
ROUNDS, WARM_UP = 3, 1
SECONDS = 1.5
SHARE_OF_LIMIT = 0.7
_PACED = f"at {SHARE_OF_LIMIT:.0%} of its limit"
BAR = 0.4
READ_BAR = 0.25  # against a plain read
TIMES_ROW = 4.0  # p99 against that of the row
P99_TO_P50 = 3.0  # at 70 % of the limit
HEALTH_BAR = 1 / 3
DECIDED = "next best action, committed"
READ = "GET /v1/contacts/{id}"
ROW = "route that reads and writes one row"


@dataclass
class _Bench:
    """The server, and how many contacts have been asked about."""

    port: int
    key: str
    paths: Sequence[str]
    asked: int = 0

    def reads(self, seconds: float, rate: float | None = None) -> dict[str, Any]:
        return self._load("GET", self.paths, seconds, rate)

    def rows(self, seconds: float, rate: float | None = None) -> dict[str, Any]:
        paths = [path.replace("/v1/contacts/", "/bench/row/") for path in self.paths]
        return self._load("POST", paths, seconds, rate)

    def healths(self, seconds: float) -> dict[str, Any]:
        return self._load("GET", [f"{path}/health" for path in self.paths], seconds, None)

    def decides(self, seconds: float, rate: float | None = None) -> dict[str, Any]:
        paths = [f"{path}/next-best-action" for path in self.paths]
        result = self._load("POST", paths, seconds, rate)
        self.asked += len(result["latencies_ms"])
        return result

    def _load(
        self, method: str, paths: Sequence[str], seconds: float, rate: float | None
    ) -> dict[str, Any]:
        # paced load needs connections for a burst of late answers
        connections = CONNECTIONS if rate is None else 4 * CONNECTIONS
        return loaded(
            self.port, self.key, Load(method, paths, seconds, connections, rate, self.asked)
        )


def measure(world: World) -> Measured:
    """Load the API from another process: as much as it takes, then 70 % of that."""
    practice = world.practice

    async def make_key(runtime: Runtime) -> str:
        async with runtime.database.transaction(practice.tenant_id) as connection:
            return (
                await create_key(connection, practice.tenant_id, name="bench", scopes=["admin"])
            ).key

    async def score(runtime: Runtime) -> None:
        async with runtime.database.transaction(practice.tenant_id) as connection:
            await score_health(connection, runtime, practice.tenant_id)

    world.run(score)
    contacts = list(practice.contacts)
    random.Random(SEED).shuffle(contacts)
    with serving(world.runtime) as port:
        bench = _Bench(port, world.run(make_key), [f"/v1/contacts/{each}" for each in contacts])
        rounds = [_round(bench) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
        beside = [(bench.reads(SECONDS), bench.healths(SECONDS)) for _ in range(WARM_UP + ROUNDS)][
            WARM_UP:
        ]
    rows, decides, paced_rows, paced_decides = zip(*rounds, strict=True)
    name = f"{DECIDED}: throughput"
    throughput = Figure(
        "api", name, _per_second(decides), "requests/s", _per_second(rows), ROW, BAR
    )
    reads = _per_second([read for read, _ in beside])
    against_read = Figure("api", name, _per_second(decides), "requests/s", reads, READ, READ_BAR)
    acted = sum(run["acted"] for run in decides) / sum(len(run["latencies_ms"]) for run in decides)
    return Measured(
        (
            throughput,
            against_read,
            _health(beside),
            *_latencies("closed loop", rows, decides),
            *_latencies(_PACED, paced_rows, paced_decides),
            Figure(
                area="api",
                name=f"{DECIDED}: p99 to p50, {_PACED}",
                value=_latency(paced_decides, 0.99),
                unit="ms",
                reference=_latency(paced_decides, 0.5),
                against="its own p50",
                bar=1 / P99_TO_P50,
            ),
        ),
        (
            f"api: {bench.asked:,} decisions for {len(contacts):,} contacts with "
            f"{practice.appointments:,} appointments, health by {practice.tier}; {acted:.0%} of "
            f"those measured promised a message; one uvicorn process, worker off, {CONNECTIONS} "
            "connections from another process.",
        ),
    )


def _round(bench: _Bench) -> tuple[dict[str, Any], ...]:
    """Both as fast as they are answered, then both at a share of what they just reached."""
    row, decide = bench.rows(SECONDS), bench.decides(SECONDS)
    return (
        row,
        decide,
        bench.rows(SECONDS, SHARE_OF_LIMIT * _per_second([row])),
        bench.decides(SECONDS, SHARE_OF_LIMIT * _per_second([decide])),
    )


def _latencies(
    how: str, rows: Sequence[dict[str, Any]], decides: Sequence[dict[str, Any]]
) -> list[Figure]:
    return [
        Figure(
            area="api",
            name=f"{DECIDED}: p{share * 100:.0f}, {how}",
            value=_latency(decides, share),
            unit="ms",
            reference=_latency(rows, share),
            against=f"{ROW} {how}",
            bar=1 / TIMES_ROW if share > 0.5 else None,
        )
        for share in (0.5, 0.99)
    ]


def _health(beside: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Figure:
    """A contact's health with parts, reasons and history: at most three times a plain read."""
    reads, healths = zip(*beside, strict=True)
    name = "a contact's health: throughput"
    return Figure(
        "api", name, _per_second(healths), "requests/s", _per_second(reads), READ, HEALTH_BAR
    )


def _per_second(runs: Sequence[dict[str, Any]]) -> float:
    return statistics.median(len(run["latencies_ms"]) / float(run["seconds"]) for run in runs)


def _latency(runs: Sequence[dict[str, Any]], share: float) -> float:
    return statistics.median(percentile(run["latencies_ms"], share) for run in runs)
