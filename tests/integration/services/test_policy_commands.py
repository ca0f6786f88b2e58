"""`keepwell policy` and `keepwell audit`, as one runs them."""

import asyncio
import json

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

pytestmark = pytest.mark.integration


@pytest.fixture
async def slug(database, tenant) -> str:
    async with database.transaction(tenant) as connection:
        return await connection.scalar(text("SELECT slug FROM tenants"))


@pytest.fixture
def keepwell(servers, monkeypatch, tmp_path, slug):
    """Return a function that runs a command and returns (exit code, what it said)."""
    from cli.main import app  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEEPWELL_DATABASE_URL", servers.app_database_url)

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*words, "--tenant", slug])
        return result.exit_code, result.output

    return run


def test_a_manager_sets_and_takes_back_a_lever_and_reads_what_it_costs(keepwell, tmp_path):
    lever = "levers=[{on: recall, percent: 20, until: 2026-12-31, why: empty chairs}]"
    code, said = keepwell("policy", "set", lever, "--by", "ada", "--reason", "winter", "--json")
    assert (code, json.loads(said)["changed"]) == (0, ["levers"]), said
    shown = json.loads(keepwell("policy", "show", "--json")[1])
    assert shown["numbers"]["levers"] == [
        {"on": "recall", "percent": 20.0, "until": "2026-12-31", "why": "empty chairs"}
    ]
    assert shown["levers_cost"] == {"days": 30, "decisions": 0, "cents": 0.0}
    (tmp_path / "p.yaml").write_text("rollout: {'*': 0.5}\n")
    words = ("policy", "set", "--file", "p.yaml", "--unset", "levers", "--by", "ada")
    assert keepwell(*words)[0] == 0
    code, said = keepwell("policy", "versions", "--json")
    assert [sorted(each["changed"]) for each in json.loads(said)] == [["rollout"], ["levers"], []]
    assert "tenant" in keepwell("policy", "show")[1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("rollout={'*': 3}",), 1, "not a share"),
        (("nonsense=1",), 1, "no setting"),
        (("rollout",), 2, "has no value"),
        ((), 2, "names sections"),
    ],
)
def test_what_makes_no_sense_is_told_and_changes_nothing(keepwell, words, code, told):
    answered, said = keepwell("policy", "set", *words, "--by", "ada")
    assert (answered, told in said) == (code, True), said
    assert json.loads(keepwell("policy", "show", "--json")[1])["version"] == 1


def test_the_audit_of_a_tenant_that_has_done_nothing_finds_nothing(keepwell):
    code, said = keepwell("audit", "--json")
    assert code == 0, said
    assert json.loads(said)["messages"] == 0
    assert keepwell("audit", "--days", "30")[0] == 0


async def test_consent_and_groups_are_told_and_set_from_the_command_line(
    keepwell, database, tenant
):
    async with database.transaction(tenant) as connection:
        contact = await connection.scalar(
            text(
                "INSERT INTO crm_contacts (id, tenant_id, email) "
                "VALUES (gen_random_uuid(), :t, 'a@example.com') RETURNING id"
            ),
            {"t": tenant},
        )
    words = ("--by", "ada", "--source", "form 118", "--channel", "sms", "--purpose", "marketing")

    def run(*told: str) -> tuple[int, str]:
        return keepwell(*told)

    loop = asyncio.get_running_loop()
    asked = [
        ("consent", "grant", str(contact), *words),
        ("consent", "withdraw", str(contact), *words, "--json"),
        ("consent", "show", str(contact)),
        ("consent", "grant", str(contact), *words[:-1], "war"),
        ("consent", "grant", str(contact), *words, "--at", "someday"),
        ("policy", "groups", "--draw"),
        ("audit", "--notify"),
        ("campaigns", "show", "nothing of that name"),
    ]
    said = [await loop.run_in_executor(None, lambda told=told: run(*told)) for told in asked]
    assert [code for code, _ in said] == [0, 0, 0, 2, 2, 0, 0, 2], said
    assert "sms        marketing  granted" in said[0][1]
    assert json.loads(said[1][1])["held"][0]["status"] == "revoked"
    assert "express_written, form 118" in said[2][1]
    assert "unknown risk, known lately" in said[5][1]
