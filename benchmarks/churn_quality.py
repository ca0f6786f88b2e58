"""How well churn is told on public data, beside what others would run, with the value to reach.

    python -m benchmarks.churn_quality [--json]

The same figures stand in `python -m benchmarks --only churn`. Splits, definitions and seeds are
those of the commands that judge any file of the same shape: `benchmarks.churn_table`,
`benchmarks.early_warning`, `benchmarks.no_show`. Without the data there is no figure, and a note.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.churn_table import ceiling_of, judge
from benchmarks.early_warning import Window
from benchmarks.early_warning import judge as judge_log
from benchmarks.figures import Figure, Measured
from benchmarks.log_declared import declared, episodes
from benchmarks.log_value import value
from benchmarks.no_show import appointments
from benchmarks.no_show import judge as judge_no_show
from benchmarks.practice import World
from benchmarks.real_data import real_file
from churn.log_features import LogHistory
from churn.tabular import read_frame, table_of
from churn.transaction_log import read_log

TELCO = "telco_customer_churn.csv"
SHOP = "online_retail_ii_invoices.csv.gz"
CLINIC = "medical_noshow_kagglev2_2016.csv.gz"
_UNITS = {
    "auc": ("AUC", "higher"),
    "accuracy": ("accuracy", "higher"),
    "precision_at_85_recall": ("precision", "higher"),
    "log_loss": ("nats", "lower"),
    "brier": ("Brier", "lower"),
    "ece": ("ECE", "lower"),
}
_DECLARED = {  # days: AUC, accuracy, ECE to reach
    60: (0.968, 0.916, 0.031),
    90: (0.933, 0.858, 0.031),
    120: (0.891, 0.804, 0.031),
}


def _figure(
    name: str, measure: str, ours: float, reference: float, against: str, *, reach: float | None
) -> Figure:
    unit, better = _UNITS.get(measure, (measure, "higher"))
    return Figure(
        area="churn",
        name=name,
        value=ours,
        unit=unit,
        reference=reference,
        against=against,
        better="lower" if better == "lower" else "higher",
        reach=reach,
    )


def telco() -> Measured:
    """Telephone customers, five folds by the seed 42."""
    path = real_file(TELCO)
    if path is None:
        return Measured((), (f"churn: {TELCO} is absent, telco is not measured.",))
    frame = read_frame(path)
    verdict = judge(
        table_of(frame, "Churn", "Yes"),
        folds=5,
        seed=42,
        references=("majority", "logistic_regression"),
    )
    told = {name: model.measures for name, model in verdict.models.items()}
    others = "logistic regression, one-hot"
    reach = {"auc": 0.849, "log_loss": 0.413, "brier": 0.134, "ece": 0.016}
    figures = [
        _figure(
            f"telco, 5 folds: {name}",
            name,
            told["ours"][name],
            told["logistic_regression"][name],
            others,
            reach=bar,
        )
        for name, bar in reach.items()
    ]
    figures.append(
        _figure(
            "telco, 5 folds: accuracy",
            "accuracy",
            told["ours"]["accuracy"],
            told["majority"]["accuracy"],
            "the majority",
            reach=0.806,
        )
    )
    ceiling = ceiling_of(frame.columns) or 1.0
    figures.append(
        Figure(
            area="churn",
            name="telco: no leak",
            value=told["ours"]["auc"],
            unit="AUC",
            reference=ceiling,
            against="what only a leak can reach",
            better="lower",
            reach=ceiling,
        )
    )
    return Measured(tuple(figures))


def shop_history() -> LogHistory | None:
    """The gift wholesaler's invoices."""
    path = real_file(SHOP)
    if path is None:
        return None
    return LogHistory(read_log(path, customer="CustomerID", time="InvoiceDate", amount="amount"))


def early(history: LogHistory) -> Measured:
    """Strict lead of 30 days, horizons of 90 and 60."""
    reach = {
        (90, "regular"): {"auc": 0.775, "precision_at_85_recall": 0.415, "log_loss": 0.505},
        (90, "recent"): {"auc": 0.785},
        (60, "regular"): {"auc": 0.765},
        (60, "recent"): {"auc": 0.764},
    }
    figures = []
    for horizon in (90, 60):
        told = judge_log(history, Window(30, horizon), seed=0)["populations"]
        for population in ("regular", "recent"):
            models = told[population]
            figures += [
                _figure(
                    f"shop, 30 days ahead, {horizon} silent, {population}: {name}",
                    name,
                    models["ours"][name],
                    models["bg_nbd"][name],
                    "BG/NBD",
                    reach=bar,
                )
                for name, bar in reach[horizon, population].items()
            ]
    return Measured(tuple(figures))


