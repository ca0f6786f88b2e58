"""The OpenAPI document against what the routes really answer."""

import json
import logging
from typing import Any

import pytest
from pydantic import TypeAdapter

from api import health_shapes, shapes
from api.openapi import PUBLIC

pytestmark = pytest.mark.integration


def test_the_document_is_openapi_3_1_and_every_reference_leads_somewhere(app):
    document = app.openapi()
    assert document["openapi"] == "3.1.0"
    references = set(_references(document))
    assert references
    for reference in references:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_operation_has_a_summary_security_and_problem_answers(app):
    for path, operations in app.openapi()["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
            assert (operation["security"] == []) == (path in PUBLIC), path
            problems = {s: r for s, r in operation["responses"].items() if s >= "400"}
            kinds = {kind for answer in problems.values() for kind in answer["content"]}
            assert "application/problem+json" in kinds, path
            assert {"500", "503"} <= problems.keys(), path


async def test_the_document_is_served_and_loads_without_a_key(client, app):
    answer = await client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps(app.openapi()))


async def test_answers_have_the_shapes_that_the_document_promises(client, key, contact, event):
    base = f"/v1/contacts/{contact.id}"
    decided = await client.post(f"{base}/next-best-action", headers=key)
    decision = f"/v1/decisions/{decided.json()['id']}"
    cases = [
        (decided, shapes.Decision),
        (await client.get(decision, headers=key), shapes.Decision),
        (await client.post(f"{decision}/replay", headers=key), shapes.Replay),
        (await client.get(base, headers=key), shapes.Contact),
        (await client.get(f"{base}/health", headers=key), health_shapes.Health),
        (await client.get("/v1/health/at-risk", headers=key), health_shapes.AtRisk),
        (await client.get("/v1/health/settings", headers=key), health_shapes.HealthSettings),
        (await client.post("/v1/events", json=event, headers=key), shapes.EventResult),
        (
            await client.post("/v1/events:batch", json={"events": [event]}, headers=key),
            shapes.BatchResult,
        ),
        (await client.get("/healthz"), shapes.Alive),
        (await client.get("/readyz"), shapes.Readiness),
        (await client.get("/v1/nothing"), shapes.Problem),
    ]
    for answer, shape in cases:
        assert answer.status_code == 200 or shape is shapes.Problem, answer.text
        TypeAdapter(shape).validate_json(answer.content)


async def test_a_dry_run_stores_nothing(client, key, contact):
    path = f"/v1/contacts/{contact.id}/next-best-action"
    decided = await client.post(path, json={"dry_run": True}, headers=key)
    assert decided.json()["dry_run"] is True
    answer = await client.get(f"/v1/decisions/{decided.json()['id']}", headers=key)
    assert answer.status_code == 404


async def test_the_examples_in_the_document_are_accepted(app, client, key, contact):
    schemas = app.openapi()["components"]["schemas"]
    for example in schemas["EventIn"]["examples"]:
        about = example | {"contact": str(contact.id), "occurred_at": "2025-03-01T14:30:00Z"}
        assert (await client.post("/v1/events", json=about, headers=key)).status_code == 200
    for example in schemas["DecideIn"]["examples"]:
        path = f"/v1/contacts/{contact.id}/next-best-action"
        assert (await client.post(path, json=example, headers=key)).status_code == 200


async def test_metrics_and_log_name_routes_and_no_person(client, key, contact, caplog):
    caplog.set_level(logging.INFO, logger="keepwell.access")
    await client.get(f"/v1/contacts/external:{contact.external}", headers=key)
    metrics = await client.get("/metrics")
    assert 'route="/v1/contacts/{contact}",status="200"' in metrics.text
    line = json.loads(caplog.records[0].message)
    assert line["route"] == "/v1/contacts/{contact}"
    assert line["key"] == key["Authorization"][37:45]
    for told in (metrics.text, caplog.text):
        assert contact.external not in told
        assert str(contact.id) not in told
        assert key["Authorization"][-43:] not in told


def _references(value: object):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
