"""The commands, run as an operator runs them, on the tests' own servers."""

import asyncio
import json
import socket
import threading
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text
from typer import Typer
from typer.testing import CliRunner

from cli.doctor_command import doctor, exit_code
from cli.keys_command import keys
from services.check_health import Check, check_health
from store.database import Database

pytestmark = pytest.mark.integration

SLUG = "SELECT slug FROM tenants WHERE id = :id"


@pytest.fixture
def command(servers, monkeypatch, tmp_path):
    """Return a function that runs a command line and returns (exit code, standard output)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEEPWELL_DATABASE_URL", servers.app_database_url)
    application = Typer()
    application.add_typer(keys, name="keys")
    application.command()(doctor)

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(application, words)
        return result.exit_code, result.stdout

    return run


@pytest.fixture
async def slug(database, tenant) -> str:
    async with database.transaction(tenant) as connection:
        return await connection.scalar(text(SLUG), {"id": tenant})


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(command, slug):
    code, out = command(
        "keys", "create", "--tenant", slug, "--name", "n8n", "--scope", "events:write", "--json"
    )
    assert code == 0
    issued = json.loads(out)
    assert issued["key"].startswith(issued["id"] + "_")
    code, out = command("keys", "list", "--tenant", slug, "--json")
    listed = json.loads(out)
    assert [(key["id"], key["revoked_at"]) for key in listed] == [(issued["id"], None)]
    assert issued["key"] not in out
    assert command("keys", "revoke", issued["id"])[0] == 0
    listed = json.loads(command("keys", "list", "--tenant", slug, "--json")[1])
    assert listed[0]["revoked_at"] is not None


@pytest.mark.parametrize(
    "words",
    [
        ("create", "--tenant", "nobody", "--name", "x", "--scope", "admin"),
        ("create", "--tenant", "SLUG", "--name", "x", "--scope", "everything"),
        ("create", "--tenant", "SLUG", "--name", "x"),
        ("revoke", "n8n"),
        ("revoke", "kw_live_" + "0" * 30),
    ],
)
def test_a_wrong_command_line_exits_with_2(command, slug, words):
    assert command("keys", *(slug if word == "SLUG" else word for word in words))[0] == 2


def test_the_doctor_finds_everything_as_it_must_be(command, smtp_greeting, monkeypatch):
    monkeypatch.setenv("KEEPWELL_SMTP_URL", f"smtp://127.0.0.1:{smtp_greeting}")
    monkeypatch.setenv("KEEPWELL_SECRET", "a" * 32)
    code, out = command("doctor", "--json")
    states = {check["name"]: check["state"] for check in json.loads(out)["checks"]}
    assert set(states.values()) == {"ok"}, out
    assert code == 0
    assert {"python", "libraries", "migrations", "row-level security", "clock"} <= states.keys()


def test_the_doctor_exits_with_3_without_a_database(command, monkeypatch, tmp_path):
    monkeypatch.setenv("KEEPWELL_DATABASE_URL", f"postgresql+psycopg://u@/x?host={tmp_path}")
    code, out = command("doctor", "--json")
    assert code == 3
    assert "postgresql" in out


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ({"postgresql": "ok", "smtp": "warning"}, 0),
        ({"postgresql": "ok", "smtp": "unreachable"}, 1),
        ({"postgresql": "ok", "migrations": "failed"}, 1),
        ({"postgresql": "unreachable", "smtp": "failed"}, 3),
    ],
)
def test_the_exit_code_tells_findings_from_an_outage(states, code):
    assert exit_code([Check(name, state, "") for name, state in states.items()]) == code


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        ("ALTER TABLE keepwell.sends DISABLE ROW LEVEL SECURITY", "row-level security"),
        ("ALTER TABLE keepwell.sends NO FORCE ROW LEVEL SECURITY", "row-level security"),
        (
            "ALTER TABLE communication_insights DISABLE ROW LEVEL SECURITY",
            "row-level security",
        ),
        ("CREATE TABLE keepwell.forgotten (tenant_id uuid)", "row-level security"),
        ("UPDATE keepwell.schema_version SET version_num = '0002'", "migrations"),
    ],
)
async def test_the_doctor_finds_what_is_wrong_with_the_database(servers, runtime, harm, name):
    repair = {
        "DISABLE": harm.replace("DISABLE", "ENABLE"),
        "NO FORCE": harm.replace("NO FORCE", "FORCE"),
        "CREATE": "DROP TABLE keepwell.forgotten",
    }
    head = runtime_head(servers)
    mend = next(
        (text_ for word, text_ in repair.items() if word in harm),
        f"UPDATE keepwell.schema_version SET version_num = '{head}'",
    )
    as_owner(servers, harm)
    try:
        states = {check.name: check.state for check in await check_health(runtime)}
    finally:
        as_owner(servers, mend)
    assert states[name] == "failed"
    states = {check.name: check.state for check in await check_health(runtime)}
    assert states[name] == "ok"


async def test_the_doctor_refuses_the_owner_as_the_applications_role(servers, runtime):
    owner = Database(servers.owner_database_url)
    try:
        checks = await check_health(replace(runtime, database=owner))
    finally:
        await owner.close()
    role = next(check for check in checks if check.name == "database role")
    assert role.state == "failed"
    assert "owner of the tables" in role.detail


@pytest.mark.parametrize(("embedded", "state"), [(True, "ok"), (False, "failed")])
async def test_the_default_secret_is_for_local_use_alone(runtime, embedded, state):
    checks = await check_health(replace(runtime, embedded=embedded))
    assert {check.name: check.state for check in checks}["secret"] == state


async def test_a_server_that_does_not_speak_smtp_is_found(runtime):
    async def answer(_reader, writer):
        writer.write(b"HTTP/1.1 400\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = runtime.settings.model_copy(update={"smtp_url": f"smtp://127.0.0.1:{port}"})
    async with server:
        checks = await check_health(replace(runtime, settings=settings))
    assert {check.name: check.state for check in checks}["smtp"] == "failed"


@pytest.fixture
def smtp_greeting():
    """The port of something that greets like a mail server, once."""
    listening = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"220 test ESMTP\r\n")
            connection.recv(100)

    thread = threading.Thread(target=greet, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.close()
    thread.join(timeout=10)


def as_owner(servers, statement: str) -> None:
    engine = create_engine(servers.owner_database_url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def runtime_head(servers) -> str:
    engine = create_engine(servers.owner_database_url)
    with engine.begin() as connection:
        head = connection.execute(text("SELECT version_num FROM keepwell.schema_version")).scalar()
    engine.dispose()
    return str(head)
