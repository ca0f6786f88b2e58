"""Who is leaving, weeks ahead, judged on any transaction log.

    python -m benchmarks.early_warning --data FILE --customer COLUMN --time COLUMN \\
        --amount COLUMN --horizon-days 60 --lead-days 30 --seed 0 --json

Strict lead: at an origin nothing later is seen, and who makes no purchase between `lead` and
`lead + horizon` days after it has left. Three test origins, 30 days apart, the last one as late as
the log allows; each model learns from every origin whose window had closed by then. Populations:
`recent` bought within the last 90 days (longer where customers come less often), `regular` also on
three days or more. Declared churn and alerts (see the keys of the same name) are measured on the
same log.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table as Printed

from benchmarks.churn_table import SHOWN, refused
from benchmarks.log_declared import declared, episodes
from benchmarks.log_references import references
from churn.feature_rows import Array
from churn.log_features import LogHistory, view
from churn.log_labels import silent_window
from churn.log_models import Labelled, early_warning
from churn.metrics import (
    at_threshold,
    precision_at_recall,
    recall_at_precision,
    scores,
    top_decile_lift,
)
from churn.transaction_log import read_log
from engine.errors import InvalidInput, KeepwellError, TooFewData

RECENT_DAYS = 90
REGULAR_VISITS = 3
STEP_DAYS = 30
TEST_ORIGINS = 3
LEAST_ORIGINS = 2


@dataclass(frozen=True, slots=True)
class Window:
    lead_days: int
    horizon_days: int

    @property
    def closes_after(self) -> int:
        return self.lead_days + self.horizon_days


def recent_days(history: LogHistory) -> int:
    """How long ago a customer may have come and still be asked about."""
    gaps = history.gaps[~np.isnan(history.gaps)]
    usual = float(np.median(gaps)) if gaps.size else 0.0
    return int(max(RECENT_DAYS, min(1.5 * usual, history.log.days / 4)))


def origins_of(history: LogHistory, window: Window) -> tuple[list[int], int]:
    """Test origins, latest first, and the days between training origins.

    Raises InvalidInput where the log is too short for two closed training origins.
    """
    last = history.log.days - 1 - window.closes_after
    for step in (STEP_DAYS, 14, 7):
        first = 90 if step == STEP_DAYS else 3 * step
        tests = [
            last - STEP_DAYS * k
            for k in range(TEST_ORIGINS)
            if (last - STEP_DAYS * k - window.closes_after - first) >= step * (LEAST_ORIGINS - 1)
        ]
        if tests:
            return tests, step
    needed = 2 * window.closes_after + 3 * 7 + 7 * (LEAST_ORIGINS - 1)
    raise InvalidInput(
        f"The log spans {history.log.days} days: too short to learn and to test with "
        f"{window.lead_days} days of lead and {window.horizon_days} of horizon.",
        hint=f"It takes {needed} days, or a shorter horizon.",
    )


def labelled(history: LogHistory, origin: int, window: Window, within: int) -> Labelled:
    seen = view(
        history,
        origin,
        within_days=within,
        window=(float(window.lead_days), float(window.closes_after)),
    )
    gone = silent_window(history, seen, after_days=window.lead_days, for_days=window.horizon_days)
    return Labelled(seen, gone, origin + window.closes_after)


def judge(history: LogHistory, window: Window, seed: int) -> dict[str, Any]:
    """Ours and the references, by population, mean over the test origins."""
    tests, step = origins_of(history, window)
    within = recent_days(history)
    first = 90 if step == STEP_DAYS else 3 * step
    made: dict[int, Labelled] = {}

    def at(origin: int) -> Labelled:
        if origin not in made:
            made[origin] = labelled(history, origin, window, within)
        return made[origin]

    found: dict[str, dict[str, list[dict[str, float]]]] = {"recent": {}, "regular": {}}
    mixtures = []
    for test in tests:
        past = [at(day) for day in range(test - window.closes_after, first - 1, -step)][::-1]
        past = [each for each in past if each.gone.size]
        now = at(test)
        if not past or np.unique(np.concatenate([each.gone for each in past])).size < 2:
            raise TooFewData("In the log's past windows all customers came back, or none did.")
        model = early_warning(past, seed=seed)
        mixtures.append({"test_day": test, **model.weights, "slope": model.slope,
                         "intercept": model.intercept, "origins": len(past)})  # fmt: skip
        told = {"ours": model.probability(now.seen), **references(past, now.seen)}
        populations = {
            "recent": np.ones(now.gone.size, dtype=np.bool_),
            "regular": now.seen.visits >= REGULAR_VISITS,
        }
        for name, rows in populations.items():
            if np.unique(now.gone[rows]).size == 2:
                for model_name, each in told.items():
                    measured = measures(now.gone[rows], each[rows])
                    found[name].setdefault(model_name, []).append(measured)
    populations_told = {
        name: {
            model: {key: float(np.mean([one[key] for one in each])) for key in each[0]}
            for model, each in models.items()
        }
        for name, models in found.items()
    }
    return {
        "test_days": tests,
        "recent_days": within,
        "origin_step_days": step,
        "populations": populations_told,
        "mixtures": mixtures,
    }


def measures(gone: NDArray[np.bool_], probability: Array) -> dict[str, float]:
    of_all = asdict(scores(gone, probability))
    return (
        {name: float(value) for name, value in of_all.items()}
        | at_threshold(gone, probability, 0.5)
        | {
            "top_decile_lift": top_decile_lift(gone, probability),
            "precision_at_85_recall": precision_at_recall(gone, probability, 0.85),
            "recall_at_50_precision": recall_at_precision(gone, probability, 0.5),
        }
    )


def document(history: LogHistory, window: Window, seed: int) -> dict[str, Any]:
    """Everything, as JSON; `ours` and `references` are those of the recent customers."""
    log = history.log
    told = judge(history, window, seed)
    recent = dict(told["populations"]["recent"])
    extra: dict[str, Any] = {}
    for name, measure in (("declared_churn", declared), ("episodes", episodes)):
        try:
            extra[name] = measure(history, seed)
        except TooFewData as error:
            extra[name] = {"not_measured": error.message}
    return {
        "log": {
            "rows_read": log.rows_read,
            "rows_left_out": log.rows_left_out,
            "customers": len(log.customers),
            "visit_days": int(log.day.size),
            "days": log.days,
        },
        "lead_days": window.lead_days,
        "horizon_days": window.horizon_days,
        "seed": seed,
        "ours": recent.pop("ours", None),
        "references": recent,
        **told,
        **extra,
    }


def main(arguments: Sequence[str]) -> int:
    """Judge, print; 0 fine, 2 a log or option that won't do."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.early_warning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="CSV (.gz too) or Parquet")
    parser.add_argument("--customer", required=True)
    parser.add_argument("--time", required=True)
    parser.add_argument("--amount", required=True)
    parser.add_argument("--horizon-days", type=int, default=60)
    parser.add_argument("--lead-days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        if asked.horizon_days < 1 or asked.lead_days < 0:
            raise InvalidInput("The horizon must be a day or more and the lead not negative.")
        log = read_log(asked.data, customer=asked.customer, time=asked.time, amount=asked.amount)
        window = Window(asked.lead_days, asked.horizon_days)
        told = document(LogHistory(log), window, asked.seed)
    except KeepwellError as error:
        return refused(error, as_json=asked.json)
    if asked.json:
        print(json.dumps(told, indent=2))
    else:
        _show(told)
    return 0


def _show(told: dict[str, Any]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 190)
    for population, models in told["populations"].items():
        printed = Printed(box=None, pad_edge=False, title=f"{population} customers")
        printed.add_column("model")
        for name in (*SHOWN, "precision_at_85_recall"):
            printed.add_column(name, justify="right")
        for model, each in models.items():
            cells = (each[name] for name in (*SHOWN, "precision_at_85_recall"))
            printed.add_row(model, *(f"{cell:.4f}" for cell in cells))
        console.print(printed)
    for name in ("declared_churn", "episodes"):
        console.print(name, json.dumps(told[name], indent=1), markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
