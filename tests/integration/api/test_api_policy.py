"""The policy over HTTP."""

import pytest
from pydantic import TypeAdapter

from api import policy_shapes
from tests.factories.practice import MORNING

pytestmark = pytest.mark.integration

CHANGE = {"by": "ada", "reason": "pilot", "sections": {"rollout": {"*": 0.25}}}


async def test_the_policy_is_read_changed_and_given_back(client, key):
    first = await client.get("/v1/policy", headers=key)
    assert first.status_code == 200, first.text
    TypeAdapter(policy_shapes.Policy).validate_python(first.json())
    assert (first.json()["version"], first.json()["changed"]) == (1, {})
    assert {each["file"] for each in first.json()["sources"]} >= {"quiet_hours.yaml"}
    tried = await client.patch("/v1/policy", json=CHANGE | {"dry_run": True}, headers=key)
    assert tried.json()["changed"] == ["rollout"]
    changed = await client.patch("/v1/policy", json=CHANGE, headers=key)
    assert changed.status_code == 200, changed.text
    assert changed.json()["version"] == 2
    shown = (await client.get("/v1/policy", headers=key)).json()
    assert shown["numbers"]["rollout"] == [{"on": "*", "share": 0.25}]
    assert shown["digest"] == changed.json()["digest"]
    back = await client.patch(
        "/v1/policy", json={"by": "ada", "sections": {"rollout": None}}, headers=key
    )
    assert back.json()["digest"] == first.json()["digest"]
    listed = (await client.get("/v1/policy/versions?limit=2", headers=key)).json()
    TypeAdapter(policy_shapes.PolicyVersions).validate_python(listed)
    assert [each["version"] for each in listed["versions"]] == [3, 2]
    assert listed["next"] == 2


@pytest.mark.parametrize(
    "sections",
    [{}, {"rollout": {"*": 2}}, {"nonsense": 1}, {"caps": [{"purpose": "any"}]},
     {"budgets": [{"name": "a", "limit": "-1.00 USD", "per": "month", "gives": {}}]},
     {"windows": {"mon": "00:00-24:00"}}, {"rollout": {"*": "\u202e0.1"}}, {"closed": [None]}],
)  # fmt: skip
async def test_a_policy_that_makes_no_sense_is_refused_with_every_finding(client, key, sections):
    answer = await client.patch("/v1/policy", json={"by": "a", "sections": sections}, headers=key)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"]
    assert (await client.get("/v1/policy", headers=key)).json()["version"] == 1


async def test_a_contact_refuses_machines_and_allows_them_again(client, key, contact):
    for refused in (True, False):
        answer = await client.put(
            f"/v1/contacts/{contact.id}/machines",
            json={"refused": refused, "by": "ada"},
            headers=key,
        )
        assert answer.status_code == 200, answer.text
        decided = await client.post(
            f"/v1/contacts/{contact.id}/next-best-action", json={"dry_run": True}, headers=key
        )
        # one contact in twenty is in the holdout, whatever it wishes
        group = decided.json()["experiment_group"]
        assert group == "holdout" or (group == "plain") == refused
    unknown = await client.put(
        f"/v1/contacts/{MORNING.year:032x}/machines", json={"refused": True, "by": "a"}, headers=key
    )
    assert unknown.status_code == 404
