"""Rules: 200 over a million rows, one contact, the shipped packs, a year looked back on."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, Measured, median_seconds
from benchmarks.practice import World, real_file
from benchmarks.rules_alone import COLUMNS, EVALUATIONS, FIELDS, ROWS, RULES, UNKNOWN
from engine.errors import InvalidRules
from rules.check import check
from rules.loader import PACKS, load_rules, read_rules
from rules.vocabulary import load_vocabulary
from services.backtest_rule import Period, backtest_rule
from services.import_crm import ImportOrder, import_file
from services.import_mapping import load_mapping
from services.wiring import Runtime
from store.tenants import get_tenant_id

CLINIC = "medical_noshow_kagglev2_2016.csv.gz"
RULE = "clinic.no-show-rescue"
YEAR = Period(date(2015, 7, 1), date(2016, 6, 30))
PEAK_MIB, GROWTH_MIB = 4096.0, 8.0
CHECK_SECONDS, BACKTEST_SECONDS, REFUSAL_SECONDS, SINGLE_US = 1.0, 10.0, 1.0, 100.0
_VOCABULARY = (
    "format: 1\nevents:\n  visit: {label: visit}\nfields:\n  a: {type: number, label: a}\n"
)
# what somebody sends by mistake or on purpose; the tests have more of them
_HOSTILE = {
    "ten megabytes": "# x\n" * 2_500_000,
    "five thousand rules": "format: 1\npack: p\nrules:\n" + "  - {id: a, title: b}\n" * 5_000,
    "references that multiply": "a: &a [x]\n" + "b: [*a,*a,*a]\n" * 10_000,
    "brackets": "[" * 200_000,
    "nested maps": "".join(" " * n + "a:\n" for n in range(600)),
    "a choice of everything": "format: 1\npack: p\nchoose:\n"
    + "".join(
        f"  - id: t{n}\n    hit: only\n    columns: [a]\n    rows:\n"
        + "".join(f"      - [{m % 9} or more, o{m}]\n" for m in range(48))
        for n in range(100)
    )
    + "rules: []\n",
}


def measure(world: World) -> Measured:
    """Match, check, refuse and look back."""
    rule, note = _look_back(world)
    return Measured(
        (*_alone(), _check(), _refuse(), rule),
        (
            f"rules: {RULES} synthetic rules over {COLUMNS} columns, {UNKNOWN:.0%} of each "
            "unknown, in a process of its own; CPU time where it says so.",
            note,
        ),
    )


def _alone() -> tuple[Figure, ...]:
    environment = {**os.environ, "POLARS_MAX_THREADS": str(os.cpu_count() or 1)}
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.rules_alone"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env=environment,
    ).stdout
    found: dict[str, float] = json.loads(told)
    frame = f"{RULES} rules over {ROWS:,} profiles"
    single = f"{RULES} rules over {FIELDS} values of one contact, durable_rules, CPU"
    wide = f"{RULES} rules over {COLUMNS} values of one contact, durable_rules, CPU"
    polars = f"polars comparing {COLUMNS} columns with a constant"
    rows, bare = ROWS / found["frame_seconds"], ROWS / found["polars_seconds"]
    durable = found["durable_us"]
    return (
        Figure("rules", frame, rows, "rows/s", bare, polars, bar=0.1),
        _limit(f"{frame}, peak", found["peak_mib"], "MiB", PEAK_MIB),
        _limit(single, durable, "µs", SINGLE_US),
        Figure("rules", single, durable, "µs", found["one_row_us"], "a frame of one row", bar=5.0),
        Figure("rules", wide, found["wide_us"], "µs", durable, f"the same over {FIELDS} values"),
        _limit(
            f"growth over {EVALUATIONS:,} evaluations", max(found["grown_mib"], 0.01), "MiB",
            GROWTH_MIB,
        ),
    )  # fmt: skip


def _check() -> Figure:
    paths = sorted(p for p in PACKS.rglob("*.yaml") if not p.name.endswith(".vocab.yaml"))
    seconds = _cpu_seconds(lambda: [check(read_rules(path)) for path in paths])
    return _limit(f"check of the {len(paths)} shipped files, CPU", seconds, "s", CHECK_SECONDS)


def _refuse() -> Figure:
    vocabulary = load_vocabulary(_VOCABULARY, "v.yaml")

    def refuse(text: str) -> None:
        try:
            load_rules(text, "hostile.yaml", vocabulary)
        except InvalidRules:
            return
        raise AssertionError("a hostile file was accepted")

    slowest = max(_cpu_seconds(partial(refuse, text)) for text in _HOSTILE.values())
    name = f"slowest refusal of {len(_HOSTILE)} hostile files, CPU"
    return _limit(name, slowest, "s", REFUSAL_SECONDS)


def _look_back(world: World) -> tuple[Figure, str]:
    file = real_file(CLINIC)
    slug, period, data = "year-of-clinic", YEAR, f"{CLINIC} ({RULE})"
    if file is None:
        _ = world.practice  # made when first asked for
        slug, data = "bench", f"the synthetic practice, without {CLINIC} ({RULE})"
        last = world.runtime.clock.now().date() - timedelta(days=1)
        period = Period(last - timedelta(days=365), last)
    else:
        world.run(partial(_imported, file, slug))
    seconds = median_seconds({"ours": lambda: world.run(partial(_tried, slug, period))}, rounds=1)
    name = "backtest of a rule over a year"
    return _limit(name, seconds["ours"], "s", BACKTEST_SECONDS), f"rules: a year of {data}."


async def _imported(file: Path, slug: str, runtime: Runtime) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await import_file(
            runtime.database,
            ImportOrder(
                file=file,
                mapping=load_mapping("clinic"),
                tenant=slug,
                rejects=Path(folder) / "rejects.csv",
            ),
        )


async def _tried(slug: str, period: Period, runtime: Runtime) -> None:
    async with runtime.database.without_tenant() as connection:
        tenant_id = await get_tenant_id(connection, slug)
    async with runtime.database.transaction(tenant_id) as connection:
        await backtest_rule(connection, runtime, tenant_id, RULE, period, by="benchmark")


def _cpu_seconds(run: Callable[[], object]) -> float:
    """CPU of a run in this process, the least of three: a busy machine adds to it."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        run()
        taken.append(time.process_time() - began)
    return min(taken)


def _limit(name: str, value: float, unit: str, limit: float) -> Figure:
    return Figure("rules", name, value, unit, limit, "the limit", bar=1.0)
