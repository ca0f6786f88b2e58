"""Explaining, planning and approving over HTTP."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import TypeAdapter

from api import plan_shapes, shapes
from api.app import create_app
from embedded.servers import EmbeddedServers
from services.wiring import Runtime
from tests.factories.approvals import RULE, ask_first
from tests.factories.practice import Practice, open_practice

pytestmark = pytest.mark.integration


@pytest.fixture
async def practice(servers: EmbeddedServers, runtime: Runtime) -> AsyncIterator[Practice]:
    opened = await open_practice(runtime, servers.socket_dir)
    yield opened
    await opened.database.close()


@pytest.fixture
async def client(practice: Practice) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(practice.runtime), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


async def test_a_message_is_planned_asked_about_approved_and_explained(practice, client, make_key):
    key = await make_key(practice.tenant_id)
    await ask_first(practice)
    contact = await practice.add_missed()
    planned = (await client.get("/v1/plan?days=2", headers=key)).json()
    TypeAdapter(plan_shapes.Plan).validate_python(planned)
    (row,) = planned["rows"]
    assert (row["contact_id"], row["rule"], row["needs_approval"]) == (str(contact), RULE, True)

    decided = await client.post(f"/v1/contacts/{contact}/next-best-action", headers=key)
    assert decided.json()["send"]["status"] == "needs_approval"
    listed = (await client.get("/v1/approvals", headers=key)).json()
    TypeAdapter(plan_shapes.Approvals).validate_python(listed)
    (asked,) = listed["approvals"]
    path = f"/v1/approvals/{asked['id']}"
    answer = await client.post(f"{path}/approve", json={"by": "ada"}, headers=key)
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    again = await client.post(f"{path}/refuse", json={"by": "ada", "reason": "no"}, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "approval_closed")

    told = await client.get(f"/v1/decisions/{asked['id']}/explain", headers=key)
    TypeAdapter(shapes.Explanation).validate_python(told.json())
    assert told.json()["explanation"]["candidates"][0]["rule"] == RULE
    now = await client.get(f"/v1/contacts/{contact}/explain", headers=key)
    TypeAdapter(shapes.Explanation).validate_python(now.json())
    assert now.json()["words"][0].startswith("what would be decided")
    then = await client.get(
        f"/v1/contacts/{contact}/explain?as_of=2026-03-01T10:00:00Z", headers=key
    )
    assert then.json()["reason"] == "no_rule_applies"
    summary = await client.get("/v1/decisions/summary", headers=key)
    TypeAdapter(shapes.DecisionSummary).validate_python(summary.json())
    assert summary.json()["with_action"] == 1


async def test_a_planned_message_is_struck_and_the_word_is_taken_back(practice, client, make_key):
    key = await make_key(practice.tenant_id)
    await practice.add_missed()
    (row, *_) = (await client.get("/v1/plan?days=1", headers=key)).json()["rows"]
    named = {name: row[name] for name in ("contact_id", "rule", "subject")}
    body = {"by": "ada", "verdict": "struck", "reason": "on holiday", "rows": [named]}
    marked = await client.post("/v1/plan/marks", json=body, headers=key)
    TypeAdapter(plan_shapes.Marked).validate_python(marked.json())
    planned = (await client.get("/v1/plan?days=1", headers=key)).json()
    assert row["rule"] not in {each["rule"] for each in planned["rows"]}
    marks = (await client.get("/v1/plan/marks", headers=key)).json()
    TypeAdapter(plan_shapes.Marks).validate_python(marks)
    back = f"/v1/plan/marks/{marked.json()['marks'][0]}/withdraw"
    assert (await client.post(back, json={"by": "ada"}, headers=key)).status_code == 200
    assert (await client.post(back, json={"by": "ada"}, headers=key)).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("get", "/v1/plan?days=0", None, 422),
        ("get", "/v1/plan?days=400", None, 422),
        ("get", "/v1/approvals?state=lost", None, 422),
        ("post", "/v1/plan/marks", {"by": "a", "verdict": "maybe", "rows": []}, 422),
        ("post", "/v1/approvals/no-id/approve", {"by": "a"}, 404),
        ("post", f"/v1/approvals/{UUID(int=5)}/approve", {"by": "a", "more": 1}, 422),
        ("post", "/v1/plan/marks/7/withdraw", {"by": "a"}, 404),
        ("get", "/v1/decisions/no-id/explain", None, 404),
        ("get", "/v1/contacts/external:x/explain?as_of=yesterday", None, 422),
    ],
)
async def test_bad_requests_are_refused(practice, client, make_key, method, path, body, status):
    key = await make_key(practice.tenant_id)
    answer = await client.request(method, path, json=body, headers=key)
    assert answer.status_code == status, answer.text


async def test_another_tenants_question_is_answered_like_none(
    practice, client, make_key, other_tenant
):
    await ask_first(practice)
    decision = await practice.decide(await practice.add_missed())
    assert decision["send"]["status"] == "needs_approval"
    stranger = await make_key(other_tenant)
    for verb, body in (("approve", {"by": "a"}), ("refuse", {"by": "a", "reason": "b"})):
        path = f"/v1/approvals/{decision['id']}/{verb}"
        theirs = await client.post(path, json=body, headers=stranger)
        nobody = await client.post(f"/v1/approvals/{uuid4()}/{verb}", json=body, headers=stranger)
        assert (theirs.status_code, theirs.content) == (404, nobody.content)
    (waits,) = await practice.rows("SELECT state FROM keepwell.approvals")
    assert waits["state"] == "waiting"
