"""Experiments, lift, uplift and insights over HTTP and on the command line."""

import json

import pytest
from pydantic import TypeAdapter
from sqlalchemy import text
from typer.testing import CliRunner

from api import experiment_documents as shapes
from services.keep_insights import keep_insights

pytestmark = pytest.mark.integration

PLAN = {"name": "rescue", "action": "no-show-rescue", "by": "ada", "rate": 0.2, "smallest": 0.1}


async def test_an_experiment_is_planned_started_read_and_stopped(client, key):
    planned = await client.post("/v1/experiments", json=PLAN, headers=key)
    assert planned.status_code == 200, planned.text
    assert TypeAdapter(shapes.PlannedExperiment).validate_python(planned.json())
    started = await client.post("/v1/experiments/rescue/start", json={"by": "ada"}, headers=key)
    assert started.json()["state"] == "running"
    again = await client.post("/v1/experiments/rescue/start", json={"by": "ada"}, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "experiment_conflict")
    shown = await client.get("/v1/experiments/rescue", headers=key)
    assert shown.json()["standing"]["verdict"] == "running"
    assert TypeAdapter(shapes.ExperimentSoFar).validate_python(shown.json())
    ended = {"by": "ada", "reason": "enough"}
    stopped = await client.post("/v1/experiments/rescue/stop", json=ended, headers=key)
    assert (stopped.json()["state"], stopped.json()["verdict"]) == ("stopped", "stopped_by_hand")
    listed = await client.get("/v1/experiments", params={"state": "stopped"}, headers=key)
    assert [each["name"] for each in listed.json()["experiments"]] == ["rescue"]
    assert listed.json()["notices"] == []


async def test_another_tenant_sees_no_experiment_and_a_missing_one_is_404(client, key, other_key):
    await client.post("/v1/experiments", json=PLAN, headers=key)
    for found in (
        await client.get("/v1/experiments/rescue", headers=other_key),
        await client.get("/v1/experiments/unheard-of", headers=key),
    ):
        assert (found.status_code, found.json()["code"]) == (404, "experiment_not_found")


@pytest.mark.parametrize(
    "change", [{"smallest": 0}, {"name": "No Good"}, {"action": "unheard-of"}, {"extra": 1}]
)
async def test_a_plan_that_can_not_be_is_422(client, key, change):
    refused = await client.post("/v1/experiments", json=PLAN | change, headers=key)
    assert refused.status_code == 422, refused.text


async def test_a_key_that_may_only_read_plans_nothing(client, make_key, tenant):
    reader = await make_key(tenant, "decisions:read")
    refused = await client.post("/v1/experiments", json=PLAN, headers=reader)
    assert refused.status_code == 403


async def test_reports_of_a_tenant_without_any_decision_say_so(client, key):
    lift = await client.get("/v1/reports/lift", headers=key)
    assert (lift.status_code, lift.json()["groups"]) == (200, {})
    assert TypeAdapter(shapes.LiftReport).validate_python(lift.json())
    uplift = await client.get("/v1/reports/uplift", headers=key)
    assert (uplift.status_code, uplift.json()["qini"]) == (200, None)
    future = await client.get(
        "/v1/reports/lift", params={"since": "2999-01-01T00:00:00Z"}, headers=key
    )
    assert future.status_code == 422


async def test_insights_are_null_before_the_first_night_and_a_row_after(
    client, key, contact, database, tenant, runtime
):
    path = f"/v1/contacts/external:{contact.external}/insights"
    assert (await client.get(path, headers=key)).json()["latest"] is None
    async with database.transaction(tenant) as connection:
        await keep_insights(connection, tenant, as_of=runtime.clock.now())
    latest = (await client.get(path, headers=key)).json()["latest"]
    assert latest["preferred_communication_channel"] in {"email", "sms", "call_task"}
    assert set(latest["response_probability_by_channel"]) == {"email", "sms", "call_task"}


async def test_the_command_line_tells_the_same(servers, monkeypatch, database, tenant, contact):
    from cli.main import app  # noqa: PLC0415

    monkeypatch.setenv("KEEPWELL_DATABASE_URL", servers.app_database_url)
    async with database.transaction(tenant) as connection:
        slug = await connection.scalar(text("SELECT slug FROM tenants"))
    import asyncio  # noqa: PLC0415

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--tenant", slug])
        assert result.exit_code == 0, result.output
        return result.output

    async def told(*words: str) -> str:
        return await asyncio.to_thread(run, *words)

    options = ("--action", "no-show-rescue", "--by", "ada", "--rate", "0.2", "--smallest", "0.1")
    assert "messages per arm" in await told("experiments", "plan", "rescue", *options)
    assert "runs since" in await told("experiments", "start", "rescue", "--by", "ada")
    assert "not decided" in await told("experiments", "show", "rescue")
    assert json.loads(await told("experiments", "judge", "--json")) == {"stopped": 0}
    assert "rescue" in await told("experiments", "list")
    assert "1 contacts" in await told("insights")
    assert "best reached on" in await told("insights", str(contact.id))
    assert "nobody" in await told("lift")
    assert "too few to say" in await told("uplift")
