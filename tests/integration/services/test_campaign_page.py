"""The page about campaigns: every command prints what it says, and HTTP does the same."""

from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from tests.factories.console_pages import run_step, says, steps_of

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[3] / "docs" / "campaigns.md"


@pytest.fixture
async def slug(database, tenant) -> str:
    async with database.transaction(tenant) as connection:
        return await connection.scalar(text("SELECT slug FROM tenants"))


def test_the_commands_of_the_page_do_what_it_says(servers, monkeypatch, tmp_path, slug):
    from cli.main import app  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEEPWELL_DATABASE_URL", servers.app_database_url)

    def keepwell(words: list[str]) -> str:
        return CliRunner().invoke(app, words, env={"COLUMNS": "100"}).output

    steps = steps_of(PAGE.read_text(encoding="utf-8").replace("--tenant demo", f"--tenant {slug}"))
    assert len(steps) > 5
    for step in steps:
        output = run_step(step, tmp_path, keepwell)
        assert says(step.printed, output), f"$ {step.command}\n{output}"
