"""Wherever a run is decided, it is the same run."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from distributed import LocalCluster

from engine.errors import InvalidInput
from services.dask_executor import Dask, SchedulerUnavailable
from services.decide_partitions import decide_partitions
from services.decide_tonight import decide_tonight, night_of
from services.executors import Executor, Here, Processes
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration

SLEEP_WARNING = "ignore:.*:DeprecationWarning"


@contextmanager
def executor(name: str) -> Iterator[Executor]:
    if name == "here":
        yield Here()
    elif name == "processes":
        yield Processes(2)
    else:
        with LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1",
            scheduler_port=0,
        ) as cluster:  # fmt: skip
            yield Dask(cluster.scheduler_address)


def half(number: int) -> float:
    if number == 13:
        raise ValueError("thirteen")
    return number / 2


@pytest.mark.filterwarnings(SLEEP_WARNING)
@pytest.mark.parametrize("name", ["here", "processes", "dask"])
def test_results_come_in_order_and_an_error_when_its_turn_comes(name: str) -> None:
    with executor(name) as made:
        assert list(made.map(half, iter(range(12)))) == [number / 2 for number in range(12)]
        results = made.map(half, range(11, 20))
        assert [next(results), next(results)] == [5.5, 6.0]
        with pytest.raises(ValueError, match="thirteen"):
            next(results)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Processes(0)
    with pytest.raises(SchedulerUnavailable):
        list(Dask("tcp://127.0.0.1:1").map(half, [1]))


async def stored(practice: Practice) -> list[dict[str, Any]]:
    decisions = await practice.rows(
        "SELECT id, contact_id, action, channel, send_at, decision_digest, profile_digest "
        "FROM keepwell.decisions ORDER BY id"
    )
    candidates = await practice.rows(
        "SELECT decision_id, position, action, reason, channels, score_cents "
        "FROM keepwell.candidates ORDER BY decision_id, position"
    )
    sends = await practice.rows("SELECT id, next_at, content FROM keepwell.sends ORDER BY id")
    return [*decisions, *candidates, *sends]


@pytest.mark.filterwarnings(SLEEP_WARNING)
@pytest.mark.parametrize("name", ["processes", "dask"])
async def test_processes_and_a_cluster_store_what_this_process_would(
    practice: Practice, name: str
) -> None:
    for number in range(9):
        await practice.add_no_show(await practice.add_contact(), 1.0 + number)
    with executor(name) as made:
        done = await decide_partitions(
            practice.runtime, practice.tenant_id, made, as_of=MORNING, size=2
        )
    assert (done.decisions, done.actions > 0) == (9, True)
    theirs = await stored(practice)
    # the same run again, here: were one decision another, it would come on top
    again = await decide_partitions(
        practice.runtime, practice.tenant_id, Here(), as_of=MORNING, size=5
    )
    assert (again.decisions, again.actions) == (done.decisions, done.actions)
    assert await stored(practice) == theirs


async def test_the_nightly_run_is_done_once_a_day_whoever_asks(practice: Practice) -> None:
    contact = await practice.add_missed()
    first = await decide_tonight(practice.runtime, practice.tenant_id)
    assert first is not None
    assert (first.as_of, first.decisions) == (night_of(MORNING), 1)
    assert await decide_tonight(practice.runtime, practice.tenant_id) is None
    tomorrow = practice.at(practice.now() + timedelta(days=1))
    try:
        assert await decide_tonight(tomorrow.runtime, practice.tenant_id) is not None
    finally:
        await tomorrow.database.close()
    rows = await practice.rows("SELECT contact_id, as_of FROM keepwell.decisions ORDER BY as_of")
    assert [row["contact_id"] for row in rows] == [contact, contact]
    await practice.set(paused=True)
    later = practice.at(practice.now() + timedelta(days=2))
    try:
        assert await decide_tonight(later.runtime, practice.tenant_id) is None
    finally:
        await later.database.close()
