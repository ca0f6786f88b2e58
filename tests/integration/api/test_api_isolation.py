"""One tenant's ids are worth nothing to another; the routes are read from the OpenAPI document."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from tests.integration.api.conftest import GRANT, make_contact

pytestmark = pytest.mark.integration


def in_a_month() -> str:
    return (datetime.now(UTC) + timedelta(days=30)).isoformat()


OVERRIDE = {"by": "ada", "reason": "called", "risk_level": "low"}
WITH_ID = [
    ("get", "/v1/contacts/{contact}", None),
    ("get", "/v1/contacts/{contact}/health", None),
    ("get", "/v1/contacts/{contact}/explain", None),
    ("get", "/v1/contacts/{contact}/insights", None),
    ("post", "/v1/contacts/{contact}/next-best-action", None),
    (
        "post",
        "/v1/contacts/{contact}/health/override",
        OVERRIDE,
    ),
    ("post", "/v1/contacts/{contact}/health/override/lift", {"by": "ada"}),
    ("put", "/v1/contacts/{contact}/machines", {"refused": True, "by": "ada"}),
    ("get", "/v1/contacts/{contact}/consent", None),
    ("put", "/v1/contacts/{contact}/consent", GRANT),
    ("get", "/v1/decisions/{decision}", None),
    ("get", "/v1/decisions/{decision}/explain", None),
    ("post", "/v1/decisions/{decision}/replay", None),
]


@pytest.fixture
async def decision(client, key, contact) -> str:
    answer = await client.post(f"/v1/contacts/{contact.id}/next-best-action", headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


@pytest.fixture
async def rows_of(database):
    """Return a function tenant -> digest of all its rows."""

    async def digest(tenant_id: UUID) -> dict[str, str]:
        async with database.transaction(tenant_id) as connection:
            tables = await connection.execute(
                text(
                    "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c "
                    "JOIN pg_namespace n ON n.oid = c.relnamespace "
                    "WHERE n.nspname IN ('keepwell', 'public') AND c.relrowsecurity"
                )
            )
            return {
                table: await connection.scalar(
                    text(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t")
                )
                for (table,) in tables.all()
            }

    return digest


# tested beside what they are about
OTHERS = [
    ("post", "/v1/approvals/{approval}/approve"),
    ("post", "/v1/approvals/{approval}/refuse"),
    ("post", "/v1/plan/marks/{mark_id}/withdraw"),
    ("get", "/v1/campaigns/{campaign}"),
    ("post", "/v1/campaigns/{campaign}/{wish}"),
]
# a name that tenants may share gives nothing away, and finds only one's own
WITH_NAME = [
    *(("post", f"/v1/rules/{{rule}}/{verb}") for verb in ("promote", "halt")),
    *(("post", f"/v1/rules/{{rule}}/{verb}") for verb in ("explain", "record", "backtest")),
    ("get", "/v1/experiments/{name}"),
    *(("post", f"/v1/experiments/{{name}}/{verb}") for verb in ("start", "stop")),
]


def test_no_route_with_an_id_is_forgotten_here(app):
    document = app.openapi()
    with_id = {
        (method, path)
        for path, operations in document["paths"].items()
        for method in operations
        if "{" in path and "{token}" not in path
    }
    by_id = {(method, path) for method, path, _ in WITH_ID}
    assert with_id == {*by_id, *WITH_NAME, *OTHERS}


@pytest.mark.parametrize(("method", "path", "body"), WITH_ID)
async def test_another_tenants_id_is_answered_like_an_unknown_one(
    client, key, other_key, tenant, contact, decision, rows_of, method, path, body
):
    before = await rows_of(tenant)
    if body is OVERRIDE:
        body = OVERRIDE | {"expires_at": in_a_month()}
    for name in (str(contact.id), f"external:{contact.external}"):
        theirs = path.format(contact=name, decision=decision)
        unknown = path.format(contact=uuid4(), decision=uuid4())
        mine = await client.request(method, theirs, headers=key, json=body)
        if method == "get":
            assert mine.status_code == 200, mine.text
        answer = await client.request(method, theirs, headers=other_key, json=body)
        nobody = await client.request(method, unknown, headers=other_key, json=body)
        assert (answer.status_code, answer.content) == (404, nobody.content)
    if method == "get":
        assert await rows_of(tenant) == before


async def test_a_foreign_call_changes_nothing(
    client, other_key, tenant, contact, decision, event, rows_of
):
    before = await rows_of(tenant)
    for method, path, body in WITH_ID:
        target = path.format(contact=contact.id, decision=decision)
        full = OVERRIDE | {"expires_at": in_a_month()} if body is OVERRIDE else body
        await client.request(method, target, headers=other_key, json=full)
    assert (await client.post("/v1/events", json=event, headers=other_key)).status_code == 404
    by_external = event | {"contact": f"external:{contact.external}"}
    batch = {"events": [event, by_external]}
    answer = await client.post("/v1/events:batch", json=batch, headers=other_key)
    assert [result["status"] for result in answer.json()["results"]] == ["rejected", "rejected"]
    assert await rows_of(tenant) == before


async def test_an_event_cannot_name_another_tenants_decision(
    client, database, other_tenant, other_key, decision, event
):
    own = await make_contact(database, other_tenant)
    about = event | {"contact": str(own.id)}
    for named in (decision, str(uuid4())):
        answer = await client.post(
            "/v1/events", json=about | {"decision_id": named}, headers=other_key
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "decision_not_found")
    assert (await client.post("/v1/events", json=about, headers=other_key)).status_code == 200


async def test_two_tenants_may_use_the_same_external_and_event_ids(
    client, database, tenant, other_tenant, key, other_key, contact, event
):
    other = await make_contact(database, other_tenant)
    async with database.transaction(other_tenant) as connection:
        await connection.execute(
            text("UPDATE keepwell.external_ids SET external_id = :external"),
            {"external": contact.external},
        )
    named = f"external:{contact.external}"
    mine = await client.get(f"/v1/contacts/{named}", headers=key)
    theirs = await client.get(f"/v1/contacts/{named}", headers=other_key)
    assert (mine.json()["id"], theirs.json()["id"]) == (str(contact.id), str(other.id))
    for headers in (key, other_key):
        answer = await client.post("/v1/events", json=event | {"contact": named}, headers=headers)
        assert answer.json()["status"] == "recorded"
