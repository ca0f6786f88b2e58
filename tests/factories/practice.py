"""A practice in a real database, at a moment of its own, as the services see it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId
from services import playbook, policy_numbers
from services.clock import Clock
from services.decide import decide_contact, decide_tenant
from services.record_event import NewEvent, record_event
from services.replay_decision import replay_decision
from services.wiring import Runtime
from store.database import Database
from store.events import StoredEvent, add_event
from store.tenants import save_settings
from tests.conftest import make_tenant

# a Tuesday, nine in New York: an hour before the legal window opens
MORNING = datetime(2026, 3, 10, 13, tzinfo=UTC)
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


def forget_playbooks() -> None:
    """As after a restart: nothing that was built from the database is kept in the process."""
    policy_numbers._numbers.clear()
    for kept in (playbook._playbooks, playbook._rules, playbook._models):
        kept._items.clear()


@dataclass(frozen=True)
class Practice:
    """One tenant. Its clock stands at MORNING when it is made and runs on."""

    runtime: Runtime
    tenant_id: TenantId
    superuser: str

    @property
    def database(self) -> Database:
        return self.runtime.database

    def now(self) -> datetime:
        return self.runtime.clock.now()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self.database.transaction(self.tenant_id) as connection:
            yield connection

    async def add_contact(self, *, held: bool = False, **columns: Any) -> ContactId:
        """A contact in New York with all addresses and consents; in the holdout only if asked."""
        contact_id = self.new_id(held=held)
        row = {
            "id": contact_id,
            "tenant_id": self.tenant_id,
            "first_name": "Ada",
            "last_name": "Byron",
            "email": f"ada.{contact_id.hex[:8]}@example.com",
            "mobile_phone": "+12175550123",
            "timezone": "America/New_York",
            "created_at": datetime(2020, 1, 1),  # noqa: DTZ001 - the CRM's times have no zone
        } | columns
        consented = row.pop("consented", True)
        await self.execute(
            f"INSERT INTO crm_contacts ({', '.join(row)}) "
            f"VALUES ({', '.join(':' + name for name in row)})",
            **row,
        )
        if consented:
            for purpose in ("treatment", "service", "marketing"):
                for channel in ("email", "sms", "call_task"):
                    await self.consent(contact_id, channel, purpose)
        return contact_id

    def new_id(self, *, held: bool = False) -> ContactId:
        """A fresh id inside or outside the practice's holdout."""
        from engine.policy.groups import in_holdout  # noqa: PLC0415
        from tests.factories.contacts import contact_keys, make_contacts  # noqa: PLC0415

        policy = playbook.shipped_policy()
        while True:
            found = uuid4()
            one = make_contacts(1, keys=contact_keys([found]))
            if bool(in_holdout(one, policy, str(self.tenant_id))[0]) == held:
                return ContactId(found)

    async def consent(
        self,
        contact_id: ContactId,
        channel: str,
        purpose: str,
        status: str = "granted",
        at: datetime = MORNING - timedelta(days=800),
    ) -> None:
        await self.execute(
            "INSERT INTO keepwell.consents (tenant_id, contact_id, channel, purpose, status, "
            "basis, source, effective_at) "
            "VALUES (:t, :c, :channel, :purpose, :status, 'test', 'test', :at)",
            t=self.tenant_id, c=contact_id, channel=channel, purpose=purpose, status=status, at=at,
        )  # fmt: skip

    async def add_event(
        self,
        contact_id: ContactId,
        kind: str,
        at: datetime,
        *,
        known_at: datetime | None = None,
        **fields: Any,
    ) -> str:
        """An event that was known when it happened, unless told otherwise."""
        external_id = str(uuid4())
        async with self.transaction() as connection:
            await add_event(
                connection,
                self.tenant_id,
                StoredEvent("test", external_id, contact_id, kind, at, **fields),
            )
            await connection.execute(
                text("UPDATE keepwell.events SET known_at = :known WHERE external_id = :id"),
                {"known": known_at or at, "id": external_id},
            )
        return external_id

    async def add_no_show(self, contact_id: ContactId, days: float = 4.0) -> None:
        """What makes the practice invite to rebook."""
        await self.add_event(contact_id, "appointment.no_show", MORNING - timedelta(days=days))

    async def add_missed(self, **columns: Any) -> ContactId:
        """A contact who missed an appointment four days ago."""
        contact_id = await self.add_contact(**columns)
        await self.add_no_show(contact_id)
        return contact_id

    async def decide(self, contact: object, **options: Any) -> dict[str, Any]:
        async with self.transaction() as connection:
            return await decide_contact(
                connection, self.runtime, self.tenant_id, str(contact), **options
            )

    async def decide_all(self, **options: Any) -> Any:
        async with self.transaction() as connection:
            return await decide_tenant(connection, self.runtime, self.tenant_id, **options)

    async def replay(self, decision_id: object) -> dict[str, Any]:
        async with self.transaction() as connection:
            return await replay_decision(
                connection, self.runtime, self.tenant_id, UUID(str(decision_id))
            )

    async def report(
        self,
        contact: object,
        kind: str,
        at: datetime,
        *,
        event_id: str | None = None,
        decision_id: object = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Record an event as a program reports it, long enough after it happened."""
        answers = None if decision_id is None else UUID(str(decision_id))
        event = NewEvent(event_id or str(uuid4()), kind, str(contact), at, answers, **fields)
        async with self.transaction() as connection:
            return await record_event(connection, self.tenant_id, event, now=self.now())

    async def mark_sent(self, decision: dict[str, Any], at: datetime) -> None:
        """As if a worker had delivered the decision's message."""
        await self.execute(
            "UPDATE keepwell.sends SET state = 'sent', sent_at = :at WHERE decision_id = :id",
            at=at,
            id=UUID(decision["id"]),
        )

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.transaction() as connection:
            await connection.execute(text(statement), values)

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        async with self.transaction() as connection:
            found = await connection.execute(text(statement), values)
            return [dict(row) for row in found.mappings()]

    async def count(self, table: str) -> int:
        return int((await self.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"])

    async def set(self, **settings: Any) -> None:
        async with self.transaction() as connection:
            await save_settings(connection, self.tenant_id, {**SETTINGS, **settings})

    def tamper(self, statement: str, *values: Any) -> None:
        """Change what nobody may change, as a superuser with the triggers off."""
        with psycopg.connect(self.superuser) as connection:
            connection.execute("SET session_replication_role = replica")
            changed = connection.execute(statement, values)
            assert changed.rowcount > 0

    def at(self, moment: datetime) -> "Practice":
        """The same practice with its clock at another moment; the caller closes its database."""
        clock = Clock.starting_at(moment)
        database = Database(self.runtime.database_url, clock_offset=clock.offset)
        return replace(self, runtime=replace(self.runtime, clock=clock, database=database))


async def open_practice(runtime: Runtime, socket_dir: object, **settings: Any) -> Practice:
    """A new practice; the caller closes its database."""
    base = Practice(
        runtime, TenantId(uuid4()), f"host={socket_dir} user=postgres dbname=keepwell"
    ).at(MORNING)
    await make_tenant(base.database, base.tenant_id)
    await base.set(**settings)
    return base


def as_stored(document: object) -> Any:
    """A document as JSON gives it back."""
    return orjson.loads(orjson.dumps(document))
