"""An application on the real database, and keys, contacts and requests for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.app import create_app
from engine.ids import ContactId, DecisionId, SendId, TenantId
from services.manage_keys import ADMIN, create_key
from services.wiring import Runtime
from store.database import Database
from store.sends import NewSend, add_sends

MakeKey = Callable[..., Awaitable[dict[str, str]]]


@dataclass(frozen=True)
class Person:
    """A contact of the CRM."""

    id: UUID
    external: str


GRANT = {
    "id": "form-118",
    "channels": ["sms"],
    "purposes": ["marketing"],
    "status": "granted",
    "basis": "express_written",
    "source": "signup form v3",
    "by": "web",
}


@pytest.fixture
def app(runtime: Runtime) -> FastAPI:
    return create_app(runtime)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


@pytest.fixture
def make_key(database: Database) -> MakeKey:
    """Return a function (tenant, *scopes) -> headers of a new key."""

    async def make(tenant_id: TenantId, *scopes: str) -> dict[str, str]:
        async with database.transaction(tenant_id) as connection:
            issued = await create_key(connection, tenant_id, name="test", scopes=scopes or [ADMIN])
        return {"Authorization": f"Bearer {issued.key}"}

    return make


@pytest.fixture
async def key(make_key: MakeKey, tenant: TenantId) -> dict[str, str]:
    return await make_key(tenant)


@pytest.fixture
async def other_key(make_key: MakeKey, other_tenant: TenantId) -> dict[str, str]:
    return await make_key(other_tenant)


@pytest.fixture
async def contact(database: Database, tenant: TenantId) -> Person:
    return await make_contact(database, tenant)


async def make_contact(database: Database, tenant_id: TenantId) -> Person:
    person = Person(uuid4(), f"p-{uuid4().hex[:8]}")
    async with database.transaction(tenant_id) as connection:
        await connection.execute(
            text(
                "INSERT INTO crm_contacts (id, tenant_id, first_name, last_name, email) "
                "VALUES (:id, :tenant, 'Ann', 'Miller', :email)"
            ),
            {"id": person.id, "tenant": tenant_id, "email": f"{person.external}@example.org"},
        )
        await connection.execute(
            text(
                "INSERT INTO keepwell.external_ids (tenant_id, entity, external_id, internal_id) "
                "VALUES (:tenant, 'contact', :external, :id)"
            ),
            {"tenant": tenant_id, "external": person.external, "id": person.id},
        )
    return person


_DECISION = text("""
    INSERT INTO keepwell.decisions (tenant_id, id, contact_id, as_of, trigger, reason, score_cents,
      experiment_group, seed, profile, profile_digest, rule_set_digest, policy_state_version,
      policy_data_digest, libraries, decision_digest, rule)
    VALUES (:tenant, :id, :contact, now(), 'test', 'best', 0, 'engine', 1, '{}', '', 'lost', 0, '',
      '', '', 'recall')
""")


async def queue_message(
    database: Database, tenant_id: TenantId, person: Person, channel: str
) -> SendId:
    """Queue one message of a decision whose rule set is not stored."""
    now = datetime.now(UTC)
    send = NewSend(
        id=SendId(uuid4()),
        decision_id=DecisionId(uuid4()),
        contact_id=ContactId(person.id),
        dedupe_key=uuid4().hex,
        action="recall",
        purpose="marketing",
        channel=channel,
        recipient="x",
        content={},
        content_source="template",
        next_at=now + timedelta(hours=1),
        not_after=now + timedelta(days=1),
        decided_at=now,
    )
    async with database.transaction(tenant_id) as connection:
        values = {"tenant": tenant_id, "id": send.decision_id, "contact": person.id}
        await connection.execute(_DECISION, values)
        await add_sends(connection, tenant_id, [send])
    return send.id


async def count_rows(database: Database, tenant_id: TenantId, table: str) -> int:
    """Count the tenant's rows of one of our tables."""
    async with database.transaction(tenant_id) as connection:
        found = await connection.scalar(text(f"SELECT count(*) FROM keepwell.{table}"))
    return int(found or 0)


@pytest.fixture
def event(contact: Person) -> dict[str, str]:
    """A sound event about the contact; its id is new."""
    return {
        "id": f"e-{uuid4().hex[:12]}",
        "type": "appointment.booked",
        "contact": str(contact.id),
        "occurred_at": "2026-03-01T14:30:00Z",
    }


@pytest.fixture
async def asgi_client() -> AsyncIterator[Callable[[FastAPI], httpx.AsyncClient]]:
    """Return a function app -> client; all are closed after the test."""
    opened: list[httpx.AsyncClient] = []

    def open_client(application: FastAPI) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        opened.append(httpx.AsyncClient(transport=transport, base_url="http://test"))
        return opened[-1]

    yield open_client
    for one in opened:
        await one.aclose()
