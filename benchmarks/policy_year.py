"""A business over many days with faults on every side, and the audit of what came of it.

`python -m benchmarks.policy_year --contacts 2000 --days 90` prints the audit as JSON and exits
with 1 if it finds a violation. All people and events are synthetic.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from sqlalchemy import text

from benchmarks.practice import World
from engine.errors import ProviderUnavailable
from engine.ids import ContactId, TenantId
from gateways.sender import AcceptanceUnknown, Message, Receipt
from services.audit_policy import Audited, audit_policy
from services.clock import Clock
from services.decide import decide_tenant
from services.deliver import Channels, deliver_due
from services.deliver_outcome import Terms
from services.set_policy import PolicyChange, set_policy
from services.wiring import Runtime
from store.consents import Consent, add_consent
from store.database import Database
from store.events import StoredEvent, add_event
from store.tenants import add_tenant, save_settings

START = datetime(2026, 3, 2, 13, tzinfo=UTC)  # a Monday, nine in New York
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
    {"closed": ["2026-04-07"], "rollout": None, "caps": None},
)
_REVOKED = 0.002  # share of the contacts who revoke consent between two deliveries
_HOURS = (2.5, 6.0, 9.5)  # after the run of the morning: the last is evening in New York


@dataclass
class FaultySender:
    """A provider that is down, silent or fine; of what it took it drops repeats for a day."""

    rng: np.random.Generator
    key_lifetime: timedelta | None = timedelta(days=1)
    seen: Counter[UUID] = field(default_factory=Counter)

    async def send(self, message: Message) -> Receipt:
        """Accept the message, or not, or without saying so."""
        luck = self.rng.random()
        if luck < 0.15:
            raise ProviderUnavailable("The provider is down.")
        self.seen[message.send_id] += 1
        if luck < 0.25:
            raise AcceptanceUnknown("The answer was lost.")
        return Receipt(provider_id=str(message.send_id))

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Year:
    """What is run: how many people for how many days, by chance of a seed."""

    contacts: int
    days: int
    seed: int = 7


async def run_year(runtime: Runtime, year: Year) -> Audited:
    """Live through the days in a new tenant; return the audit of all of them."""
    rng = np.random.default_rng(year.seed)
    tenant_id = TenantId(UUID(bytes=rng.bytes(16)))
    people = await _settle(_at(runtime, START), tenant_id, year, rng)
    faulty = FaultySender(rng)
    channels = Channels(
        {"email": faulty, "sms": faulty}, Terms(first_retry_seconds=0.0, longest_retry_seconds=60.0)
    )
    for day in range(year.days):
        morning = START + timedelta(days=day)
        here = _at(runtime, morning)
        async with here.database.transaction(tenant_id) as connection:
            for person in rng.choice(len(people), size=max(1, len(people) // 5)):
                kind = str(rng.choice(_EVENTS, p=_SHARES))
                event = StoredEvent(
                    "year", f"{day}-{person}-{kind}", people[person], kind,
                    morning - timedelta(hours=float(rng.uniform(0, 20))),
                )  # fmt: skip
                await add_event(connection, tenant_id, event)
            if day % 5 == 3:
                wish = _CHANGES[day // 5 % len(_CHANGES)]
                await set_policy(connection, tenant_id, PolicyChange(wish, "manager", "trial"))
        async with here.database.transaction(tenant_id) as connection:
            await decide_tenant(connection, here, tenant_id)
        await here.database.close()
        for hours in _HOURS:
            later = _at(runtime, morning + timedelta(hours=hours))
            if rng.random() < _REVOKED * len(people):
                await _revoke(later, tenant_id, people[int(rng.integers(len(people)))])
            # two workers at once
            await asyncio.gather(
                *(deliver_due(later.database, channels, tenant_id, limit=10_000) for _ in (1, 2))
            )
            await later.database.close()
    last = _at(runtime, START + timedelta(days=year.days))
    async with last.database.transaction(tenant_id) as connection:
        audited = await audit_policy(connection, tenant_id)
    await last.database.close()
    return audited


def _at(runtime: Runtime, moment: datetime) -> Runtime:
    clock = Clock.starting_at(moment)
    database = Database(runtime.database_url, clock_offset=clock.offset)
    return replace(runtime, clock=clock, database=database)


async def _settle(
    runtime: Runtime, tenant_id: TenantId, year: Year, rng: np.random.Generator
) -> list[ContactId]:
    """A tenant with its people: three in four agreed to everything, two of five share a home."""
    people = []
    async with runtime.database.transaction(tenant_id) as connection:
        await add_tenant(
            connection, tenant_id, slug=f"year-{tenant_id.hex[:8]}", name="Practice",
            industry="healthcare",
        )  # fmt: skip
        await save_settings(connection, tenant_id, SETTINGS)
        for number in range(year.contacts):
            contact, home = UUID(bytes=rng.bytes(16)), UUID(int=1 + number // 5, version=4)
            zone, state, phone = _PLACES[number // 5 % len(_PLACES)]
            await connection.execute(
                text(
                    "INSERT INTO crm_accounts (id, tenant_id, name, state) "
                    "VALUES (:home, :t, 'Home', :state) ON CONFLICT DO NOTHING"
                ),
                {"home": _home(tenant_id, home), "t": tenant_id, "state": state},
            )
            await connection.execute(
                text(
                    "INSERT INTO crm_contacts (id, tenant_id, account_id, first_name, email, "
                    "mobile_phone, timezone, created_at) VALUES (:id, :t, :home, 'Ada', :email, "
                    ":phone, :zone, '2020-01-01')"
                ),
                {
                    "id": contact, "t": tenant_id, "zone": zone, "phone": phone,
                    "home": _home(tenant_id, home) if number % 5 < 2 else None,
                    "email": f"{contact.hex}@example.com",
                },
            )  # fmt: skip
            people.append(ContactId(contact))
            if rng.random() < 0.75:
                for channel in ("email", "sms"):
                    for purpose in ("treatment", "service", "marketing"):
                        await add_consent(
                            connection,
                            tenant_id,
                            Consent(people[-1], channel, purpose, "granted", "form", "year", {},
                                    effective_at=START - timedelta(days=400)),
                        )  # fmt: skip
    await runtime.database.close()
    return people


def _home(tenant_id: TenantId, home: UUID) -> UUID:
    return UUID(int=(tenant_id.int ^ home.int) % 2**128)


async def _revoke(runtime: Runtime, tenant_id: TenantId, contact: ContactId) -> None:
    """Somebody changes its mind between decision and delivery."""
    async with runtime.database.transaction(tenant_id) as connection:
        for purpose in ("service", "marketing"):
            wish = Consent(contact, "email", purpose, "revoked", "revocation", "year", {})
            await add_consent(connection, tenant_id, wish)


def main() -> None:
    """Run the years asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--contacts", type=int, default=2_000)
    asked.add_argument("--days", type=int, default=90)
    asked.add_argument("--seed", type=int, default=7)
    told = asked.parse_args()
    began = time.perf_counter()
    with World() as world:
        audited = world.run(lambda r: run_year(r, Year(told.contacts, told.days, told.seed)))
    document = audited.as_document() | {"seconds": round(time.perf_counter() - began)}
    print(json.dumps(document, indent=2))
    sys.exit(1 if audited.findings else 0)


if __name__ == "__main__":
    main()
