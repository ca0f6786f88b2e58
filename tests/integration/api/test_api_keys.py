import base64
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from api.app import create_app
from api.openapi import PUBLIC, api_routes, scope_of
from api.rate_limit import STRANGERS_BURST, RateLimit
from services.manage_keys import SCOPES, create_key, list_keys, read_key, read_key_id, revoke_key

pytestmark = pytest.mark.integration


async def test_whoever_has_no_valid_key_learns_nothing(client, database, tenant, contact):
    async with database.transaction(tenant) as connection:
        good = await create_key(connection, tenant, name="n8n", scopes=["admin"])
        past = datetime.now(UTC) - timedelta(seconds=1)
        expired = await create_key(
            connection, tenant, name="old", scopes=["admin"], expires_at=past
        )
        revoked = await create_key(connection, tenant, name="lost", scopes=["admin"])
        await revoke_key(connection, tenant, read_key_id(revoked.id)[1])
    path = f"/v1/contacts/{contact.id}"
    assert (await client.get(path, headers=bearer(good.key))).status_code == 200
    refused = [
        {},
        {"Authorization": good.key},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic " + base64.b64encode(good.key.encode()).decode()},
        {"X-Tenant-Id": str(tenant)},
        bearer("eyJhbGciOiJub25lIn0.eyJ0ZW5hbnQiOiJhIn0."),
        bearer(good.key[:-1] + ("A" if good.key[-1] != "A" else "B")),
        bearer(good.key[:30] + "00000000" + good.key[38:]),
        bearer(expired.key),
        bearer(revoked.key),
    ]
    answers = [await client.get(path, headers=headers) for headers in refused]
    answers.append(await client.get(f"{path}?api_key={good.key}"))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers)


async def test_a_revoked_key_stops_working_at_once(client, database, tenant, key, contact):
    path = f"/v1/contacts/{contact.id}"
    assert (await client.get(path, headers=key)).status_code == 200
    presented = read_key(key["Authorization"].removeprefix("Bearer "))
    async with database.transaction(tenant) as connection:
        await revoke_key(connection, tenant, presented.id)
    assert (await client.get(path, headers=key)).status_code == 401


async def test_a_key_is_bound_to_the_tenant_written_in_it(
    client, database, tenant, other_tenant, contact
):
    async with database.transaction(tenant) as connection:
        mine = await create_key(connection, tenant, name="a", scopes=["admin"])
    async with database.transaction(other_tenant) as connection:
        other = await create_key(connection, other_tenant, name="b", scopes=["admin"])
    forged = other.key[:8] + mine.key[8:30] + other.key[30:]
    answer = await client.get(f"/v1/contacts/{contact.id}", headers=bearer(forged))
    assert answer.status_code == 401


async def test_the_secret_is_not_stored(database, tenant):
    async with database.transaction(tenant) as connection:
        issued = await create_key(connection, tenant, name="n8n", scopes=["events:write"])
        row = await connection.scalar(text("SELECT k::text FROM keepwell.api_keys k"))
        listed = await list_keys(connection, tenant)
    assert issued.key[-43:] not in row
    assert [key.id for key in listed] == [issued.key[:38]]


def test_every_route_declares_a_scope_or_is_known_as_public(app):
    undeclared = {route.path for route in api_routes(app.routes) if scope_of(route) is None}
    assert undeclared <= PUBLIC
    assert {scope_of(route) for route in api_routes(app.routes)} - {None} <= set(SCOPES)


async def test_a_key_without_the_routes_scope_is_refused(app, client, make_key, tenant, contact):
    for route in api_routes(app.routes):
        scope = scope_of(route)
        if scope is None:
            continue
        others = [name for name in SCOPES if name not in {scope, "admin"}]
        headers = await make_key(tenant, *others)
        path = route.path.replace("{contact}", str(contact.id))
        for method in route.methods:
            answer = await client.request(method, path, headers=headers)
            found = (answer.status_code, answer.json()["code"])
            assert found == (403, "not_allowed"), path


async def test_a_key_with_the_routes_scope_alone_is_enough(client, make_key, tenant, contact):
    headers = await make_key(tenant, "contacts:read")
    answer = await client.get(f"/v1/contacts/external:{contact.external}", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["external_ids"] == [contact.external]


async def test_a_key_that_asks_too_often_waits_and_others_do_not(
    runtime, make_key, tenant, other_tenant, contact, asgi_client
):
    limit = RateLimit(per_second=0.01, burst=2, clock=lambda: 0.0)
    client = asgi_client(create_app(runtime, rate_limit=limit))
    busy, calm = await make_key(tenant), await make_key(other_tenant)
    path = f"/v1/contacts/{contact.id}"
    # the first call with a key is a stranger's and does not count against its own bucket
    statuses = [(await client.get(path, headers=busy)).status_code for _ in range(3)]
    assert statuses == [200, 200, 200]
    answer = await client.get(path, headers=busy)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "100")
    assert (await client.get(path, headers=calm)).status_code == 404


async def test_guessing_keys_is_slowed_down_and_known_keys_are_not(
    runtime, make_key, tenant, contact, asgi_client
):
    client = asgi_client(create_app(runtime, rate_limit=RateLimit(clock=lambda: 0.0)))
    known = await make_key(tenant)
    path = f"/v1/contacts/{contact.id}"
    assert (await client.get(path, headers=known)).status_code == 200
    start = known["Authorization"][:-3]
    guesses = [
        (await client.get(path, headers={"Authorization": f"{start}{number:03}"})).status_code
        for number in range(STRANGERS_BURST + 5)
    ]
    assert guesses.count(429) >= 5
    assert (await client.get(path, headers=known)).status_code == 200


def bearer(key):
    return {"Authorization": f"Bearer {key}"}
