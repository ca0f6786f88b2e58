"""Off-policy evaluation on public logs whose answers are known or published.

    python -m benchmarks.known_answers --folder FOLDER [--json]

Hillstrom's e-mails cut into a confounded log, whose truth the uncut one knows; HeartSteps, whose
effect and its end are published; the small Open Bandit files, where a log with a floor and one
without judge the same policies. Which files: the table of data in the folder's own description.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bandits.off_policy import Log, cross_fitted, difference, evaluate
from benchmarks.action_log import log_of, read_frame

FloatArray = NDArray[np.float64]

_CONTEXT = ["recency", "history_segment", "history", "mens", "womens", "zip_code", "newbie",
            "channel"]  # fmt: skip
_CAMPAIGNS = ("all", "men", "women")
_STUDY_DAYS = 42
_SEND = 0.6  # P(send) in HeartSteps, where the person was available


def confounded(folder: Path) -> dict[str, Any]:
    """The value of the men's e-mail from a log where recent customers got it more often."""
    frame = read_frame(folder / "hillstrom.csv.gz")
    mens = frame.filter(pl.col("treatment") == "Mens E-Mail")
    truth = float(mens["visit"].to_numpy().mean())
    rng = np.random.default_rng(0)
    recent = frame["recency"].to_numpy() <= 6
    is_mens = frame["treatment"].to_numpy() == "Mens E-Mail"
    keep = rng.random(len(frame)) < np.where(is_mens, np.where(recent, 0.9, 0.2), 0.5)
    log = log_of(frame.filter(pl.Series(keep)), action="treatment", reward="visit",
                 propensity=None, context=_CONTEXT)  # fmt: skip
    at = log.arms.index("Mens E-Mail")
    policy = np.broadcast_to(np.eye(len(log.arms))[at], (len(log.actions), len(log.arms)))
    found = evaluate(log.log, policy, cross_fitted(log.contexts, log.log, log.groups))
    naive = float(log.rewards[log.actions == at].mean())
    return {"truth": truth, "naive": naive, "dr": found.dr.value,
            "interval": [found.dr.low, found.dr.high], "snips": found.snips.value,
            "error": found.dr.value - truth, "probabilities": log.note,
            "ok": abs(found.dr.value - truth) <= 0.005}  # fmt: skip


def heartsteps(folder: Path) -> dict[str, Any]:
    """The effect of an activity hint on log steps, by day of the study, and a policy that tires."""
    frame = read_frame(folder / "heartsteps_suggestions.csv.gz")
    numbers = ("jbsteps30", "jbsteps30pre", "decision.index.nogap", "user.index")
    frame = frame.with_columns(pl.col(n).cast(pl.Float64, strict=False) for n in numbers).filter(
        (pl.col("avail").cast(pl.String).str.to_uppercase() == "TRUE")
        & pl.all_horizontal(pl.col(n).is_finite() for n in numbers if n != "jbsteps30pre")
        & (pl.col("decision.index.nogap") < 5 * _STUDY_DAYS)
    )
    sent = (frame["send"].cast(pl.String).str.to_uppercase() == "TRUE").to_numpy().astype(np.int64)
    steps = np.log(frame["jbsteps30"].cast(pl.Float64).to_numpy() + 0.5)
    before = np.log(
        frame["jbsteps30pre"].cast(pl.Float64).fill_null(0.0).fill_nan(0.0).to_numpy() + 0.5
    )
    day = np.floor(frame["decision.index.nogap"].cast(pl.Float64).to_numpy() / 5.0)
    user = frame["user.index"].cast(pl.Int64).to_numpy()
    whole, whole_error = _centred_effect(steps, sent, before, day, user, by_day=False)
    line, line_error = _centred_effect(steps, sent, before, day, user, by_day=True)
    probability = np.where(sent == 1, _SEND, 1.0 - _SEND)
    log = Log(sent, steps, probability, 2, user)
    x = np.column_stack([np.ones(len(steps)), before, day / 42.0, np.zeros(len(steps))])
    model = cross_fitted(x, log, np.arange(4))
    # a hint is worth sending while half of its first effect is left
    half_life = -line[0] / line[1] / 2.0
    tiring = (day < half_life).astype(np.float64)
    always, fatigue = _two(np.ones(len(steps))), _two(tiring)
    loss = difference(log, fatigue, always, model)
    end = -line[0] / line[1]
    return {"decisions": len(steps), "users": len(np.unique(user)),
            "effect": whole[0], "effect_half_width": 1.96 * whole_error[0],
            "at_day_0": line[0], "per_day": line[1],
            "at_day_0_half_width": 1.96 * line_error[0], "ends_on_day": end,
            "published": {"effect": 0.131, "at_day_0": 0.507, "per_day": -0.0185},
            "tiring_policy_sends": float(tiring.mean()),
            "tiring_minus_always": loss.value, "interval": [loss.low, loss.high],
            "ok": abs(end - 28.0) <= 2.0 and tiring.mean() <= 0.5 and loss.high >= 0.0
                  }  # fmt: skip


