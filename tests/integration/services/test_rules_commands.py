"""`keepwell rules publish`, `list`, `promote`, `halt`, `rollback`, `releases`, as one runs them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from rules.meaning import rule_meaning
from services.rule_texts import parse_texts
from store.releases import Backtest, record_backtest
from tests.factories.rule_files import rule_text, rules_file

pytestmark = pytest.mark.integration

FILE = rules_file("own", rule_text("own.missed", status="shadow"))


@pytest.fixture
async def slug(database, tenant) -> str:
    async with database.transaction(tenant) as connection:
        return await connection.scalar(text("SELECT slug FROM tenants"))


@pytest.fixture
def rules(servers, monkeypatch, tmp_path, slug):
    """Return a function that runs `keepwell rules ...` and returns (exit code, what it said)."""
    from cli.main import app  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEEPWELL_DATABASE_URL", servers.app_database_url)
    (tmp_path / "own.yaml").write_text(FILE.document)

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["rules", *words, "--tenant", slug])
        return result.exit_code, result.output

    return run


def test_a_managers_way_from_a_file_to_live_and_back(rules, servers, tenant):
    code, said = rules("publish", "own.yaml")
    assert (code, "release 1 is in force" in said) == (0, True), said
    assert "release 1 is in force already" in rules("publish", "own.yaml")[1]

    code, said = rules("promote", "own.missed", "live", "--by", "ada")
    assert code == 1
    assert "P102" in said
    assert "P103" in said
    record(servers, tenant)
    words = ("promote", "own.missed", "live", "--by", "ada", "--approved-by", "grace")
    assert rules(*words)[0] == 0
    listed = json.loads(rules("list", "--json")[1])
    assert [(r["id"], r["status"], r["owner"]) for r in listed["rules"]] == [
        ("own.missed", "live", "front-desk")
    ]
    assert rules("halt", "own.missed", "--by", "grace", "--reason", "complaints")[0] == 0
    assert "shadow" in rules("list")[1]
    assert rules("rollback", "--by", "ada")[0] == 0
    releases = json.loads(rules("releases", "--json")[1])["releases"]
    assert [each["number"] for each in releases] == [4, 3, 2, 1]
    assert releases[0]["digest"] == releases[2]["digest"]
    assert "complaints" in rules("releases")[1]


def test_files_are_published_together_under_their_own_names_and_leave_by_name(rules, tmp_path):
    (tmp_path / "two.yaml").write_text(FILE.document.replace("own.missed", "own.two"))
    code, said = rules("publish", "own.yaml", "two.yaml", "healthcare/retention", "--json")
    assert code == 0, said
    files = json.loads(said)["release"]["files"]
    assert [file["name"] for file in files] == ["healthcare/retention", "own", "two"]
    code, said = rules("publish", "--remove", "two", "--json")
    assert json.loads(said)["rules"] == {"own.two": None}


def test_a_shipped_pack_given_as_a_file_keeps_its_name(rules):
    shipped = Path(__file__).parents[3] / "rules" / "packs" / "healthcare" / "retention.yaml"
    _, said = rules("publish", str(shipped), "--dry-run", "--json")
    assert json.loads(said)["changed"] is False
    _, said = rules("publish", str(shipped), "--json")
    assert json.loads(said)["release"]["files"][0]["name"] == "healthcare/retention"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("publish",), 2),
        (("publish", "absent.yaml"), 1),
        (("publish", "own.yaml", "own.yaml"), 2),
        (("publish", "own.yaml", "--by", "ada", "--approved-by", "ada"), 2),
        (("promote", "own.nothing", "shadow", "--by", "ada"), 2),
        (("promote", "clinic.no-show-rescue", "on", "--by", "ada"), 2),
        (("rollback", "--by", "ada", "--to", "9"), 2),
        (("rollback", "--by", "ada"), 1),
    ],
)
def test_a_mistake_ends_with_its_exit_code_and_no_release_of_its_own(rules, words, code):
    found, said = rules(*words)
    assert found == code, said
    assert len(json.loads(rules("releases", "--json")[1])["releases"]) <= 1


def record(servers, tenant) -> None:
    """A backtest, as if `rules backtest` had been run."""
    import asyncio  # noqa: PLC0415

    from store.database import Database  # noqa: PLC0415

    parsed = parse_texts(FILE)
    now = datetime.now(UTC)
    meaning = rule_meaning(parsed.rules[0], parsed.vocabulary)
    done = Backtest("own.missed", meaning, now - timedelta(days=9), now, "ada")

    async def write() -> None:
        database = Database(servers.app_database_url)
        async with database.transaction(tenant) as connection:
            await record_backtest(connection, tenant, done)
        await database.close()

    asyncio.run(write())
