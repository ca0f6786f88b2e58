"""What a hostile or careless client sends, and the exact answer; never a 500."""

import json
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.integration.api.conftest import count_rows, queue_message

pytestmark = pytest.mark.integration

JSON = {"Content-Type": "application/json"}
UTF16 = "application/json; charset=utf-16"


def case(name, body, status, code, **more):
    return pytest.param(body, status, code, more, id=name)


def changed(**fields):
    """An event with some fields changed; the contact is filled in by the test."""
    event = {
        "id": "e-1",
        "type": "appointment.booked",
        "contact": "CONTACT",
        "occurred_at": "2026-03-01T14:30:00Z",
    }
    return json.dumps({name: value for name, value in (event | fields).items() if value != "DROP"})


def with_raw(fragment):
    """An event with a field written as is."""
    return changed()[:-1] + "," + fragment + "}"


EVENTS = [
    case("NaN", with_raw('"amount_cents": NaN'), 422, "invalid_fields"),
    case("Infinity inside", with_raw('"properties": {"x": [Infinity]}'), 422, "invalid_fields"),
    case("1e400", with_raw('"properties": {"x": 1e400}'), 422, "invalid_fields"),
    case("NUL", changed(subject="a\0b"), 422, "invalid_fields"),
    case("NUL inside", changed(properties={"x": {"y": "\0"}}), 422, "invalid_fields"),
    case("NUL in a key", changed(properties={"\0": 1}), 422, "invalid_fields"),
    case("lone surrogate", with_raw('"subject": "\\ud800"'), 422, "invalid_fields"),
    case("lone surrogate inside", with_raw('"properties": {"x": "\\udfff"}'), 422, None),
    case("integer 10^30", changed(amount_cents=10**30), 422, "invalid_fields"),
    case("integer of 5,000 digits", with_raw('"amount_cents": ' + "9" * 5000), 422, None),
    case("integer beyond the field's bound", changed(amount_cents=10**12), 422, "invalid_fields"),
    case("year 1, offset +14", changed(occurred_at="0001-01-01T00:00:00+14:00"), 422, None),
    case("year 9999, offset -14", changed(starts_at="9999-12-31T23:59:59-14:00"), 422, None),
    case("year 1969", changed(occurred_at="1969-12-31T23:59:59Z"), 422, "invalid_fields"),
    case("time without zone", changed(occurred_at="2026-03-01T14:30:00"), 422, "invalid_fields"),
    case("time as a number", changed(occurred_at=1_700_000_000), 422, "invalid_fields"),
    case("time as digits", changed(occurred_at="1700000000"), 422, "invalid_fields"),
    case("30 February", changed(occurred_at="2026-02-30T00:00:00Z"), 422, "invalid_fields"),
    case("100,000 brackets", "[" * 100_000, 400, "malformed_json"),
    case("900 levels", '{"a":' * 900 + "1" + "}" * 900, 422, "invalid_fields"),
    case("17 levels", with_raw('"properties":' + "[" * 17 + "]" * 17), 422, "invalid_fields"),
    case("2 MiB", changed(subject="x" * 2_097_152), 413, "payload_too_large"),
    case("70,000 keys", json.dumps({f"k{n}": 1 for n in range(70_000)}), 422, "invalid_fields"),
    case("duplicate key", with_raw('"id": "e-2"'), 400, "malformed_json"),
    case("tenant_id in the body", changed(tenant_id=str(uuid4())), 422, "invalid_fields"),
    case("role in the body", changed(role="admin"), 422, "invalid_fields"),
    case("text for a number", changed(amount_cents="5"), 422, "invalid_fields"),
    case("false for a number", changed(amount_cents=False), 422, "invalid_fields"),
    case("float for a number", changed(amount_cents=1.5), 422, "invalid_fields"),
    case("number for a text", changed(id=5), 422, "invalid_fields"),
    case("list for the document", "[]", 422, "invalid_fields"),
    case("null for the document", "null", 422, "invalid_fields"),
    case("line feed in a name", changed(subject="a\r\nBcc: x@example.org"), 422, "invalid_fields"),
    case("empty id", changed(id=""), 422, "invalid_fields"),
    case("type without a verb", changed(type="appointment"), 422, "invalid_fields"),
    case("type with a trailing line feed", changed(type="a.b\n"), 422, "invalid_fields"),
    case("decision that is no id", changed(decision_id="1"), 422, "invalid_fields"),
    case("20 KB of properties", changed(properties={"x": "y" * 20_000}), 422, "invalid_fields"),
    case("no contact", changed(contact="DROP"), 422, "invalid_fields"),
    case("unknown contact", changed(contact=str(uuid4())), 404, "contact_not_found"),
    case("contact that is no id", changed(contact="'; DROP TABLE tenants; --"), 404, None),
    case("UTF-16", changed().encode("utf-16"), 400, "malformed_json"),
    case("UTF-16, declared", changed().encode("utf-16"), 415, None, type=UTF16),
    case("Latin-1", with_raw('"subject": "é"').encode("latin-1"), 400, "malformed_json"),
    case("compressed", b"\x1f\x8b", 415, "unsupported_media_type", encoding="gzip"),
    case("plain text", changed(), 415, "unsupported_media_type", type="text/plain"),
    case("form", "id=1", 415, "unsupported_media_type", type="application/x-www-form-urlencoded"),
    case("unfinished", "{", 400, "malformed_json"),
    case("empty", "", 422, "invalid_fields"),
]


