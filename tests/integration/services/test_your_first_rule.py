"""The tutorial 'Your first rule in ten minutes': every command prints what the page says."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.factories.console_pages import run_step, says, steps_of

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[3] / "docs" / "your-first-rule.md"


def test_the_commands_of_the_tutorial_do_what_the_page_says(servers, monkeypatch, tmp_path):
    from cli.main import app  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEEPWELL_DATABASE_URL", servers.app_database_url)

    def keepwell(words: list[str]) -> str:
        return CliRunner().invoke(app, words, env={"COLUMNS": "100"}).output

    steps = steps_of(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 10
    for step in steps:
        output = run_step(step, tmp_path, keepwell)
        assert says(step.printed, output), f"$ {step.command}\n{output}"
