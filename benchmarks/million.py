"""`python -m benchmarks.million`: nights of ten thousand up to a million contacts, sixty rules.

Everything of a run but reading profiles and composing messages: health, rules, policy, arbitration,
treatment, the trace, and decisions and trace in PostgreSQL by COPY, in partitions as a run has
them. The floor of the same rows is measured in the same run, partition by partition: LightGBM's
prediction of the same matrix and a bare COPY of the very same bytes into a table without index,
key or row-level security. `benchmarks/obvious_loop.py` decides for a sample of the same contacts
and keeps the same rows by INSERT, contact by contact. Synthetic contacts: those of a practice over
and over.
"""

import argparse
import json
import math
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.figures import Figure, Measured
from benchmarks.kept_rows import KeptRows
from benchmarks.obvious_loop import ObviousLoop
from benchmarks.practice import Everybody, Practice, World
from churn.definition import rhythm
from churn.features import matrix_of
from rules.compiled import compile_rules
from services.decision_rows import Recorded, candidate_frame, decision_frame, decision_rows
from services.evaluate import Evaluated, evaluate
from services.playbook import playbook_with
from services.profiles import all_profiles
from services.rule_texts import RuleTexts, pack_texts, parse_texts
from services.uncollected import uncollected
from services.wiring import Runtime
from store.bulk import copy_in
from store.decisions import add_decisions
from store.playbooks import get_versions

_Frames = dict[str, pl.DataFrame]
RULES, PER_CONTACT = 60, 8
PART = 20_000
SIZES = (10_000, 100_000)  # nights before the one asked for, from which growth is told
SMALL = (10_000, 40_000)  # in `make bench`
WARM_UP = 2_000
SAMPLE = 500  # contacts that the obvious loop decides for
FLOOR_BAR, LOOP_BAR, PEAK_BAR, EXPONENT_BAR = 6.0, 200.0, 6.0, 1.05
_LOOPED = 1_120_000  # number of the first contact of the loop: none of a night
# a contact seen any time ago falls into exactly eight of these spans
_STEP_DAYS = 9
_RULE = """\
  - id: bench.{number}
    title: Seen {first} to {last} days ago
    why: Sixty rules of which eight hold for each contact.
    owner: bench
    status: live
    when:
      - last: appointment.kept
        at_least_ago: {first} days
        at_most_ago: {last} days
    then:
      action: bench-{number}
      template: healthcare/no-show-rescue
      purpose: treatment
      by: [email, call_task]
      value: {value}.00 USD
      cost: {{email: 0.01, call_task: 6.00}}
      expect: {{if_contacted: 0.3, if_left: 0.1, weight: 40}}
      goal: appointment.booked within 14 days
    cooldown: 30 days
"""


@dataclass
class Timed:
    """A night: seconds by what they were spent on."""

    ours: dict[str, float] = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)
    contacts: int = 0
    candidates: int = 0

    def add(self, to: dict[str, float], name: str, began: float) -> float:
        now = time.perf_counter()
        to[name] = to.get(name, 0.0) + now - began
        return now


def sixty_rules() -> RuleTexts:
    """Rules of which eight hold for whoever was seen within a year and a half."""
    rules = "".join(
        _RULE.format(
            number=number,
            first=_STEP_DAYS * number - _STEP_DAYS * (PER_CONTACT - 1),
            last=_STEP_DAYS * (number + 1) - 1,
            value=100 + number,
        )
        for number in range(PER_CONTACT - 1, RULES + PER_CONTACT - 1)
    )
    document = f"format: 1\npack: bench\nvocabulary: healthcare.vocab.yaml\nrules:\n{rules}"
    return RuleTexts("bench", document, pack_texts("healthcare/retention").vocabulary)


async def everybody(runtime: Runtime, practice: Practice) -> Everybody:
    """The practice's contacts under sixty rules."""
    now = runtime.clock.now()
    rules = compile_rules(parse_texts(sixty_rules()))
    async with runtime.database.transaction(practice.tenant_id) as connection:
        versions = await get_versions(connection, now)
        playbook = await playbook_with(connection, practice.tenant_id, versions, rules)
        profiles, _, tables = await all_profiles(connection, playbook, now)
    return Everybody(playbook, profiles, tables, now)


