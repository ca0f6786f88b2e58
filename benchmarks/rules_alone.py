"""Measured in a process of its own, so that its peak of memory is that of rules alone.

`python -m benchmarks.rules_alone` prints one JSON document.
"""

import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from rules.compiled import CompiledRules, compile_rules
from rules.loader import load_rules
from rules.vocabulary import load_vocabulary

SEED = 20260301
RULES, COLUMNS, ROWS = 200, 200, 1_000_000
FIELDS = 11  # that the rules for one contact read, four conditions each
SINGLES, EVALUATIONS = 2_000, 300_000
UNKNOWN = 0.2  # of every column
_ROUNDS = 3
_MIB = 1024  # kB


def main() -> None:
    """Match 200 rules over a million rows, over one row, and over and over."""
    wide = _rules(COLUMNS, conditions=3)
    single, ours, polars = _over_a_million(wide)
    peak = _memory_kb("VmHWM") / _MIB
    gc.collect()
    rows = [{k: v for k, v in row.items() if v is not None} for row in single.to_dicts()]
    ones = [single.slice(number, 1) for number in range(SINGLES // 20)]
    rules = _rules(FIELDS, conditions=4)
    durable = _cpu_us(lambda: [rules.match_one(row) for row in rows], len(rows))
    of_one_row = _cpu_us(lambda: [rules.match_frame(each) for each in ones], len(ones))
    of_many = _cpu_us(lambda: [wide.match_one(row) for row in rows], len(rows))
    fired = statistics.fmean(len(rules.match_one(row)) for row in rows)
    # the first ones fill the pools of Python and of the engine
    _evaluate(rules, rows, EVALUATIONS // 10)
    before = _memory_kb("VmRSS")
    _evaluate(rules, rows, EVALUATIONS)
    grown = (_memory_kb("VmRSS") - before) / _MIB
    found = {
        "frame_seconds": ours,
        "polars_seconds": polars,
        "peak_mib": peak,
        "durable_us": durable,
        "one_row_us": of_one_row,
        "wide_us": of_many,
        "fired": fired,
        "grown_mib": grown,
    }
    print(json.dumps(found))


def _over_a_million(rules: CompiledRules) -> tuple[pl.DataFrame, float, float]:
    """The first rows, and the seconds that the rules and bare comparisons take for all."""
    frame = _frame()
    constants = [pl.col(name) >= 30.0 for name in frame.columns]
    ours, polars = _by_turns(lambda: rules.match_frame(frame), lambda: frame.select(constants))
    return frame.head(SINGLES).clone(), ours, polars


def _rules(columns: int, *, conditions: int) -> CompiledRules:
    """Rules over that many fields; three conditions stand beside an any or an unless at times."""
    words = "format: 1\nevents:\n  visit: {label: visit}\nfields:\n" + "".join(
        f"  contact.f{n}: {{type: number, label: f{n}}}\n" for n in range(columns)
    )
    rng = np.random.default_rng(SEED)
    text = "format: 1\npack: many\nvocabulary: many.vocab.yaml\nrules:\n" + "".join(
        _rule(number, rng, columns, conditions) for number in range(RULES)
    )
    return compile_rules(load_rules(text, "many.yaml", load_vocabulary(words, "many.vocab.yaml")))


def _rule(number: int, rng: np.random.Generator, columns: int, conditions: int) -> str:
    def condition() -> str:
        # over few fields conditions meet more often; with these one rule in 22 fires (`fired`)
        low = int(rng.integers(10, 60) if conditions == 3 else rng.integers(35, 95))
        return f"{{field: contact.f{rng.integers(columns)}, at_least: {low}}}"

    lines = [f"- {condition()}" for _ in range(2)]
    lines.append(
        f"- any: [{condition()}, {condition()}]" if number % 3 == 0 else f"- {condition()}"
    )
    when = "".join(f"      {line}\n" for line in lines)
    unless = ""
    if conditions == 3 and number % 2 == 0:
        unless = f"    unless:\n      - {condition()[:-1]}, because: somebody calls}}\n"
    return (
        f"  - id: many.r{number}\n    title: Rule {number}\n    why: Because.\n    owner: desk\n"
        f"    status: live\n    when:\n{when}{unless}    then:\n      action: a{number}\n"
        "      template: healthcare/a\n      purpose: service\n      by: [email]\n"
        "      value: 10.00 USD\n      cost: {email: 0.01}\n"
        "      expect: {if_contacted: 0.2, if_left: 0.1, weight: 20}\n"
        "      goal: visit within 14 days\n"
    )


def _frame() -> pl.DataFrame:
    """A million profiles: numbers around the constants that the rules compare with."""
    rng = np.random.default_rng(SEED)
    return pl.DataFrame([_column(f"contact.f{n}", rng) for n in range(COLUMNS)])


def _column(name: str, rng: np.random.Generator) -> pl.Series:
    values = rng.exponential(60.0, ROWS)
    values[rng.random(ROWS) < UNKNOWN] = np.nan
    return pl.Series(name, values, nan_to_null=True)


def _by_turns(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of both, run A B A B after one run of each that does not count."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(_ROUNDS + 1):
        for run, times in zip((one, other), taken, strict=True):
            began = time.perf_counter()
            run()
            if number:
                times.append(time.perf_counter() - began)
    return statistics.median(taken[0]), statistics.median(taken[1])


def _cpu_us(run: Callable[[], object], calls: int) -> float:
    """The least CPU time of a call in five runs, microseconds: others on the machine add to it."""
    run()
    taken = []
    for _ in range(5):
        began = time.process_time()
        run()
        taken.append(time.process_time() - began)
    return min(taken) / calls * 1e6


def _evaluate(rules: CompiledRules, rows: list[dict[str, float]], contacts: int) -> None:
    for number in range(contacts):
        rules.match_one(rows[number % len(rows)])


def _memory_kb(what: str) -> int:
    """VmHWM (peak) or VmRSS (now) of this process: `ru_maxrss` would count the parent's too."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1])
    raise ValueError(what)


if __name__ == "__main__":
    main()
