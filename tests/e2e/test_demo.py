"""The demo as a new user runs it: a process of its own, an empty home, nothing left behind."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kw-demo-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "home"


def keepwell(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "keepwell"), *arguments],
        env={**os.environ, "KEEPWELL_HOME": str(home), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def servers_of(home: Path) -> list[str]:
    """Command lines of processes that still name this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = (folder / "cwd").readlink()
        except OSError:
            continue
        if str(home) in line or str(place).startswith(str(home)):
            found.append(line)
    return found


def test_the_demo_decides_delivers_and_leaves_no_process(home):
    done = keepwell(home, "demo", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["synthetic"] is True
    assert shown["health"]["tier"] == "model", "the practice has history enough for a model"
    assert len(shown["at_risk"]) > 0
    assert all(row["risk_factors"] for row in shown["at_risk"])
    assert len(shown["decisions"]) == 10
    assert all(decision["action"] for decision in shown["decisions"])
    assert shown["e_mails_delivered"] >= 1
    assert "Unsubscribe: " in shown["e_mails"][0]
    assert servers_of(home) == []


def test_the_demo_runs_again_on_the_same_data_and_shows_it_to_people(home):
    done = keepwell(home, "demo")
    assert done.returncode == 0, done.stderr
    for heading in ("Who may leave", "The best action", "One decision, traced", "One delivered"):
        assert heading in done.stdout
    link = done.stdout.split("One delivered")[1].split("Unsubscribe: ")[1]
    shown = "".join(line.strip("│ ") for line in link.split("╰")[0].splitlines())
    # the practice of the first run is still there, and its decisions replay
    listed = keepwell(home, "demo", "--json", "--decisions", "1")
    whole = json.loads(listed.stdout)["e_mails"][0].split("Unsubscribe: ")[1].strip()
    assert len(shown) == len(whole), "what is too long for a line goes on below"
    decision = json.loads(listed.stdout)["decisions"][0]["id"]
    replayed = keepwell(home, "decisions", "replay", decision, "--json")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert json.loads(replayed.stdout)["verdict"] == "identical"
