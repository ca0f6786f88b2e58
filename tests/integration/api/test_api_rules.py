"""The life cycle of rules over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from api import shapes
from rules.meaning import rule_meaning
from services.rule_texts import parse_texts
from store.releases import Backtest, record_backtest
from tests.factories.rule_files import rule_text, rules_file

pytestmark = pytest.mark.integration

RULE = "own.missed"
FILE = rules_file("own", rule_text(RULE, status="shadow"))
BODY = {
    "by": "ada",
    "files": [{"name": "own", "document": FILE.document, "vocabulary": FILE.vocabulary}],
}


@pytest.fixture
def post(client, key):
    async def send(path: str, body: dict[str, object], **headers: str):
        return await client.post(f"/v1/rules/{path}", json=body, headers={**key, **headers})

    return send


async def test_a_rule_is_published_promoted_halted_and_rolled_back(
    client, key, post, database, tenant
):
    published = await post("releases", BODY)
    assert published.status_code == 200, published.text
    assert published.json()["release"]["number"] == 1
    refused = await post(f"{RULE}/promote", {"by": "ada", "status": "live"})
    assert (refused.status_code, refused.json()["code"]) == (422, "not_fit_for_live")
    assert [error["code"] for error in refused.json()["errors"]] == ["P102", "P103"]
    rules = parse_texts(FILE)
    now = datetime.now(UTC)
    done = Backtest(
        RULE, rule_meaning(rules.rules[0], rules.vocabulary), now - timedelta(days=9), now, "ada"
    )
    async with database.transaction(tenant) as connection:
        await record_backtest(connection, tenant, done)
    live = {"by": "ada", "approved_by": "grace", "status": "live", "reason": "tried for a week"}
    promoted = await post(f"{RULE}/promote", live)
    assert promoted.json()["statuses"] == {RULE: "live"}
    halted = await post(f"{RULE}/halt", {"by": "grace", "reason": "complaints"})
    assert halted.json()["statuses"] == {RULE: "shadow"}
    back = await post("rollback", {"by": "ada", "to": 2})
    assert (back.json()["number"], back.json()["digest"]) == (4, promoted.json()["digest"])

    listed = await client.get("/v1/rules", headers=key)
    (rule,) = listed.json()["rules"]
    assert (rule["status"], rule["written_status"], rule["owner"], rule["file"]) == (
        "live", "shadow", "front-desk", "own",
    )  # fmt: skip
    first = (await client.get("/v1/rules/releases?limit=3", headers=key)).json()
    assert ([r["number"] for r in first["releases"]], first["next"]) == ([4, 3, 2], 2)
    rest = (await client.get("/v1/rules/releases?limit=3&before=2", headers=key)).json()
    assert ([r["number"] for r in rest["releases"]], rest["next"]) == ([1], None)

    for answer, shape in (
        (published, shapes.Published),
        (promoted, shapes.RuleRelease),
        (halted, shapes.RuleRelease),
        (back, shapes.RuleRelease),
        (listed, shapes.RulesInForce),
    ):
        TypeAdapter(shape).validate_json(answer.content)


async def test_faults_are_answered_with_file_line_and_the_fix(client, key, post):
    broken = FILE.document.replace("appointment.no_show\n", "appointment.no_shwo\n")
    answer = await post("releases", BODY | {"files": [BODY["files"][0] | {"document": broken}]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_rules")
    fault = answer.json()["errors"][0]
    assert (fault["code"], fault["file"], fault["hint"]) == (
        "E102", "own.yaml", "appointment.no_show",
    )  # fmt: skip
    assert "no_shwo" in broken.splitlines()[fault["line"] - 1]
    assert (await client.get("/v1/rules", headers=key)).json() == {"release": None, "rules": []}


async def test_a_dry_run_says_what_would_change_and_changes_nothing(client, key, post):
    answer = await post("releases", BODY | {"dry_run": True})
    assert answer.json()["changed"] is False
    assert list(answer.json()["rules"]) == [RULE]
    assert (await client.get("/v1/rules", headers=key)).json()["release"] is None


async def test_a_file_without_its_vocabulary_gets_the_shipped_one_that_it_names(client, key, post):
    bare = {"name": "own", "document": FILE.document}
    assert (await post("releases", BODY | {"files": [bare]})).json()["changed"] is True
    unknown = FILE.document.replace("healthcare.vocab.yaml", "../secret.yaml")
    answer = await post("releases", BODY | {"files": [bare | {"document": unknown}]})
    assert answer.json()["errors"][0]["code"] == "E011"


async def test_the_same_publication_twice_with_one_key_makes_one_release(client, key, post):
    first = await post("releases", BODY, **{"Idempotency-Key": "p1"})
    again = await post("releases", BODY, **{"Idempotency-Key": "p1"})
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("own.nothing/promote", {"by": "ada", "status": "shadow"}, 404, "rule_not_found"),
        ("own.nothing/halt", {"by": "ada", "reason": "x"}, 404, "rule_not_found"),
        ("rollback", {"by": "ada"}, 409, "no_earlier_release"),
        ("rollback", {"by": "ada", "to": 9}, 404, "release_not_found"),
        (f"{RULE}/promote", {"by": "ada", "status": "on"}, 422, "invalid_fields"),
        (f"{RULE}/halt", {"by": "ada", "reason": ""}, 422, "invalid_fields"),
        ("releases", {"files": []}, 422, "invalid_fields"),
        ("releases", {"by": "ada", "approved_by": "Ada"}, 422, "invalid_input"),
        ("releases", {"by": "ada", "remove": ["x"]}, 422, "rules_file_unknown"),
        ("releases", {"by": "ada", "remove": ["own"]}, 409, "no_rules_left"),
        ("releases", {"by": "ada", "remove": ["../own"]}, 422, "invalid_fields"),
    ],
)
async def test_what_can_not_be_done_is_refused_and_changes_nothing(
    client, key, post, path, body, status, code
):
    await post("releases", BODY)
    answer = await post(path, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    listed = await client.get("/v1/rules/releases", headers=key)
    assert len(listed.json()["releases"]) == 1


async def test_the_audit_trail_names_the_api_key(post, key, database, tenant):
    await post("releases", BODY)
    async with database.transaction(tenant) as connection:
        found = await connection.exec_driver_sql(
            "SELECT detail->>'via' FROM keepwell.audit_trail WHERE entity = 'rule_release'"
        )
        (via,) = found.scalars()
    assert via == f"api key {key['Authorization'][37:45]}"


@pytest.mark.parametrize(
    ("value", "status"), [(9, 200), (9.5, 200), (None, 200), ("9", 422), (True, 422), (1e300, 422)]
)
async def test_an_event_may_carry_one_finite_number(client, key, event, value, status):
    answer = await client.post("/v1/events", json=event | {"value": value}, headers=key)
    assert answer.status_code == status, answer.text