def _two(send: FloatArray) -> FloatArray:
    return np.column_stack([1.0 - send, send])


def _centred_effect(
    steps: FloatArray, sent: NDArray[np.int64], before: FloatArray, day: FloatArray,
    user: NDArray[np.int64], *, by_day: bool,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Weighted and centred least squares (Boruvka et al. 2018), errors clustered by user."""
    centred = sent - _SEND
    effect = [centred, centred * day] if by_day else [centred]
    design = np.column_stack([*effect, np.ones(len(steps)), before, day])
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ steps
    scores = design * (steps - design @ found)[:, None]
    _, place = np.unique(user, return_inverse=True)
    summed = np.zeros((place.max() + 1, design.shape[1]))
    np.add.at(summed, place, scores)
    errors = np.sqrt(np.diag(inverse @ (summed.T @ summed) @ inverse))
    return found[: len(effect)], errors[: len(effect)]


def open_bandit(folder: Path) -> list[dict[str, Any]]:
    """Each campaign's two logs: the other's policy, and the log's own as a check."""
    rows = []
    for campaign in _CAMPAIGNS:
        logs = {
            kind: read_frame(folder / "obd" / f"obd_{kind}_{campaign}.csv.gz")
            for kind in ("random", "bts")
        }
        arms = (
            int(max(frame["item_id"].cast(pl.Int64).to_numpy().max() for frame in logs.values()))
            + 1
        )
        evenly = np.full((len(logs["bts"]), arms), 1.0 / arms)
        shares = _shares(logs["bts"], arms)
        position = logs["random"]["position"].cast(pl.Int64).to_numpy() - 1
        for asked, frame, policy in (
            ("uniform from the Thompson log", logs["bts"], evenly),
            ("Thompson from the uniform log", logs["random"], shares[position]),
        ):
            log = Log(
                frame["item_id"].cast(pl.Int64).to_numpy(),
                frame["click"].cast(pl.Float64).to_numpy(),
                frame["propensity_score"].cast(pl.Float64).to_numpy(), arms,
            )  # fmt: skip
            found = evaluate(log, np.asarray(policy))
            rows.append(
                {"campaign": campaign, "asked": asked, "verdict": found.verdict,
                 "effective_sample": found.effective_sample, "mean_weight": found.mean_weight,
                 "largest_weight": found.largest_weight, "logged": found.logged.value,
                 "ips": found.ips.value, "ips_half_width": found.ips.half_width,
                 "snips": found.snips.value, "snips_half_width": found.snips.half_width,
                 "reasons": list(found.reasons)}
            )  # fmt: skip
    return rows


def _shares(frame: pl.DataFrame, arms: int) -> FloatArray:
    """How often each item was shown at each position, (positions, arms)."""
    position = frame["position"].cast(pl.Int64).to_numpy() - 1
    counts = np.zeros((int(position.max()) + 1, arms))
    np.add.at(counts, (position, frame["item_id"].cast(pl.Int64).to_numpy()), 1.0)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def main(arguments: Sequence[str]) -> int:
    """Print what was found; exit 1 where a known answer was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.known_answers")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    found: dict[str, Any] = {
        "confounded": confounded(asked.folder),
        "heartsteps": heartsteps(asked.folder),
        "open_bandit": open_bandit(asked.folder),
    }
    if asked.json:
        print(json.dumps(found, indent=2, default=float))
    else:
        for name, rows in found.items():
            for row in rows if isinstance(rows, list) else [rows]:
                told = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
                print(name, told)
    return 0 if found["confounded"]["ok"] and found["heartsteps"]["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
