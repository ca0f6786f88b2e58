"""`python -m benchmarks.million`: a night of a million contacts under sixty rules.

Everything of a run but reading profiles and composing messages: health, rules, policy, arbitration,
treatment, the trace, and decisions and trace in PostgreSQL by COPY, in partitions as a run has
them. The floor of the same rows is measured in the same run, partition by partition: LightGBM's
prediction of the same matrix and a bare COPY of the very same bytes into a table without index,
key or row-level security. Synthetic contacts: those of a practice over and over.
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
from benchmarks.obvious_loop import ObviousLoop
from benchmarks.practice import Everybody, Practice, World
from churn.definition import rhythm
from churn.features import matrix_of
from rules.compiled import compile_rules
from services.decision_rows import candidate_frame, decision_frame, decision_rows
from services.evaluate import evaluate
from services.playbook import playbook_with
from services.profiles import all_profiles
from services.rule_texts import RuleTexts, pack_texts, parse_texts
from services.wiring import Runtime
from store.bulk import copy_in
from store.decisions import add_decisions
from store.playbooks import get_versions

_Frames = dict[str, pl.DataFrame]
RULES, PER_CONTACT = 60, 8
PART = 20_000
NIGHT = 60_000  # in `make bench`
SAMPLE = 300  # contacts that the obvious loop decides for
FLOOR_BAR, LOOP_BAR, PEAK_BAR, EXPONENT_BAR = 6.0, 200.0, 6.0, 1.05
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
    """Seconds by what they were spent on, and the moments at which sizes were reached."""

    ours: dict[str, float] = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)
    reached: dict[int, float] = field(default_factory=dict)
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


async def timed(runtime: Runtime, people: Everybody, contacts: int, sizes: Sequence[int]) -> Timed:
    """Decide for so many contacts in partitions, and do the floor's work for each of them."""
    result = Timed()
    tenant_id = people.playbook.tenant_id
    for first in range(0, contacts, PART):
        part = people.times(min(PART, contacts - first), first=first)
        async with runtime.database.transaction(tenant_id) as connection:
            frames = await _ours(connection, part, result)
        async with runtime.database.transaction(tenant_id) as connection:
            await _floor(connection, part, frames, result)
        for size in sizes:
            if size <= result.contacts and size not in result.reached:
                result.reached[size] = sum(result.ours.values())
        _progress(result)
    return result


async def _ours(connection: AsyncConnection, part: Everybody, result: Timed) -> _Frames:
    at = time.perf_counter()
    evaluated = evaluate(part.playbook, part.profiles, part.tables, as_of=part.as_of)
    at = result.add(result.ours, "decide", at)
    recorded = decision_rows(part.playbook, evaluated, as_of=part.as_of, trigger="run", run_id=None)
    frames = {"decisions": decision_frame(recorded), "candidates": candidate_frame(recorded)}
    at = result.add(result.ours, "rows", at)
    await add_decisions(connection, frames["decisions"], frames["candidates"])
    await connection.commit()
    result.add(result.ours, "store", at)
    result.contacts += len(recorded)
    result.candidates += len(evaluated.decisions.candidates.contact)
    return frames


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


def looped(people: Everybody) -> float:
    """Contacts a second of the obvious loop, which only decides: no trace, nothing stored."""
    loop = ObviousLoop(people.playbook)
    rows = people.tables.contacts.drop("contact_id").head(SAMPLE).to_dicts()
    sample = list(zip(rows, people.profiles[:SAMPLE], strict=True))
    began = time.perf_counter()
    for row, profile in sample:
        loop.decide(row, profile)
    return len(sample) / (time.perf_counter() - began)


def exponent(reached: dict[int, float]) -> float:
    """The slope of log time over log size, from the smallest size to the largest."""
    first, last = min(reached), max(reached)
    return math.log(reached[last] / reached[first]) / math.log(last / first)


def figures(result: Timed, loop: float) -> dict[str, object]:
    """What was measured, and whether each bar is cleared."""
    ours, floor = sum(result.ours.values()), sum(result.floor.values())
    # kibibytes on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    per_second = result.contacts / ours
    slope = exponent(result.reached) if len(result.reached) > 1 else float("nan")
    return {
        "contacts": result.contacts,
        "candidates_each": round(result.candidates / result.contacts, 2),
        "ours_seconds": round(ours, 1),
        "floor_seconds": round(floor, 1),
        "times_floor": round(ours / floor, 2),
        "decisions_per_second": round(per_second),
        "loop_per_second": round(loop, 1),
        "times_loop": round(per_second / loop, 1),
        "peak_gib": round(peak, 2),
        "exponent": round(slope, 3),
        "ours": {name: round(seconds, 1) for name, seconds in result.ours.items()},
        "floor": {name: round(seconds, 1) for name, seconds in result.floor.items()},
        "ok": ours / floor <= FLOOR_BAR
        and per_second / loop >= LOOP_BAR
        and peak < PEAK_BAR
        and not slope > EXPONENT_BAR,
    }


def measure(world: World) -> Measured:
    """Do a small night and tell how its time grows; a million is `python -m benchmarks.million`."""
    practice = world.practice
    people = world.run(lambda runtime: everybody(runtime, practice))
    result = world.run(lambda runtime: timed(runtime, people, NIGHT, (PART, NIGHT)))
    told = figures(result, looped(people))
    ours, floor = sum(result.ours.values()), sum(result.floor.values())
    night = f"{NIGHT:,} decisions under {RULES} rules, with trace, in PostgreSQL"
    return Measured(
        (
            Figure("night", night, ours, "s", floor, "predict and bare COPY", 1 / FLOOR_BAR),
            Figure(
                "night",
                f"growth of its time from {PART:,} on",
                exponent(result.reached),
                "exponent",
                EXPONENT_BAR,
                "linear, and a little",
                1.0,
            ),
            Figure(
                "night",
                "peak memory of the process",
                float(str(told["peak_gib"])),
                "GiB",
                PEAK_BAR,
                "the bar",
                1.0,
            ),
            Figure(
                "night",
                "the same, decisions a second",
                result.contacts / ours,
                "decisions/s",
                float(str(told["loop_per_second"])),
                "loop that decides only",
            ),
        ),
        (f"night: {told['candidates_each']} candidates a contact; seconds: {told['ours']}.",),
    )


def main(arguments: Sequence[str]) -> int:
    """Measure; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    asked = parser.parse_args(arguments)
    sizes = [size for size in (20_000, 100_000, 200_000, 1_000_000) if size <= asked.contacts]
    with World() as world:
        practice = world.practice
        people = world.run(lambda runtime: everybody(runtime, practice))
        result = world.run(lambda runtime: timed(runtime, people, asked.contacts, sizes))
        told = figures(result, looped(people))
    print(json.dumps(told, indent=2))
    return 0 if told["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