def declared_churn(history: LogHistory) -> Measured:
    """By the customer's own interval: chances, date, alerts."""
    told = declared(history, 0)
    figures = []
    for days, (auc, accuracy, ece) in _DECLARED.items():
        found = told["horizons"][str(days)]
        name = f"shop, declared within {days} days"
        silence, majority = found["silence_share_auc"], found["majority_accuracy"]
        figures += [
            _figure(f"{name}: auc", "auc", found["auc"], silence, "silence / limit", reach=auc),
            _figure(
                f"{name}: accuracy",
                "accuracy",
                found["accuracy"],
                majority,
                "the majority",
                reach=accuracy,
            ),
            _figure(f"{name}: ece", "ece", found["ece"], ece, "the value to reach", reach=ece),
        ]
    date = told["churn_date"]["within_7_days"]
    figures.append(
        _figure("shop, churn date within 7 days", "share", date, 0.92, "to reach", reach=0.92)
    )
    falling = float(told["probabilities_that_fall_with_the_horizon"])
    figures.append(
        Figure("churn", "shop, chances that fall with the horizon", falling, "customers", 0.0,
               "none", better="lower", reach=0.0)
    )  # fmt: skip
    return Measured(tuple(figures))


def alerts(history: LogHistory) -> Measured:
    """Weekly alerts of a frozen model, the threshold fixed beforehand."""
    told = episodes(history, 0)
    figures: list[Figure] = []
    for rule, words in (("fixed_90_days", "90 days"), ("own_interval", "own interval")):
        ours, silence = told[rule]["ours"], told[rule]["silence_at_the_same_recall"]
        against = "silence rule"
        figures += [
            _figure(f"shop, alerts, {words}: {name}", unit, ours[key], silence[key], against,
                    reach=reach)
            for name, unit, key, reach in (
                ("found 30 days early", "recall", "recall", 0.85),
                ("precision", "precision", "precision", 0.60),
                ("median lead", "days", "median_lead_days", 60.0),
                ("found 60 days early", "recall", "recall_60_days", None),
            )
        ]  # fmt: skip
        figures.append(
            Figure("churn", f"shop, alerts, {words}: number", float(ours["alerts"]), "alerts",
                   float(silence["alerts"]), "silence rule at its nearest recall", better="lower")
        )  # fmt: skip
    return Measured(tuple(figures))


def lifetime(history: LogHistory) -> Measured:
    """Money of the next 180 days, net of returns."""
    told = value(history, 0)
    against = "past rate x 180 days"
    ours, past = told["ours"], told["past_rate"]
    return Measured(
        (
            Figure("churn", "shop, value of 180 days: mean error", ours["mae"], "money",
                   past["mae"], against, better="lower", reach=670.0),
            Figure("churn", "shop, value of 180 days: rank", ours["spearman"], "Spearman",
                   past["spearman"], against, better="higher", reach=0.617),
        )
    )  # fmt: skip


def no_show() -> Measured:
    """The clinic's appointments, split in time."""
    path = real_file(CLINIC)
    if path is None:
        return Measured((), (f"churn: {CLINIC} is absent, no-shows are not measured.",))
    told = judge_no_show(appointments(read_frame(path)), 0)
    ours, others = told["ours"], told["logistic_regression"]
    return Measured(
        (
            _figure("clinic, no-show, time split: auc", "auc", ours["auc"], others["auc"],
                    "logistic regression", reach=0.734),
        )
    )  # fmt: skip


def quality() -> Measured:
    """All of them."""
    history = shop_history()
    parts: list[Callable[[], Measured]] = [telco, no_show]
    if history is not None:
        parts += [partial(each, history) for each in (early, declared_churn, alerts, lifetime)]
    notes = () if history else (f"churn: {SHOP} is absent, the shop is not measured.",)
    found = [part() for part in parts]
    return Measured(
        tuple(figure for each in found for figure in each.figures),
        tuple(note for each in found for note in each.notes) + notes,
    )


def measure(_world: World) -> Measured:
    """As an area of `python -m benchmarks`: on files of its own, not on the practice."""
    return quality()


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 if a value is not reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.churn_quality")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    found = quality()
    if asked.json:
        print(json.dumps([figure.as_dict() for figure in found.figures], indent=2))
    else:
        for each in found.figures:
            mark = "" if not each.demand else "ok" if each.ok else "MISSED"
            print(
                f"| {each.name} | {each.value:.4g} | {each.against} | {each.reference:.4g} "
                f"| {each.demand} | {mark} |"
            )
    for note in found.notes:
        print(note, file=sys.stderr)
    return 0 if all(figure.ok for figure in found.figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
