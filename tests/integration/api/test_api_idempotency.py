import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from store.idempotency import delete_outdated_answers, lock_key
from tests.integration.api.conftest import count_rows

pytestmark = pytest.mark.integration


def once(key, name="order-1"):
    return key | {"Idempotency-Key": name}


async def test_a_repeated_request_gets_the_first_answer_to_the_byte(
    client, database, tenant, key, contact
):
    path = f"/v1/contacts/{contact.id}/next-best-action"
    first = await client.post(path, json={"trigger": "n8n"}, headers=once(key))
    again = await client.post(path, json={"trigger": "n8n"}, headers=once(key))
    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert again.content == first.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert await count_rows(database, tenant, "decisions") == 1


async def test_without_a_key_each_request_is_decided(client, database, tenant, key, contact):
    path = f"/v1/contacts/{contact.id}/next-best-action"
    answers = [await client.post(path, headers=key) for _ in range(2)]
    assert answers[0].json()["id"] != answers[1].json()["id"]
    assert await count_rows(database, tenant, "decisions") == 2


async def test_a_key_used_with_another_request_is_refused(client, key, contact, event):
    path = f"/v1/contacts/{contact.id}/next-best-action"
    await client.post(path, json={"dry_run": True}, headers=once(key))
    other_body = await client.post(path, json={"dry_run": False}, headers=once(key))
    other_path = await client.post("/v1/events", json=event, headers=once(key))
    for answer in (other_body, other_path):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_two_tenants_may_choose_the_same_key(client, key, other_key, event):
    assert (await client.post("/v1/events", json=event, headers=once(key))).status_code == 200
    answer = await client.post("/v1/events", json=event, headers=once(other_key))
    assert answer.status_code == 404  # not the first tenant's answer


async def test_twenty_requests_at_once_have_one_effect(client, database, tenant, key, contact):
    path = f"/v1/contacts/{contact.id}/next-best-action"
    calls = (client.post(path, headers=once(key)) for _ in range(20))
    answers = await asyncio.gather(*calls)
    done = [answer for answer in answers if answer.status_code == 200]
    assert done
    assert len({answer.content for answer in done}) == 1
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {(a.status_code, a.json()["code"]) for a in refused} <= {(409, "idempotency_conflict")}
    assert await count_rows(database, tenant, "decisions") == 1


async def test_twenty_reports_of_one_event_record_it_once(client, database, tenant, key, event):
    calls = (client.post("/v1/events", json=event, headers=key) for _ in range(20))
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.json()["status"] for answer in answers].count("recorded") == 1
    assert await count_rows(database, tenant, "events") == 1


async def test_a_request_under_way_keeps_its_repetition_out(client, database, tenant, key, contact):
    path = f"/v1/contacts/{contact.id}/next-best-action"
    async with database.transaction(tenant) as connection:
        # the second request meets the lock that the first one would hold
        await lock_key(connection, tenant, "order-1")
        answer = await client.post(path, headers=once(key))
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert (await client.post(path, headers=once(key))).status_code == 200


async def test_a_refused_request_may_be_repeated_with_the_same_key(
    client, database, tenant, key, event
):
    unknown = event | {"contact": f"external:later-{uuid4().hex}"}
    refused = await client.post("/v1/events", json=unknown, headers=once(key))
    assert refused.status_code == 404
    assert await count_rows(database, tenant, "idempotency_keys") == 0
    answer = await client.post("/v1/events", json=event, headers=once(key))
    assert answer.status_code == 200


async def test_an_answer_is_kept_for_a_day(client, database, tenant, key, event):
    await client.post("/v1/events", json=event, headers=once(key))
    async with database.transaction(tenant) as connection:
        await connection.execute(
            text("UPDATE keepwell.idempotency_keys SET created_at = created_at - interval '25 h'")
        )
    other = event | {"id": event["id"] + "-b"}
    answer = await client.post("/v1/events", json=other, headers=once(key))
    assert answer.json()["status"] == "recorded"
    async with database.transaction(tenant) as connection:
        assert await delete_outdated_answers(connection, tenant) == 0
        await connection.execute(
            text("UPDATE keepwell.idempotency_keys SET created_at = created_at - interval '25 h'")
        )
        assert await delete_outdated_answers(connection, tenant) == 1


@pytest.mark.parametrize("name", ["", "x" * 256, "a\tb", "é"])
async def test_an_unsound_key_is_refused(client, key, event, name):
    headers = {**key, "Idempotency-Key": name.encode()}
    answer = await client.post("/v1/events", json=event, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