async def nights(runtime: Runtime, people: Everybody, sizes: Sequence[int]) -> list[Timed]:
    """Decide for so many contacts each, all of them different, and do the floor's work too."""
    first, results = 0, []
    for size in (WARM_UP, *sizes):
        results.append(await _night(runtime, people, first, size))
        first += size
    return results[1:]


async def _night(runtime: Runtime, people: Everybody, first: int, size: int) -> Timed:
    result = Timed()
    tenant_id = people.playbook.tenant_id
    for done in range(0, size, PART):
        part = people.times(min(PART, size - done), first=first + done)
        async with runtime.database.transaction(tenant_id) as connection:
            frames = await _ours(connection, part, result)
        async with runtime.database.transaction(tenant_id) as connection:
            await _floor(connection, part, frames, result)
        _progress(result)
    return result


async def _ours(connection: AsyncConnection, part: Everybody, result: Timed) -> _Frames:
    at = time.perf_counter()
    with uncollected():  # as services/decide.py
        evaluated = evaluate(part.playbook, part.profiles, part.tables, as_of=part.as_of)
        at = result.add(result.ours, "decide", at)
        recorded = _rows(part, evaluated)
        frames = {"decisions": decision_frame(recorded), "candidates": candidate_frame(recorded)}
    at = result.add(result.ours, "rows", at)
    await add_decisions(connection, frames["decisions"], frames["candidates"])
    await connection.commit()
    result.add(result.ours, "store", at)
    result.contacts += len(recorded)
    result.candidates += len(evaluated.decisions.candidates.contact)
    return frames


def _rows(part: Everybody, evaluated: Evaluated) -> list[Recorded]:
    return decision_rows(part.playbook, evaluated, as_of=part.as_of, trigger="run", run_id=None)


async def _floor(
    connection: AsyncConnection, part: Everybody, frames: _Frames, result: Timed
) -> None:
    model = part.playbook.model
    if model is None:
        raise RuntimeError("There is no model to compare.")
    features = part.tables.contacts
    usual = model.trained.tenant_median_days
    standing = rhythm(features, part.playbook.definition, tenant_median_days=usual)
    matrix = matrix_of(features, model.feature_names)
    at = time.perf_counter()
    model.predict(matrix, standing.days_to_limit)
    result.add(result.floor, "predict", at)
    for name, frame in frames.items():
        columns = ", ".join(frame.columns)
        await connection.execute(
            text(
                f"CREATE TEMP TABLE bare_{name} ON COMMIT DROP AS "
                f"SELECT {columns} FROM keepwell.{name} WITH NO DATA"
            )
        )
        at = time.perf_counter()
        await copy_in(connection, f"bare_{name}", frame)
        result.add(result.floor, "copy", at)


