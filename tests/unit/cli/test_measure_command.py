"""`keepwell measure` needs no database and says what it measured."""

import json

import pytest
from typer.testing import CliRunner

from cli.main import app


def run(*arguments: str):
    return CliRunner().invoke(app, ["measure", *arguments])


def test_a_small_measurement_tells_every_strategy_and_every_goal():
    told = run(
        "--industry", "healthcare", "--contacts", "60", "--months", "1", "--seeds", "2",
        "--processes", "1", "--json",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)["industries"]["healthcare"]
    assert set(found["strategies"]) == {"engine", "calendar", "random", "nothing", "oracle"}
    assert found["strategies"]["nothing"]["sends"]["mean"] == 0.0
    assert set(found["gains"]) == {
        "open_rate", "answers", "churn", "lifetime_usd", "opt_outs", "sends",
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [("--industry", "fishery"), ("--contacts", "3"), ("--seeds", "0")]
)
def test_what_can_not_be_measured_is_refused(arguments):
    told = run(*arguments)
    assert told.exit_code == 2
    assert "error" in told.stderr
