"""A business over many days with faults on every side, and the audit of what came of it.

`python -m benchmarks.policy_year --contacts 20000 --days 365 --nights 7 --active 0.01 --home DIR`
prints the audit as JSON and exits with 1 if it finds a violation. All people and events are
synthetic. A day: people act, and what they did is reported, some of it twice and at once; every
`--nights` days everybody is decided for, on others those alone whom an event or the time brings
up; two workers deliver three times. What goes wrong: FAULTS. With a home a year can be lived in
parts, `--from-day 90 --days 180`, with the servers started anew between them.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.year_faults import TERMS, FaultySender, kill_a_worker
from embedded.servers import EmbeddedServers
from engine.ids import ContactId, TenantId
from services.audit_policy import Audited, audit_policy
from services.check_due import check_due
from services.clock import Clock
from services.decide_everybody import decide_everybody
from services.deliver import Channels, deliver_due
from services.record_event import NewEvent, record_event
from services.set_policy import PolicyChange, set_policy
from services.settings import Settings
from services.wiring import Runtime, make_database
from store.consents import Consent, add_consent
from store.database import Database
from store.tenants import add_tenant, save_settings
from store.upgrade import upgrade

START = datetime(2025, 3, 3, 13, tzinfo=UTC)  # a Monday, eight in New York
SETTINGS = {
    "sender": {
        "name": "Practice",
        "email": "hello@practice.example",
        "postal_address": "1 Main St, Springfield, IL 62701",
        "phone": "+1 217 555 0100",
    },
    "timezone": "America/New_York",
    "channels": ["email", "sms"],
}
_PLACES = (
    ("America/New_York", "CA", "+14155550123"), ("America/Chicago", "TX", "+12145550123"),
    ("America/New_York", None, "+12125550123"), (None, "RI", "+14015550123"),
    ("Asia/Kathmandu", None, None), ("Mars/Phobos", "AL", "2055550123"), (None, None, "nobody"),
)  # fmt: skip
_EVENTS = ("appointment.no_show", "complaint.opened", "complaint.resolved", "message.clicked",
           "appointment.booked", "appointment.kept", "cancellation.requested")  # fmt: skip
_SHARES = (0.6, 0.04, 0.04, 0.1, 0.05, 0.14, 0.03)
# what a manager does meanwhile; some of it takes back what is queued
_CHANGES = (
    {"budgets": [{"name": "g", "limit": "9.00 USD", "per": "month", "gives": {"*": "1.00 USD"}}]},
    {"levers": [{"on": "purpose:service", "percent": 60, "until": "2027-12-31", "why": "season"}]},
    {"groups": {"holdout": 0.08, "usual": 0.05, "random": 0.05}},
    {"rollout": {"purpose:marketing": 0.5}},
    {"caps": [{"purpose": "any", "in": "7 days", "at_most": 2}]},
    {"budgets": None, "levers": None},
    {"closed": ["2025-04-07"], "rollout": None, "caps": None},
)
_REVOKED = 0.002  # share of the contacts who revoke consent between two deliveries
_HOURS = (2.5, 6.0, 9.5)  # after the run of the morning: the last is evening in New York


FAULTS: dict[str, Callable[[int], bool]] = {
    "killed_workers": lambda day: day % 7 in (0, 1),  # within the call to the provider
    "days_without_provider": lambda day: day % 14 == 6,
    "clock_jumps": lambda day: day % 45 == 20,  # a day ahead, and back the day after
    "rival_runs": lambda day: day % 3 == 1,  # two processes decide for everybody at once
}
_REPEATED = 0.2  # share of events that are reported twice at once
_MOST = 100_000  # whatever is due


@dataclass(frozen=True, slots=True)
class Year:
    """What is run.

    Attributes:
        nights: everybody is decided for each so many days.
        active: share of the contacts who do something on a day.
    """

    contacts: int
    days: int
    seed: int = 7
    nights: int = 1
    active: float = 0.2

    @property
    def tenant_id(self) -> TenantId:
        """By the seed alone."""
        return TenantId(UUID(bytes=np.random.default_rng(self.seed).bytes(16)))

    @property
    def slug(self) -> str:
        """Its tenant's."""
        return f"year-{self.tenant_id.hex[:8]}"


@dataclass
class Lived:
    """The audit of a year, and what went wrong in it."""

    audited: Audited
    happened: Counter[str] = field(default_factory=Counter)


