"""From an event over HTTP to the decision that it leads to, with API and worker of their own."""

import json
import time
from typing import Any

from sqlalchemy import text

from benchmarks.api_server import Load, loaded, running, serving
from benchmarks.figures import Figure, Measured
from benchmarks.practice import World
from engine.ids import TenantId
from services.manage_keys import create_key
from services.wiring import Runtime

RATES = (50, 200)  # events a second
SECONDS = 4.0
CONNECTIONS = 32
KIND = "appointment.no_show"  # rules wait for it: each of them is decided about
BAR_SECONDS, BAR_RATE = 1.0, 200
_PATIENCE_SECONDS = 12.0
# decided_at is the database's clock at the decision's INSERT; the commit is the next thing it does
_WAITED = text("""
  SELECT count(*) AS events, count(d.decided_at) AS decided,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY d.decided_at - e.known_at) AS p50,
         percentile_cont(0.99) WITHIN GROUP (ORDER BY d.decided_at - e.known_at) AS p99
    FROM keepwell.events e
    LEFT JOIN LATERAL (
      SELECT min(decided_at) AS decided_at FROM keepwell.decisions d
       WHERE d.contact_id = e.contact_id AND d.decided_at >= e.known_at AND d.trigger <> 'api'
    ) d ON true
   WHERE e.external_id LIKE :named
""")


def measure(world: World) -> Measured:
    """Report events at growing rates; each is of another contact and asks for a decision."""
    practice = world.practice

    async def make_key(runtime: Runtime) -> str:
        async with runtime.database.transaction(practice.tenant_id) as connection:
            made = await create_key(connection, practice.tenant_id, name="ev", scopes=["admin"])
            return made.key

    key, at = world.run(make_key), world.runtime.clock.now().isoformat()
    found: dict[int, dict[str, Any]] = {}
    with (
        serving(world.runtime) as port,
        running(world.runtime, ["cli.main", "worker"], "worker"),
    ):
        first = 0
        for rate in RATES:
            contacts = practice.contacts[first : first + int(rate * SECONDS)]
            first += len(contacts)
            bodies = [
                json.dumps({"id": f"{rate}-{n}", "type": KIND, "contact": each, "occurred_at": at})
                for n, each in enumerate(contacts)
            ]
            paths = ["/v1/events"] * len(bodies)
            loaded(port, key, Load("POST", paths, SECONDS, CONNECTIONS, rate, 0, bodies))
            found[rate] = _settled(world, practice.tenant_id, f"{rate}-%")
    sustained = max((r for r, told in found.items() if told["p99"] < BAR_SECONDS), default=0)
    told = found[BAR_RATE]
    return Measured(
        (
            Figure("journey", f"event in to decision, p99, {BAR_RATE} events/s", told["p99"], "s",
                   told["p50"], "its own p50", reach=BAR_SECONDS),
            Figure("journey", "events/s at which p99 stays below a second", sustained, "events/s",
                   BAR_RATE, "the bar", reach=BAR_RATE),
        ),
        (f"journey: by rate {found}; every event is decided about, by one API and one worker.",),
    )  # fmt: skip


def _settled(world: World, tenant_id: TenantId, named: str) -> dict[str, Any]:
    """What became of the events, when all are decided about; seconds."""

    async def ask(runtime: Runtime) -> dict[str, Any]:
        async with runtime.database.transaction(tenant_id) as connection:
            row = (await connection.execute(_WAITED, {"named": named})).mappings().one()
        return dict(row)

    until = time.monotonic() + _PATIENCE_SECONDS
    while (told := world.run(ask))["decided"] < told["events"] and time.monotonic() < until:
        time.sleep(0.5)
    if told["decided"] < told["events"]:
        return {"p50": float("inf"), "p99": float("inf")}
    return {name: round(told[name].total_seconds(), 3) for name in ("p50", "p99")}
