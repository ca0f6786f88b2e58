"""Who misses an appointment: the clinic's log, split in time.

    python -m benchmarks.no_show --data medical_noshow_kagglev2_2016.csv.gz --json

Learnt from appointments before 30 May 2016, judged on those from that day. What is known of a
patient is the outcome of appointments on earlier days.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.churn_table import refused
from benchmarks.early_warning import measures
from churn.blend import mixture
from churn.calibrate import sigmoid
from churn.feature_rows import Array
from churn.logistic import NormalScores, fit
from churn.tabular import read_frame
from engine.errors import InvalidInput, KeepwellError

FIRST_TEST_DAY = date(2016, 5, 30)
_LEAD = "lead_days"
_COLUMNS = {"PatientId", "ScheduledDay", "AppointmentDay", "Age", "Neighbourhood", "No-show"}


def appointments(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per appointment in order of days: what is known when it is due, `missed`, `day`.

    Raises InvalidInput where the file is not the clinic's.
    """
    if not set(frame.columns) >= _COLUMNS:
        raise InvalidInput(f"The file lacks {', '.join(sorted(_COLUMNS - set(frame.columns)))}.")
    flags = ("Scholarship", "Hipertension", "Diabetes", "Alcoholism", "Handcap", "SMS_received")
    rows = frame.select(
        patient="PatientId",
        day=pl.col("AppointmentDay").str.slice(0, 10).str.to_date(),
        booked=pl.col("ScheduledDay").str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S"),
        age=pl.col("Age").cast(pl.Float64),
        is_male=(pl.col("Gender") == "M").cast(pl.Float64),
        place=pl.col("Neighbourhood").rank("dense").cast(pl.Float64),
        missed=pl.col("No-show") == "Yes",
        **{name.lower(): pl.col(name).cast(pl.Float64) for name in flags},
    )
    rows = rows.with_columns(
        (pl.col("day") - pl.col("booked").dt.date()).dt.total_days().cast(pl.Float64).alias(_LEAD),
        booked_hour=pl.col("booked").dt.hour().cast(pl.Float64),
        weekday=pl.col("day").dt.weekday().cast(pl.Float64),
        booked_weekday=pl.col("booked").dt.weekday().cast(pl.Float64),
    ).filter((pl.col(_LEAD) >= 0) & (pl.col("age") >= 0))
    by_day = (
        rows.group_by("patient", "day")
        .agg(due=pl.len().cast(pl.Float64), gone=pl.col("missed").sum().cast(pl.Float64))
        .sort("patient", "day")
        .with_columns(
            seen=(pl.col("due").cum_sum() - pl.col("due")).over("patient"),
            missed_before=(pl.col("gone").cum_sum() - pl.col("gone")).over("patient"),
            last_share=(pl.col("gone") / pl.col("due")).shift(1).over("patient"),
            days_since=(pl.col("day") - pl.col("day").shift(1).over("patient"))
            .dt.total_days()
            .cast(pl.Float64),
        )
        .with_columns(
            # one in five is missed: a prior of two appointments
            missed_share=(pl.col("missed_before") + 0.4) / (pl.col("seen") + 2.0),
        )
        .drop("gone")
    )
    return rows.join(by_day, on=["patient", "day"], how="left").sort("day", "patient", "booked")


def judge(rows: pl.DataFrame, seed: int) -> dict[str, Any]:
    """Ours and the references on the appointments from the first test day."""
    missed = rows["missed"].to_numpy()
    names = [name for name in rows.columns if name not in {"patient", "day", "booked", "missed"}]
    features = rows.select(pl.col(names).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    train = (rows["day"] < FIRST_TEST_DAY).to_numpy()
    if not train.any() or train.all():
        raise InvalidInput(f"No appointments on both sides of {FIRST_TEST_DAY}.")
    days = rows["day"].filter(pl.Series(train)).unique().sort()
    cut = days[int(0.7 * len(days))]
    early, late = train & (rows["day"] < cut).to_numpy(), train & (rows["day"] >= cut).to_numpy()
    trial = _members(features[early], missed[early], features[late], seed)
    weights = mixture(trial, missed[late])
    told = _members(features[train], missed[train], features[~train], seed)
    mixed = np.sum([weight * told[name] for name, weight in weights.items()], axis=0)
    lead = features[:, [names.index(_LEAD)]]
    models = {
        "ours": sigmoid(mixed),
        "logistic_regression": sigmoid(told["logistic"]),
        "lead_time_alone": sigmoid(_logistic(lead[train], missed[train], lead[~train])),
        "majority": np.full(int((~train).sum()), missed[train].mean()),
    }
    return {
        "first_test_day": str(FIRST_TEST_DAY),
        "training_rows": int(train.sum()),
        "test_rows": int((~train).sum()),
        "mixture": weights,
        **{name: measures(missed[~train], each) for name, each in models.items()},
    }


def _members(seen: Array, missed: NDArray[np.bool_], unseen: Array, seed: int) -> dict[str, Array]:
    told = {"logistic": _logistic(seen, missed, unseen)}
    for leaves, trees in ((15, 300), (31, 300)):
        settings = {
            "objective": "binary", "num_leaves": leaves, "learning_rate": 0.05,
            "min_data_in_leaf": 60, "lambda_l2": 5.0, "feature_fraction": 0.6,
            "bagging_fraction": 0.8, "bagging_freq": 1, "deterministic": True,
            "force_row_wise": True, "num_threads": 1, "seed": seed, "verbosity": -1,
        }  # fmt: skip
        booster = lgb.train(settings, lgb.Dataset(seen, label=missed), num_boost_round=trees)
        told[f"trees-{leaves}"] = np.asarray(booster.predict(unseen, raw_score=True))
    return told


def _logistic(seen: Array, missed: NDArray[np.bool_], unseen: Array) -> Array:
    normal = NormalScores.of(seen)
    return fit(normal.design(seen), missed, penalty=20.0).log_odds(normal.design(unseen))


def main(arguments: Sequence[str]) -> int:
    """Judge, print JSON; 0 fine, 2 a file that won't do."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.no_show")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the only form there is")
    asked = parser.parse_args(arguments)
    try:
        told = judge(appointments(read_frame(asked.data)), asked.seed)
    except KeepwellError as error:
        return refused(error, as_json=asked.json)
    print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