async def run_year(runtime: Runtime, year: Year, *, first_day: int = 0) -> Lived:
    """Live through the days in the year's tenant, a new one on day 0; audit all of them."""
    tenant_id, happened = year.tenant_id, Counter[str]()
    start = _at(runtime, START)
    async with start.database.transaction(tenant_id) as connection:
        if first_day == 0:
            await _settle(connection, year)
        people = [
            ContactId(row[0])
            for row in await connection.execute(text("SELECT id FROM crm_contacts ORDER BY id"))
        ]
    await start.database.close()
    for day in range(first_day, year.days):
        # of its own: a year that is lived in parts is the same year
        rng = np.random.default_rng([year.seed, day])
        await _Day(runtime, year, day, rng, people, happened).live()
        print(f"day {day + 1}: {dict(happened)}", file=sys.stderr, flush=True)
    last = _at(runtime, START + timedelta(days=year.days))
    async with last.database.transaction(tenant_id) as connection:
        audited = await audit_policy(connection, tenant_id)
    await last.database.close()
    return Lived(audited, happened)


@dataclass
class _Day:
    runtime: Runtime
    year: Year
    number: int
    rng: np.random.Generator
    people: list[ContactId]
    happened: Counter[str]

    async def live(self) -> None:
        """Events, decisions, deliveries, and what goes wrong with them."""
        morning = START + timedelta(days=self.number)
        if self._strikes("clock_jumps"):
            morning += timedelta(days=1)
        here = _at(self.runtime, morning)
        await self._act(here, morning)
        if self.number % 5 == 3:
            await self._change_policy(here)
        if self.number % self.year.nights == 0:
            runs = 2 if self._strikes("rival_runs") else 1
            decided = [
                decide_everybody(here, self.year.tenant_id, lambda _: None, as_of=morning)
                for _ in range(runs)
            ]
            done = await asyncio.gather(*decided)
            self.happened["decided_at_night"] += done[0].decisions
        looks = [check_due(here, self.year.tenant_id, limit=_MOST) for _ in (1, 2)]
        looked = await asyncio.gather(*looks)
        self.happened["decided_by_day"] += sum(each.decided for each in looked)
        self.happened["failed_looks"] += sum(each.failed for each in looked)
        await here.database.close()
        await self._deliver(morning)

    def _strikes(self, fault: str) -> bool:
        strikes = FAULTS[fault](self.number)
        self.happened[fault] += strikes
        return strikes

    async def _act(self, here: Runtime, morning: datetime) -> None:
        size = max(1, int(len(self.people) * self.year.active))
        for person in self.rng.choice(len(self.people), size=size):
            kind = str(self.rng.choice(_EVENTS, p=_SHARES))
            event = NewEvent(
                id=f"{self.number}-{person}-{kind}", type=kind, contact=str(self.people[person]),
                occurred_at=morning - timedelta(hours=float(self.rng.uniform(0, 20))),
            )  # fmt: skip
            reports = 2 if self.rng.random() < _REPEATED else 1
            told = await asyncio.gather(*(self._report(here, event) for _ in range(reports)))
            self.happened["events"] += 1
            self.happened["repeated_events"] += told.count("duplicate")

    async def _report(self, here: Runtime, event: NewEvent) -> str:
        async with here.database.transaction(self.year.tenant_id) as connection:
            now = here.clock.now()
            told = await record_event(connection, self.year.tenant_id, event, now=now)
        return str(told["status"])

    async def _change_policy(self, here: Runtime) -> None:
        wish: dict[str, Any] = _CHANGES[self.number // 5 % len(_CHANGES)]
        async with here.database.transaction(self.year.tenant_id) as connection:
            change = PolicyChange(wish, "manager", "trial")
            await set_policy(connection, self.year.tenant_id, change)
        self.happened["policy_changes"] += 1

    async def _deliver(self, morning: datetime) -> None:
        sender = FaultySender(self.rng, down=self._strikes("days_without_provider"))
        channels = Channels({"email": sender, "sms": sender}, TERMS)
        killed = False  # at the first round of the day that finds anything due
        for hours in _HOURS:
            later = _at(self.runtime, morning + timedelta(hours=hours))
            if self.rng.random() < _REVOKED * len(self.people):
                await self._revoke(later)
            if not killed and FAULTS["killed_workers"](self.number):
                killed = await asyncio.to_thread(
                    kill_a_worker, later.database_url, later.clock.offset, self.year.tenant_id
                )
            # two workers at once
            await asyncio.gather(
                *(
                    deliver_due(later.database, channels, self.year.tenant_id, limit=_MOST)
                    for _ in (1, 2)
                )
            )
            await later.database.close()
        self.happened["killed_workers"] += killed
        self.happened["accepted_by_provider"] += sender.accepted.total()

    async def _revoke(self, runtime: Runtime) -> None:
        """Somebody changes its mind between decision and delivery."""
        contact = self.people[int(self.rng.integers(len(self.people)))]
        async with runtime.database.transaction(self.year.tenant_id) as connection:
            for purpose in ("service", "marketing"):
                wish = Consent(contact, "email", purpose, "revoked", "revocation", "year", {})
                await add_consent(connection, self.year.tenant_id, wish)
        self.happened["revocations"] += 1


def _at(runtime: Runtime, moment: datetime) -> Runtime:
    clock = Clock.starting_at(moment)
    database = Database(runtime.database_url, clock_offset=clock.offset)
    return replace(runtime, clock=clock, database=database)


async def _settle(connection: AsyncConnection, year: Year) -> None:
    """A tenant with its people: three in four agreed to everything, two of five share a home."""
    tenant_id = year.tenant_id
    await add_tenant(
        connection, tenant_id, slug=year.slug, name="Practice", industry="healthcare"
    )  # fmt: skip
    await save_settings(connection, tenant_id, SETTINGS)
    rng = np.random.default_rng(year.seed)
    homes, people = [], []
    for number in range(year.contacts):
        contact, home = UUID(bytes=rng.bytes(16)), _home(tenant_id, number // 5)
        zone, state, phone = _PLACES[number // 5 % len(_PLACES)]
        if number % 5 == 0:
            homes.append({"home": home, "t": tenant_id, "state": state})
        people.append({
            "id": contact, "t": tenant_id, "zone": zone, "phone": phone,
            "home": home if number % 5 < 2 else None, "email": f"{contact.hex}@example.com",
        })  # fmt: skip
    await connection.execute(_HOMES, homes)
    await connection.execute(_PEOPLE, people)
    await connection.execute(_AGREED, {"since": START - timedelta(days=400)})
    await connection.execute(_SEEN, {"start": START})


_HOMES = text(
    "INSERT INTO crm_accounts (id, tenant_id, name, state) VALUES (:home, :t, 'Home', :state)"
)
_PEOPLE = text(
    "INSERT INTO crm_contacts (id, tenant_id, account_id, first_name, email, mobile_phone, "
    "timezone, created_at) VALUES (:id, :t, :home, 'Ada', :email, :phone, :zone, '2020-01-01')"
)
_AGREED = text(
    "INSERT INTO keepwell.consents "
    "(tenant_id, contact_id, channel, purpose, status, basis, source, effective_at) "
    "SELECT tenant_id, id, channel, purpose, 'granted', 'form', 'year', :since FROM crm_contacts, "
    "unnest(ARRAY['email', 'sms']) channel, "
    "unnest(ARRAY['treatment', 'service', 'marketing']) purpose "
    "WHERE abs(hashtext(id::text)) % 4 > 0"
)

# everybody came once within the last thirteen months
_SEEN = text(
    "INSERT INTO keepwell.events "
    "(tenant_id, source, external_id, contact_id, type, occurred_at, known_at) "
    "SELECT tenant_id, 'year', 'first ' || id, id, 'appointment.kept', seen.at, seen.at "
    "FROM crm_contacts, LATERAL (SELECT cast(:start AS timestamptz) "
    "- make_interval(days => 1 + abs(hashtext('seen ' || id)) % 400) AS at) seen"
)


def _home(tenant_id: TenantId, number: int) -> UUID:
    return UUID(int=(tenant_id.int ^ UUID(int=1 + number, version=4).int) % 2**128)


@contextmanager
def _servers(home: Path) -> Iterator[Runtime]:
    settings = Settings(home=home, _env_file=None)
    with EmbeddedServers.start(home) as servers:
        upgrade(servers.owner_database_url)
        clock = Clock()
        yield Runtime(
            settings=settings,
            clock=clock,
            database=make_database(settings, servers.app_database_url, clock),
            database_url=servers.app_database_url,
            redis_url=None,  # the year is lived without Redis
            owner_database_url=servers.owner_database_url,
            embedded=True,
        )


def main() -> None:
    """Live through the days asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--contacts", type=int, default=2_000)
    asked.add_argument("--days", type=int, default=90)
    asked.add_argument("--from-day", type=int, default=0)
    asked.add_argument("--nights", type=int, default=1)
    asked.add_argument("--active", type=float, default=0.2)
    asked.add_argument("--seed", type=int, default=7)
    asked.add_argument("--home", type=Path, help="is kept; default: a new one that is not")
    told = asked.parse_args()
    logging.disable(logging.ERROR)  # of faults that are meant
    began = time.perf_counter()
    year = Year(told.contacts, told.days, told.seed, told.nights, told.active)
    with (
        tempfile.TemporaryDirectory(prefix="keepwell-year-") as folder,
        _servers(told.home or Path(folder)) as runtime,
    ):
        lived = asyncio.run(run_year(runtime, year, first_day=told.from_day))
    document = lived.audited.as_document() | {
        "tenant": year.slug,
        "happened": dict(lived.happened),
        "seconds": round(time.perf_counter() - began),
    }
    print(json.dumps(document, indent=2))
    sys.exit(1 if lived.audited.findings else 0)


if __name__ == "__main__":
    main()