def _progress(result: Timed) -> None:
    done = {name: round(seconds, 1) for name, seconds in result.ours.items()}
    floor = {name: round(seconds, 1) for name, seconds in result.floor.items()}
    print(f"{result.contacts:,} contacts: ours {done}, floor {floor}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Looped:
    """Seconds per contact of the obvious loop: to decide, and with the rows kept."""

    decide: float
    all: float


def looped(runtime: Runtime, people: Everybody) -> Looped:
    """Let the obvious loop do the same work for a sample of the contacts.

    Its trace is handed to it ready made, which is in its favour.
    """
    part = people.times(SAMPLE, first=_LOOPED)
    evaluated = evaluate(part.playbook, part.profiles, part.tables, as_of=part.as_of)
    made = _rows(part, evaluated)
    sample = [
        (row, profile, dict(each.row), list(each.candidates))
        for row, profile, each in zip(
            part.tables.contacts.drop("contact_id").to_dicts(), part.profiles, made, strict=True
        )
    ]
    loop = ObviousLoop(people.playbook)
    began = time.perf_counter()
    for row, profile, _, _ in sample:
        loop.decide(row, profile)
    decided = time.perf_counter() - began
    with KeptRows(runtime.database_url, people.playbook.tenant_id) as kept:
        began = time.perf_counter()
        for row, profile, decision, candidates in sample:
            loop.decide(row, profile)
            kept.add(decision, candidates, profile)
        all_of_it = time.perf_counter() - began
    return Looped(decided / len(sample), all_of_it / len(sample))


def exponent(results: Sequence[Timed]) -> float:
    """The slope of log time over log size, from the smallest night to the largest."""
    first, last = results[0], results[-1]
    grown = sum(last.ours.values()) / sum(first.ours.values())
    return math.log(grown) / math.log(last.contacts / first.contacts)


def figures(results: Sequence[Timed], loop: Looped) -> dict[str, object]:
    """What was measured, and whether each bar is cleared; of the largest night."""
    result = results[-1]
    ours, floor = sum(result.ours.values()), sum(result.floor.values())
    # kibibytes on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    slope = exponent(results) if len(results) > 1 else float("nan")
    times_loop = loop.all * result.contacts / ours
    return {
        "contacts": result.contacts,
        "candidates_each": round(result.candidates / result.contacts, 2),
        "ours_seconds": round(ours, 1),
        "floor_seconds": round(floor, 1),
        "times_floor": round(ours / floor, 2),
        "decisions_per_second": round(result.contacts / ours),
        "loop_per_second": round(1 / loop.all, 1),
        "times_loop": round(times_loop, 1),
        "floor_times_loop": round(loop.all * result.contacts / floor, 1),
        "decide_times_loop": round(loop.decide * result.contacts / result.ours["decide"], 1),
        "peak_gib": round(peak, 2),
        "exponent": round(slope, 3),
        "nights": {each.contacts: round(sum(each.ours.values()), 2) for each in results},
        "ours": {name: round(seconds, 1) for name, seconds in result.ours.items()},
        "floor": {name: round(seconds, 1) for name, seconds in result.floor.items()},
        "ok": ours / floor <= FLOOR_BAR
        and times_loop >= LOOP_BAR
        and peak < PEAK_BAR
        and not slope > EXPONENT_BAR,
    }


def measure(world: World) -> Measured:
    """Do small nights and tell how their time grows; a million: `python -m benchmarks.million`."""
    practice = world.practice
    people = world.run(lambda runtime: everybody(runtime, practice))
    results = world.run(lambda runtime: nights(runtime, people, SMALL))
    loop = looped(world.runtime, people)
    told, result = figures(results, loop), results[-1]
    ours, floor = sum(result.ours.values()), sum(result.floor.values())
    size = result.contacts
    night = f"{size:,} decisions under {RULES} rules, with trace, in PostgreSQL"
    growth = f"growth of its time from {SMALL[0]:,} on"
    return Measured(
        (
            Figure("night", night, ours, "s", floor, "predict and bare COPY", 1 / FLOOR_BAR),
            Figure("night", growth, exponent(results), "exponent", EXPONENT_BAR,
                   "linear, and a little", 1.0),
            Figure("night", "peak memory of the process", float(str(told["peak_gib"])), "GiB",
                   PEAK_BAR, "the bar", 1.0),
            Figure("night", "the same, decisions a second", size / ours, "decisions/s",
                   1 / loop.all, "obvious loop that keeps the same rows"),
            Figure("night", "deciding alone", size / result.ours["decide"], "decisions/s",
                   1 / loop.decide, "obvious loop that keeps nothing"),
        ),
        (f"night: {told['candidates_each']} candidates a contact; seconds: {told['ours']}.",),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Measure; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    asked = parser.parse_args(arguments)
    sizes = [*(size for size in SIZES if size < asked.contacts), asked.contacts]
    with World() as world:
        practice = world.practice
        people = world.run(lambda runtime: everybody(runtime, practice))
        results = world.run(lambda runtime: nights(runtime, people, sizes))
        told = figures(results, looped(world.runtime, people))
    print(json.dumps(told, indent=2))
    return 0 if told["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
