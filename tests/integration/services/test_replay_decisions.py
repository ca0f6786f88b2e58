"""Decisions replay to the bit in another process, which has never seen anything of this one."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration


async def test_a_run_replays_identically_in_another_process(practice: Practice, servers, tmp_path):
    for number in range(12):
        contact = await practice.add_contact(consented=number % 3 != 0)
        await practice.add_no_show(contact, 0.5 + number)
    for hours in (2, 1):
        await practice.decide_all(as_of=MORNING - timedelta(hours=hours))
    async with practice.transaction() as connection:
        slug = await connection.scalar(text("SELECT slug FROM tenants"))
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs meanwhile
        [sys.executable, "-m", "cli.main", "decisions", "replay-all", "--tenant", slug, "--json"],
        cwd=Path(__file__).parents[3],
        env={
            "PATH": "/usr/bin:/bin",
            "KEEPWELL_DATABASE_URL": servers.app_database_url,
            "KEEPWELL_HOME": str(tmp_path),
        },
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert told["replayed"] == 24
    # what the first run promised is known to the second; the first did not know it then
    assert set(told["verdicts"]) <= {"identical", "inputs_changed"}
    assert told["verdicts"]["identical"] >= 12
    assert told["differing"] == []
