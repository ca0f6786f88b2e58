"""Who leaves, judged on any table with one row per customer.

    python -m benchmarks.churn_table --data FILE --target COLUMN --positive VALUE \\
        --folds 5 --seed 0 --json

Stratified folds; everything that is chosen is chosen inside the training folds. Each measure is the
mean over the folds, `ece` that of all held-out rows together. Ours and what others would run see
the same rows and columns of the same folds in the same process.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Printed
from sklearn.model_selection import StratifiedKFold

from benchmarks.table_references import REFERENCES
from churn.feature_rows import Array
from churn.metrics import (
    at_threshold,
    auc,
    ece,
    precision_at_recall,
    recall_at_precision,
    scores,
    top_decile_lift,
)
from churn.table_model import fit_table
from churn.tabular import Table, read_frame, table_of
from engine.errors import InvalidInput, KeepwellError

# A column that tells the outcome by itself is the outcome under another name until explained.
SUSPICIOUS_AUC = 0.95
# Tables whose honest ceiling is known: above it something of the outcome has leaked in.
CEILINGS = {frozenset({"customerID", "tenure", "Contract", "TotalCharges", "Churn"}): 0.87}
LEAK = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """The measures of one model, and its held-out probabilities in the order of the table."""

    measures: dict[str, float]
    probability: Array


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out for a table: ours first."""

    table: Table
    models: dict[str, Judged]
    weights: list[dict[str, float]]


def judge(table: Table, *, folds: int, seed: int, references: Sequence[str] = ()) -> Verdict:
    """Ours and the references on the same stratified folds.

    Raises InvalidInput where a class has fewer rows than there are folds.
    """
    smaller = int(min(table.event.sum(), (~table.event).sum()))
    if not 2 <= folds <= smaller:
        raise InvalidInput(
            f"{folds} folds asked; the rarer class has {smaller} rows.",
            hint=f"Ask for 2 to {smaller} folds.",
        )
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    parts = list(split.split(np.zeros(table.event.size), table.event))
    told = {name: np.zeros(table.event.size) for name in ("ours", *references)}
    weights = []
    for train, test in parts:
        model = fit_table(table, train, seed=seed)
        weights.append(model.weights)
        told["ours"][test] = model.probability(table, test)
        for name in references:
            told[name][test] = REFERENCES[name](table, train, test, seed)
    tests = [test for _, test in parts]
    return Verdict(
        table,
        {name: Judged(_measures(table, each, tests), each) for name, each in told.items()},
        weights,
    )


def _measures(table: Table, probability: Array, tests: Sequence[Array]) -> dict[str, float]:
    found: list[dict[str, float]] = []
    for test in tests:
        event, told = table.event[test], probability[test]
        of_fold = asdict(scores(event, told))
        found.append(
            {name: of_fold[name] for name in _SCORES}
            | at_threshold(event, told, 0.5)
            | {
                "top_decile_lift": top_decile_lift(event, told),
                "precision_at_85_recall": precision_at_recall(event, told, 0.85),
                "recall_at_50_precision": recall_at_precision(event, told, 0.5),
            }
        )
    means = {name: float(np.mean([each[name] for each in found])) for name in found[0]}
    means["ece"] = ece(table.event, probability)
    means["auc_sd"] = float(np.std([each["auc"] for each in found]))
    return means


_SCORES = ("auc", "log_loss", "brier", "accuracy", "majority_accuracy")
SHOWN = (
    "auc", "log_loss", "brier", "ece", "accuracy", "majority_accuracy", "recall", "precision",
    "top_decile_lift",
)  # fmt: skip


def suspicious_columns(table: Table) -> dict[str, float]:
    """Columns that rank the outcome by themselves, and their AUC."""
    known: dict[str, float] = {}
    for name, values in table.numbers.items():
        told = auc(table.event, np.nan_to_num(values, nan=float(np.nanmedian(values))))
        known[name] = max(told or 0.5, 1 - (told or 0.5))
    for name, codes in table.categories.items():
        rate = np.bincount(codes + 1, weights=table.event) / np.maximum(np.bincount(codes + 1), 1)
        if np.unique(codes).size <= 30:
            known[name] = auc(table.event, rate[codes + 1]) or 0.5
    return {name: each for name, each in known.items() if each > SUSPICIOUS_AUC}


def ceiling_of(columns: Sequence[str]) -> float | None:
    """The AUC above which a known table must have leaked; None for a table nobody knows."""
    found = [most for names, most in CEILINGS.items() if names <= set(columns)]
    return found[0] if found else None


def document(verdict: Verdict, *, folds: int, seed: int, ceiling: float | None) -> dict[str, Any]:
    """The verdict as JSON."""
    table = verdict.table
    ours, *others = verdict.models
    auc_ours = verdict.models[ours].measures["auc"]
    return {
        "rows": int(table.event.size),
        "rows_read": table.rows_read,
        "duplicates_removed": table.duplicates,
        "positives": int(table.event.sum()),
        "columns": {"numbers": list(table.numbers), "categories": list(table.categories)},
        "columns_left_out": table.left_out,
        "suspicious_columns": suspicious_columns(table),
        "folds": folds,
        "seed": seed,
        "ours": verdict.models[ours].measures,
        "references": {name: verdict.models[name].measures for name in others},
        "mixtures": verdict.weights,
        "auc_ceiling": ceiling,
        "leak": ceiling is not None and auc_ours > ceiling,
    }


def main(arguments: Sequence[str]) -> int:
    """Judge, print; 0 fine, 2 a table or option that won't do, 3 an AUC only a leak can give."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.churn_table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="CSV (.gz too) or Parquet")
    parser.add_argument("--target", required=True)
    parser.add_argument("--positive", required=True, help="the target's value of those who left")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        frame = read_frame(asked.data)
        table = table_of(frame, asked.target, asked.positive)
        verdict = judge(table, folds=asked.folds, seed=asked.seed, references=tuple(REFERENCES))
    except KeepwellError as error:
        return refused(error, as_json=asked.json)
    told = document(verdict, folds=asked.folds, seed=asked.seed, ceiling=ceiling_of(frame.columns))
    if asked.json:
        print(json.dumps(told, indent=2))
    else:
        _show(told)
    if told["leak"]:
        print(
            f"AUC {told['ours']['auc']:.3f} is above {told['auc_ceiling']}, which nothing honest "
            "reaches on this table: something of the outcome has leaked into the columns.",
            file=sys.stderr,
        )
        return LEAK
    return 0


def refused(error: KeepwellError, *, as_json: bool) -> int:
    """Say what won't do and how to mend it; the exit code of a usage error."""
    if as_json:
        print(json.dumps({"error": error.code, "message": error.message, "hint": error.hint}))
    print(f"{error.message} {error.hint or ''}".strip(), file=sys.stderr)
    return 2


def _show(told: dict[str, Any]) -> None:
    printed = Printed(box=None, pad_edge=False)
    printed.add_column("model")
    for name in SHOWN:
        printed.add_column(name, justify="right")
    for name, measures in {"ours": told["ours"], **told["references"]}.items():
        printed.add_row(name, *(f"{measures[each]:.4f}" for each in SHOWN))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 170)
    console.print(printed)
    for name, why in told["columns_left_out"].items():
        console.print(f"left out: {name} ({why})", markup=False)
    for name, found in told["suspicious_columns"].items():
        console.print(f"{name} alone has AUC {found:.3f}: is it known beforehand?", markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
