"""Health through the API: read, set by a person, listed, and its weights."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from services.score_health import score_health

pytestmark = pytest.mark.integration


@pytest.fixture
async def scored(database, runtime, tenant, contact):
    """The contact came twice and was scored."""
    now = datetime.now(UTC)
    async with database.transaction(tenant) as connection:
        for number, days in enumerate((300, 100)):
            await connection.execute(
                text(
                    "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, "
                    "type, occurred_at, known_at) VALUES (:t, 'test', :id, :c, "
                    "'appointment.kept', :at, :at)"
                ),
                {"t": tenant, "id": f"{contact.id}{number}", "c": contact.id,
                 "at": now - timedelta(days=days)},
            )  # fmt: skip
        await score_health(connection, runtime, tenant)
    return contact


def until(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_contacts_health_shows_parts_inputs_and_history(client, key, scored):
    told = (await client.get(f"/v1/contacts/{scored.id}/health", headers=key)).json()
    parts = told["latest"]["components"]
    assert parts["engagement"]["inputs"]["days_since_last_visit"] == pytest.approx(100, abs=1)
    assert parts["satisfaction"]["score"] is None
    assert told["latest"]["overall_health_score"] == parts["engagement"]["score"]
    assert len(told["history"]) == 1
    assert told["override"] is None
    by_name = await client.get(f"/v1/contacts/external:{scored.external}/health", headers=key)
    assert by_name.json() == told


async def test_an_override_shows_at_once_and_ends_when_lifted(client, key, scored):
    path = f"/v1/contacts/{scored.id}/health/override"
    body = {"by": "ada", "reason": "moves away", "expires_at": until(5), "risk_level": "critical"}
    once = {**key, "Idempotency-Key": f"o-{scored.external}"}
    first = await client.post(path, json=body, headers=once)
    again = await client.post(path, json=body, headers=once)
    assert first.status_code == 200
    assert again.content == first.content
    assert first.json()["latest"]["churn_risk_level"] == "critical"
    listed = (await client.get("/v1/health/at-risk?level=critical", headers=key)).json()
    assert [row["contact_id"] for row in listed["contacts"]] == [str(scored.id)]
    assert listed["contacts"][0]["override"]["reason"] == "moves away"
    lifted = await client.post(f"{path}/lift", json={"by": "ada"}, headers=key)
    assert lifted.json()["override"] is None
    gone = await client.post(f"{path}/lift", json={"by": "ada"}, headers=key)
    assert (gone.status_code, gone.json()["code"]) == (404, "override_not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at": until(-1)},
        {"expires_at": until(500)},
        {"reason": "  "},
        {"risk_level": None},
        {"health_score": 101},
        {"risk_level": "doomed"},
        {"surprise": 1},
    ],
)
async def test_an_override_that_will_not_do_changes_nothing(client, key, scored, change):
    body = {"by": "ada", "reason": "moves away", "expires_at": until(5), "risk_level": "high"}
    answer = await client.post(
        f"/v1/contacts/{scored.id}/health/override", json=body | change, headers=key
    )
    assert answer.status_code == 422
    told = (await client.get(f"/v1/contacts/{scored.id}/health", headers=key)).json()
    assert told["override"] is None


async def test_weights_and_levels_are_set_and_remembered(client, key, scored):
    weights = await client.post(
        "/v1/health/weights", json={"by": "ada", "satisfaction": 0.5}, headers=key
    )
    assert sum(weights.json()["weights"].values()) == pytest.approx(1)
    levels = await client.post(
        "/v1/health/levels", json={"by": "bob", "high_from": 0.5}, headers=key
    )
    assert (levels.json()["version"], levels.json()["high_from"]) == (2, 0.5)
    assert levels.json()["weights"]["satisfaction"] == 0.5
    refused = await client.post(
        "/v1/health/levels", json={"by": "bob", "high_from": 0.9}, headers=key
    )
    assert refused.status_code == 422
    shown = (await client.get("/v1/health/settings", headers=key)).json()
    assert [each["made_by"] for each in shown["history"]] == ["bob", "ada"]


async def test_nobody_reads_or_sets_the_health_of_anothers_contact(
    client, other_key, make_key, tenant, scored
):
    base = f"/v1/contacts/{scored.id}/health"
    body = {"by": "eve", "reason": "why not", "expires_at": until(5), "risk_level": "low"}
    assert (await client.get(base, headers=other_key)).status_code == 404
    assert (await client.post(f"{base}/override", json=body, headers=other_key)).status_code == 404
    listed = (await client.get("/v1/health/at-risk", headers=other_key)).json()
    assert (listed["as_of"], listed["contacts"]) == (None, [])
    reader = await make_key(tenant, "contacts:read")
    assert (await client.get(base, headers=reader)).status_code == 200
    assert (await client.post(f"{base}/override", json=body, headers=reader)).status_code == 403


@pytest.mark.parametrize("query", ["cursor=bm90", "level=doomed", "min_risk=2", "limit=0"])
async def test_a_listing_that_can_not_be_is_refused(client, key, scored, query):
    assert (await client.get(f"/v1/health/at-risk?{query}", headers=key)).status_code == 422
