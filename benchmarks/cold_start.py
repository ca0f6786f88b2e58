"""A new business: what a model of other businesses tells of it, and what its own data add.

    python -m benchmarks.cold_start --data FILE --customer COLUMN --time COLUMN --amount COLUMN \\
        [--sizes 50 --sizes 200 --sizes 1000] --seed 0 --json

The shared model learns from three simulated businesses (rhythms of weeks, months and quarters,
seeded; no row of the file). Samples of the file's customers are the new business: declared churn by
own interval within 90 days, at the last three origins, beside the silence rule and a model of the
sample alone.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.churn_table import refused
from benchmarks.log_declared import LONGEST_DAYS, standing_of
from churn.definition import HORIZON_DAYS
from churn.log_features import LogHistory, View, view
from churn.log_models import LogHazard, Standing, log_hazard
from churn.metrics import auc, log_loss
from churn.tiers import NAMES, tiered
from churn.transaction_log import log_of, read_log
from engine.errors import KeepwellError, TooFewData

SIZES = (0, 50, 200, 1_000)
HORIZON = 90
# Days, counts and ratios: no money, no season, nothing fitted to the business.
SCALE_FREE = (
    "recency", "tenure", "visits", "visits_per_day", "visits_30", "visits_60", "visits_90",
    "visits_180", "visits_365", "spend_last_share", "returns_per_visit", "gap_mean", "gap_median",
    "gap_longest", "gap_spread", "gap_regularity", "gap_last", "recency_by_mean",
    "recency_by_median", "recency_by_longest", "recency_z", "gap_last_by_mean", "gap_lately",
    "gap_lately_by_mean", "visit_trend_30", "visit_trend_90", "visit_trend_180", "spend_trend_90",
    "active_months", "active_month_share",
)  # fmt: skip
_RHYTHMS_DAYS = (20.0, 45.0, 90.0)


def simulated(rhythm_days: float, *, customers: int, days: int, seed: int) -> LogHistory:
    """A business whose customers have their own regularity and their own end."""
    rng = np.random.default_rng(seed)
    start = datetime(2022, 1, 1)  # noqa: DTZ001 - a log's times are local
    rows: list[tuple[str, datetime, float]] = []
    for number in range(customers):
        gap = rhythm_days * rng.gamma(2.0, 0.5) + 2.0
        shape = rng.choice([0.8, 1.2, 2.5])
        stays, day = rng.exponential(12.0 * rhythm_days), rng.uniform(-300.0, days * 0.9)
        end, money = day + stays, rng.gamma(2.0, 40.0)
        while day < min(end, days):
            if day >= 0:
                rows.append((f"s{number}", start + timedelta(days=day), money * rng.gamma(4, 0.25)))
            day += rng.gamma(shape, gap / shape) + 0.5
    frame = pl.DataFrame(rows, schema=["who", "at", "paid"], orient="row")
    return LogHistory(log_of(frame, customer="who", time="at", amount="paid"))


def _at(history: LogHistory, day: int, until: int) -> Standing:
    seen = view(history, day, within_days=LONGEST_DAYS, window=(0.0, 90.0)).of(SCALE_FREE)
    return standing_of(history, seen, fixed=False, until=until)


def shared_model(seed: int) -> LogHazard:
    """Learnt from the simulated businesses."""
    past = []
    for number, rhythm_days in enumerate(_RHYTHMS_DAYS):
        history = simulated(rhythm_days, customers=900, days=730, seed=seed + 11 * number)
        end = history.log.days - 1
        past += [_at(history, day, end) for day in range(150, end - HORIZON_DAYS + 1, 60)]
    return log_hazard(past, seed=seed)


def judge(history: LogHistory, sizes: Sequence[int], seed: int) -> dict[str, Any]:
    """By size of the business: AUC and log loss of each way, mean over three origins."""
    end = history.log.days - 1
    tests = [end - HORIZON_DAYS - 30 * number for number in range(3)]
    if tests[-1] < 90 + HORIZON_DAYS + 60:
        raise TooFewData(f"{history.log.days} days are too short for a cold start to be tested.")
    shared = shared_model(seed)
    rows: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    tiers: dict[int, list[str]] = {size: [] for size in sizes}
    for test in tests:
        days = list(range(test - 30, 89, -30))[::-1]
        closed = [day for day in days if day + HORIZON_DAYS <= test]
        cut = closed[-2:]
        past = {day: _at(history, day, test) for day in days}
        trial = {day: _at(history, day, cut[0]) for day in days if day < cut[0]}
        now = _at(history, test, end)
        event = now.found.churned_within(HORIZON)
        silence = now.seen.recency_days / now.limit_days
        for size in sizes:
            chosen = np.random.default_rng(seed + size).permutation(len(history.log.customers))
            known = chosen[:size] if size else chosen[:0]
            own = [_only(each, known) for each in past.values()]
            before = [_only(each, known) for each in trial.values()]
            model = tiered(shared, own, before, seed=seed)
            told = model.predict(now.seen, now.limit_days).within(HORIZON)
            zero = shared.predict(now.seen, now.limit_days).within(HORIZON)
            rows[size].append(
                {
                    "silence_auc": auc(event, silence) or 0.5,
                    "shared_auc": auc(event, zero) or 0.5,
                    "shared_log_loss": log_loss(event, zero),
                    "ours_auc": auc(event, told) or 0.5,
                    "ours_log_loss": log_loss(event, told),
                }
            )
            tiers[size].append(NAMES[model.tier])
    return {
        "test_days": tests,
        "sizes": {
            str(size): {name: float(np.mean([one[name] for one in each])) for name in each[0]}
            | {"tiers": tiers[size]}
            for size, each in rows.items()
        },
    }


def _only(standing: Standing, known: np.ndarray[Any, np.dtype[np.int64]]) -> Standing:
    kept = np.isin(standing.seen.customers, known)
    seen: View = standing.seen.where(kept)
    found = replace(standing.found, churn_days=standing.found.churn_days[kept])
    return Standing(seen, standing.limit_days[kept], found)


def main(arguments: Sequence[str]) -> int:
    """Judge, print JSON; 0 fine, 2 a log that won't do."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--customer", required=True)
    parser.add_argument("--time", required=True)
    parser.add_argument("--amount", required=True)
    parser.add_argument("--sizes", type=int, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the only form there is")
    asked = parser.parse_args(arguments)
    try:
        log = read_log(asked.data, customer=asked.customer, time=asked.time, amount=asked.amount)
        told = judge(LogHistory(log), asked.sizes or SIZES, asked.seed)
    except KeepwellError as error:
        return refused(error, as_json=asked.json)
    print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
