"""The tools around rules over HTTP: each answers as promised, to whom it may, and refuses well."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter
from sqlalchemy import text

from api import rule_tool_shapes as shapes
from api.openapi import api_routes, scope_of
from tests.factories.rule_files import rule_text, rules_file

pytestmark = pytest.mark.integration

RULE = "own.missed"
FILE = rules_file("own", rule_text(RULE, status="shadow"))
SENT = {"name": "own", "document": FILE.document}
STRICTER = SENT | {"document": FILE.document.replace("at_least: 1", "at_least: 2", 1)}


@pytest.fixture
def post(client, key):
    async def send(path: str, body: dict[str, object], **headers: str):
        return await client.post(f"/v1/rules/{path}", json=body, headers={**key, **headers})

    return send


@pytest.fixture
async def missed(database, tenant, contact) -> datetime:
    """The contact missed an appointment; returns a moment a day later."""
    at = datetime.now(UTC) - timedelta(days=2)
    async with database.transaction(tenant) as connection:
        await connection.execute(text("UPDATE crm_contacts SET created_at = '2020-01-01'"))
        await connection.execute(
            text(
                "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, "
                "occurred_at, known_at) VALUES (:t, 'test', 'e1', :c, 'appointment.no_show', "
                ":at, :at)"
            ),
            {"t": tenant, "c": contact.id, "at": at},
        )
    return at + timedelta(days=1)


TOOLS = {
    "check": shapes.FindingsFound,
    "test": shapes.TestsRun,
    "coverage": shapes.CoverageFound,
    "conflicts": shapes.FindingsFound,
    "fmt": shapes.FilesLaidOut,
    "docs": shapes.Handbook,
    "schema": shapes.Schema,
    "fields": shapes.Fields,
    "diff": shapes.RulesCompared,
    "why-not": shapes.WhyNot,
    "verify": shapes.Verified,
    f"{RULE}/explain": shapes.RuleExplained,
    f"{RULE}/record": shapes.ExampleRecorded,
    f"{RULE}/backtest": shapes.Backtested,
}


async def test_every_example_of_the_document_is_accepted_and_answered_in_its_shape(
    app, client, key, post, contact
):
    await post("releases", {"by": "ada", "files": [SENT]})
    document = app.openapi()
    for path, shape in TOOLS.items():
        route = "/v1/rules/" + path.replace(RULE, "{rule}")
        schema = document["paths"][route]["post"]["requestBody"]["content"]["application/json"]
        name = schema["schema"]["$ref"].rpartition("/")[2]
        for example in document["components"]["schemas"][name]["examples"]:
            body = example | ({"contact": str(contact.id)} if "contact" in example else {})
            answer = await post(path, body)
            assert answer.status_code == 200, (path, answer.text)
            TypeAdapter(shape).validate_json(answer.content)
    due = await client.get("/v1/rules/due", headers=key)
    assert due.json() == {"contacts": 0, "due": 0, "failed": 0, "checks": []}


async def test_each_tool_asks_for_its_scope_and_no_other_will_do(app, client, make_key, tenant):
    asked = {r.path: scope_of(r) for r in api_routes(app.routes) if r.path.startswith("/v1/rules")}
    contacts = {"why-not", "explain", "record", "due"}
    for path in TOOLS:
        verb = path.rpartition("/")[2]
        writes = verb in {"backtest", "verify"}
        needed = "decisions:read" if verb in contacts else "rules:write" if writes else "rules:read"
        route = "/v1/rules/" + path.replace(RULE, "{rule:path}")
        assert asked[route] == needed, path
        others = {"rules:read", "rules:write", "decisions:read", "contacts:read"} - {needed}
        answer = await client.post(
            f"/v1/rules/{path}",
            json={"contact": "x", "by": "a", "from": "2026-01-01", "to": "2026-01-01"},
            headers=await make_key(tenant, *sorted(others)),
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
        assert (await client.post(f"/v1/rules/{path}", json={})).status_code == 401


async def test_check_tells_faults_of_all_files_with_their_places(post):
    broken = FILE.document.replace("appointment.no_show\n", "appointment.no_shwo\n")
    body = {"files": [SENT, {"name": "b", "document": broken}, {"name": "c", "document": "a: b"}]}
    found = (await post("check", body)).json()
    assert found["ok"] is False
    assert [(f["file"], f["code"]) for f in found["findings"]] == [
        ("b.yaml", "E102"), ("c.yaml", "E011"),
    ]  # fmt: skip
    fault = found["findings"][0]
    assert fault["text"] == broken.splitlines()[fault["line"] - 1]
    assert fault["hint"] == "appointment.no_show"
    assert (await post("check", {"files": [SENT]})).json() == {"ok": True, "findings": []}


async def test_check_with_data_says_what_the_data_lack(post, missed, key):
    answer = await post("check", {"files": [SENT], "data": True})
    assert answer.json() == {"ok": True, "findings": []}
    asks = FILE.document.replace(
        "    then:\n", "      - {field: contact.age, at_least: 60}\n    then:\n"
    )
    answer = await post("check", {"files": [SENT | {"document": asks}], "data": True})
    assert [f["code"] for f in answer.json()["findings"]] == ["D401"]


async def test_without_files_the_tools_look_at_what_is_in_force(post):
    await post("releases", {"by": "ada", "files": [SENT]})
    assert (await post("check", {})).json() == {"ok": True, "findings": []}
    assert (await post("test", {})).json() == {"ok": True, "tests": 2, "failed": []}
    assert (await post("coverage", {})).json()["percent"]["conditions"] == 100.0
    chapters = (await post("docs", {})).json()["chapters"]
    assert RULE in str(chapters)
    page = (await post("docs", {"form": "html", "title": "Ours"})).json()["page"]
    assert "<h1>Ours</h1>" in page
    names = {row["name"] for row in (await post("fields", {})).json()["fields"]}
    assert "contact.age" in names
    schema = (await post("schema", {"of": "vocabulary"})).json()["schema"]
    assert schema["$schema"].endswith("2020-12/schema")


async def test_a_test_that_fails_says_which_condition_decided(post):
    answer = (await post("test", {"files": [STRICTER]})).json()
    assert (answer["ok"], answer["tests"]) == (False, 2)
    (failed,) = answer["failed"]
    assert (failed["rule"], failed["test"]) == (RULE, "missed the day before")
    assert "at_least 2" in failed["message"]
    line = STRICTER["document"].splitlines()[failed["line"] - 1]
    assert "missed the day before" in line


async def test_rules_in_each_others_way_are_found_across_files(post):
    other = SENT | {"name": "b", "document": FILE.document.replace(RULE, "own.b")}
    found = (await post("conflicts", {"files": [SENT, other]})).json()
    assert found["ok"] is False
    assert {f["code"] for f in found["findings"]} == {"L302"}


async def test_layout_keeps_comments_and_says_whether_it_changed_anything(post):
    untidy = FILE.document.replace("    owner:", "    # who answers\n    owner:   ")
    (file,) = (await post("fmt", {"files": [SENT | {"document": untidy}]})).json()["files"]
    assert file["changed"] is True
    assert "# who answers" in file["document"]
    (again,) = (await post("fmt", {"files": [SENT | {"document": file["document"]}]})).json()[
        "files"
    ]
    assert (again["changed"], again["document"]) == (False, file["document"])


async def test_a_difference_is_told_in_meaning_and_in_contacts(post, missed, contact):
    lines = (await post("diff", {"old": SENT, "new": STRICTER})).json()["lines"]
    assert any("at least 1 → at least 2" in line for line in lines)
    await post("releases", {"by": "ada", "files": [SENT]})
    told = (await post("diff", {"new": STRICTER, "contacts": True})).json()
    assert told["lost"] == {"contacts": 1, "samples": [str(contact.id)]}
    assert told["second_person"]["needed"] is False
    answer = await post("diff", {"new": STRICTER | {"name": "nowhere"}})
    assert (answer.status_code, answer.json()["code"]) == (404, "rule_set_not_found")
    assert (await post("diff", {})).status_code == 422


async def test_a_contact_is_explained_and_asked_why_not(post, missed, contact):
    await post("releases", {"by": "ada", "files": [SENT]})
    about = {"contact": f"external:{contact.external}"}
    told = (await post(f"{RULE}/explain", about)).json()
    assert (told["proposes"], told["contact_id"]) == (True, str(contact.id))
    tried = (await post(f"{RULE}/explain", about | {"file": STRICTER})).json()
    assert (tried["proposes"], tried["rule"]["source"]) == (False, "own")
    before = (missed - timedelta(days=2)).isoformat()
    past = (await post(f"{RULE}/explain", about | {"as_of": before})).json()
    assert past["proposes"] is False
    (near,) = (await post("why-not", about | {"file": STRICTER})).json()["rules"]
    assert near["changes"] == ["1 more missed appointment in 30 days"]
    recorded = (await post(f"{RULE}/record", about | {"file": SENT})).json()
    assert recorded["expect"] == "fires"
    run = (await post("test", {"files": [SENT | {"document": recorded["document"]}]})).json()
    assert (run["ok"], run["tests"]) == (True, 3)


async def test_a_backtest_lets_a_rule_go_live_and_is_made_once_per_key(post, missed, contact):
    await post("releases", {"by": "ada", "files": [SENT]})
    live = {"by": "ada", "approved_by": "grace", "status": "live"}
    assert (await post(f"{RULE}/promote", live)).json()["errors"][0]["code"] == "P102"
    last = (missed - timedelta(days=1)).date()
    period = {"from": str(last - timedelta(days=6)), "to": str(last), "by": "ada"}
    first = await post(f"{RULE}/backtest", period, **{"Idempotency-Key": "b1"})
    again = await post(f"{RULE}/backtest", period, **{"Idempotency-Key": "b1"})
    assert first.json()["nights"] == 7
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert (await post(f"{RULE}/promote", live)).json()["statuses"] == {RULE: "live"}


async def test_a_backtest_beside_two_others_is_refused_for_now_and_kept_by_no_key(
    app, post, missed, contact
):
    await post("releases", {"by": "ada", "files": [SENT]})
    last = str((missed - timedelta(days=1)).date())
    period = {"from": last, "to": last, "by": "ada"}
    slots = app.state.trial_slots
    with slots.take(), slots.take():
        refused = await post(f"{RULE}/backtest", period, **{"Idempotency-Key": "b2"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited"), refused.text
    assert int(refused.headers["Retry-After"]) > 0
    after = await post(f"{RULE}/backtest", period, **{"Idempotency-Key": "b2"})
    assert (after.status_code, after.json()["nights"]) == (200, 1)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("own.nothing/explain", {"contact": "{contact}"}, 404, "rule_not_found"),
        (f"{RULE}/explain", {"contact": "external:nobody"}, 404, "contact_not_found"),
        (f"{RULE}/explain", {"contact": "a\x00b"}, 422, "invalid_fields"),
        (f"{RULE}/explain", {"contact": "{contact}", "as_of": "2099-01-01T00:00:00Z"}, 422,
         "invalid_input"),
        ("why-not", {"contact": "external:\u200b"}, 404, "contact_not_found"),
        (f"{RULE}/record", {"contact": "{contact}"}, 422, "invalid_fields"),
        (f"{RULE}/backtest", {"from": "2026-02-30", "to": "2026-03-01", "by": "a"}, 422,
         "invalid_fields"),
        (f"{RULE}/backtest", {"from": 1, "to": "2026-03-01", "by": "a"}, 422, "invalid_fields"),
        (f"{RULE}/backtest", {"from": "2026-03-02", "to": "2026-03-01", "by": "a"}, 422,
         "invalid_input"),
        (f"{RULE}/backtest", {"from": "2015-03-02", "to": "2026-03-01", "by": "a"}, 422,
         "invalid_input"),
        (f"{RULE}/backtest", {"from": "2099-03-02", "to": "2099-03-02", "by": "a"}, 422,
         "invalid_input"),
        ("own.nothing/backtest", {"from": "2026-03-01", "to": "2026-03-01", "by": "a"}, 404,
         "rule_not_found"),
        ("check", {"files": [SENT, SENT]}, 422, "invalid_input"),
        ("check", {"files": [SENT | {"name": "../x"}]}, 422, "invalid_fields"),
        ("fmt", {"files": []}, 422, "invalid_fields"),
        ("verify", {"sample": 0}, 422, "invalid_fields"),
        ("schema", {"of": "pages"}, 422, "invalid_fields"),
        ("schema", {"vocabulary": "format: 1\nfields: nothing"}, 422, "invalid_rules"),
        ("test", {"files": [SENT | {"document": "a: b"}]}, 422, "invalid_rules"),
    ],
)  # fmt: skip
async def test_what_can_not_be_done_is_a_problem_document(post, contact, path, body, status, code):
    await post("releases", {"by": "ada", "files": [SENT]})
    if body.get("contact") == "{contact}":
        body = body | {"contact": str(contact.id)}
    answer = await post(path, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_another_tenants_contact_is_nobodys(client, other_key, post, contact):
    await client.post("/v1/rules/releases", json={"by": "a", "files": [SENT]}, headers=other_key)
    for path in (f"{RULE}/explain", "why-not", f"{RULE}/record"):
        body = {"contact": str(contact.id)} | ({"file": SENT} if "record" in path else {})
        answer = await client.post(f"/v1/rules/{path}", json=body, headers=other_key)
        assert (answer.status_code, answer.json()["code"]) == (404, "contact_not_found")
