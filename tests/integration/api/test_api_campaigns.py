"""Campaigns, consent and what-if over HTTP."""

from uuid import uuid4

import pytest
from pydantic import TypeAdapter

from api import campaign_shapes, consent_documents
from tests.integration.api.conftest import GRANT

pytestmark = pytest.mark.integration

NEW = {
    "by": "ada",
    "name": "Spring smiles",
    "campaign_type": "sms",
    "content_template": {"sms": "Spring visits are open. Call {{ practice_phone }}."},
}


async def test_a_campaign_is_added_started_read_and_ended(client, key):
    headers = key | {"Idempotency-Key": "spring-1"}
    added = [await client.post("/v1/campaigns", json=NEW, headers=headers) for _ in range(2)]
    assert [each.status_code for each in added] == [201, 201], added[0].text
    campaign = added[0].json()["id"]
    assert added[1].json()["id"] == campaign
    for wish, state in (("start", "running"), ("pause", "resting"), ("end", "ended")):
        answer = await client.post(
            f"/v1/campaigns/{campaign}/{wish}", json={"by": "ada"}, headers=key
        )
        assert (answer.status_code, answer.json()["state"]) == (200, state), answer.text
    again = await client.post(f"/v1/campaigns/{campaign}/start", json={"by": "a"}, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "campaign_over")
    read = await client.get(f"/v1/campaigns/{campaign}", headers=key)
    TypeAdapter(campaign_shapes.CampaignDetail).validate_python(read.json())
    listed = await client.get("/v1/campaigns", headers=key)
    assert [each["id"] for each in listed.json()["campaigns"]] == [campaign]
    taken = await client.post("/v1/campaigns/take-in", json={"by": "ada"}, headers=key)
    TypeAdapter(campaign_shapes.CampaignsTakenIn).validate_python(taken.json())
    unknown = await client.get(f"/v1/campaigns/{campaign[:-4]}0000", headers=key)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "campaign_not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"trigger": {"trigger_type": "churn_risk", "target_health_score_range": [60, 10]}},
        {"trigger": {"shoe": 1}},
        {"scheduled_start": "2026-05-02T00:00:00Z", "scheduled_end": "2026-05-01T00:00:00Z"},
        {"scheduled_start": "tomorrow"},
        {"name": ""},
    ],
)
async def test_a_campaign_that_makes_no_sense_is_refused(client, key, change):
    answer = await client.post("/v1/campaigns", json=NEW | change, headers=key)
    assert answer.status_code == 422, answer.text


async def test_consent_is_granted_and_withdrawn_with_its_proof(client, key, contact):
    address = f"/v1/contacts/{contact.id}/consent"
    granted = [await client.put(address, json=GRANT, headers=key) for _ in range(2)]
    assert [each.json()["added"] for each in granted] == [1, 0], granted[0].text
    withdrawn = await client.put(
        address, json=GRANT | {"status": "revoked", "basis": "revocation", "id": "call-2"},
        headers=key,
    )  # fmt: skip
    held = {(h["channel"], h["purpose"]): h["status"] for h in withdrawn.json()["held"]}
    assert held["sms", "marketing"] == "revoked"
    shown = await client.get(address, headers=key)
    TypeAdapter(consent_documents.Consents).validate_python(shown.json())
    assert shown.json()["ledger"][0]["evidence"] == {"by": "web"}


@pytest.mark.parametrize(
    "change", [{"channels": ["pigeon"]}, {"purposes": []}, {"status": "maybe"}, {"basis": ""}]
)
async def test_a_consent_that_proves_nothing_is_refused(client, key, contact, change):
    answer = await client.put(
        f"/v1/contacts/{contact.id}/consent", json=GRANT | change, headers=key
    )
    assert answer.status_code == 422, answer.text


async def test_another_tenants_campaign_is_answered_like_an_unknown_one(client, key, other_key):
    added = await client.post("/v1/campaigns", json=NEW, headers=key)
    theirs, unknown = f"/v1/campaigns/{added.json()['id']}", f"/v1/campaigns/{uuid4()}"
    for path, method in (("", "GET"), ("/start", "POST"), ("/end", "POST")):
        body = None if method == "GET" else {"by": "mallory"}
        answers = [
            await client.request(method, place + path, json=body, headers=other_key)
            for place in (theirs, unknown)
        ]
        assert [each.status_code for each in answers] == [404, 404]
        told = [each.text.replace(place[14:], "ID") for each, place in
                zip(answers, (theirs, unknown), strict=True)]  # fmt: skip
        assert told[0] == told[1]
    read = await client.get(theirs, headers=key)
    assert read.json()["state"] == added.json()["state"]


async def test_a_past_week_is_decided_otherwise(client, key, contact):
    window = {"since": "2026-03-02T14:00:00Z", "until": "2026-03-05T14:00:00Z"}
    caps = {"caps": [{"purpose": "any", "in": "7 days", "at_most": 0}]}
    answer = await client.post("/v1/what-if", json=window | {"sections": caps}, headers=key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["days"] == 3
    assert answer.json()["proposed"]["sends"] == 0
    for wrong in ({"sections": {"caps": 3}}, {"levers": [{"on": "nobody", "percent": 5}]},
                  {"until": "2026-01-01T00:00:00Z"}):  # fmt: skip
        refused = await client.post("/v1/what-if", json=window | wrong, headers=key)
        assert refused.status_code == 422, refused.text
