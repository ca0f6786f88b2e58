"""Weeks of decisions and deliveries with faults on every side, judged by the audit."""

import pytest

from benchmarks.policy_year import Year, run_year
from services.wiring import Runtime

pytestmark = pytest.mark.integration


async def test_weeks_of_faults_and_changes_break_the_policy_nowhere(runtime: Runtime) -> None:
    lived = await run_year(runtime, Year(contacts=80, days=12))
    audited = lived.audited
    assert audited.as_document()["findings"] == []
    # enough happened for the audit to judge
    assert audited.messages > 10
    assert audited.decisions >= audited.messages
    assert lived.happened["killed_workers"] > 0
    assert lived.happened["repeated_events"] > 0
    assert lived.happened["failed_looks"] == 0