@pytest.mark.parametrize(("body", "status", "code", "more"), EVENTS)
async def test_events_refuse(client, key, contact, body, status, code, more):
    if isinstance(body, str):
        body = body.replace("CONTACT", str(contact.id)).encode()
    headers = key | {"Content-Type": more.get("type", "application/json")}
    if "encoding" in more:
        headers["Content-Encoding"] = more["encoding"]
    answer = await client.post("/v1/events", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert code in {None, problem["code"]}
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b'{"as_of": "0001-01-01T00:00:00+14:00"}', 422, id="year 1"),
        pytest.param(b'{"dry_run": "yes"}', 422, id="text for a flag"),
        pytest.param(b'{"dry_run": 1}', 422, id="number for a flag"),
        pytest.param(b'{"trigger": "\\u0000"}', 422, id="NUL"),
        pytest.param(b'{"tenant_id": "x"}', 422, id="unknown field"),
        pytest.param(b'{"dry_run": true, "dry_run": false}', 400, id="duplicate key"),
        pytest.param(b"{", 400, id="unfinished"),
    ],
)
async def test_next_best_action_refuses(client, key, contact, body, status):
    path = f"/v1/contacts/{contact.id}/next-best-action"
    answer = await client.post(path, content=body, headers=key | JSON)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "name",
    [
        "100000000000000000000",
        "-1",
        "%00",
        "external:%00",
        "external:",
        "external:nobody",
        "external:" + "x" * 300,
        "%F0%9F%98%80",
        "%FF",
        "' OR 1=1 --",
        "{00000000-0000-0000-0000-000000000000}",
    ],
)
async def test_an_id_that_nobody_has_is_answered_like_any_unknown_one(client, key, name):
    unknown = await client.get(f"/v1/contacts/{uuid4()}", headers=key)
    answer = await client.get(f"/v1/contacts/{name}", headers=key)
    assert (answer.status_code, answer.content) == (404, unknown.content)


@pytest.mark.parametrize("name", ["1", "%00", "x" * 300, f"{5:032x}0"])
async def test_a_decision_that_nobody_made_is_not_found(client, key, name):
    unknown = await client.get(f"/v1/decisions/{uuid4()}", headers=key)
    answer = await client.get(f"/v1/decisions/{name}", headers=key)
    assert (answer.status_code, answer.content) == (404, unknown.content)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "route_not_found"),
        ("GET", "/v1/events/", 404, "route_not_found"),
        ("GET", "/docs", 404, "route_not_found"),
        ("DELETE", "/v1/events", 405, "method_not_allowed"),
        ("GET", "/v1/events", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/events", 405, "method_not_allowed"),
    ],
)
async def test_unknown_paths_and_methods_are_problems_too(client, key, method, path, status, code):
    answer = await client.request(method, path, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_fault_is_named_without_repeating_the_value(client, key, event):
    secret = "123-45-6789"
    answer = await client.post("/v1/events", json=event | {"amount_cents": secret}, headers=key)
    assert answer.json()["errors"][0]["pointer"] == "/amount_cents"
    assert secret not in answer.text


async def test_a_batch_takes_the_sound_events_and_names_the_others(client, key, event):
    events = [
        event,
        event,
        event | {"id": "e-bad", "occurred_at": "yesterday"},
        event | {"id": "e-lost", "contact": str(uuid4())},
        "not an event",
        event | {"id": event["id"] + "-b"},
    ]
    answer = await client.post("/v1/events:batch", json={"events": events}, headers=key)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [
        "recorded",
        "duplicate",
        "rejected",
        "rejected",
        "rejected",
        "recorded",
    ]
    assert [result.get("problem", {}).get("code") for result in results] == [
        None,
        None,
        "invalid_fields",
        "contact_not_found",
        "invalid_fields",
        None,
    ]
    assert results[2]["problem"]["errors"][0]["pointer"] == "/occurred_at"


@pytest.mark.parametrize("size", [0, 1_001])
async def test_a_batch_has_1_to_1000_events(client, key, event, size):
    answer = await client.post("/v1/events:batch", json={"events": [event] * size}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")


async def test_an_event_is_recorded_although_nobody_knows_the_goal_any_more(
    client, database, tenant, key, contact, event
):
    # the rule set of the decision it may answer is not stored
    send = await queue_message(database, tenant, contact, "email")
    async with database.transaction(tenant) as connection:
        await connection.execute(
            text("UPDATE keepwell.sends SET state = 'sent', sent_at = '2026-02-01' WHERE id = :id"),
            {"id": send},
        )
    before_it = event | {"id": "e-before", "occurred_at": "2026-01-01T00:00:00Z"}
    batch = {"events": [event, before_it]}
    answer = await client.post("/v1/events:batch", json=batch, headers=key)
    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["recorded", "recorded"]
    assert [result["outcome"] for result in results] == [None, None]
    assert await count_rows(database, tenant, "events") == 2
