"""Replay learners over any randomised log, beside fixed arms, chance and a supervised model.

    python -m benchmarks.replay --data hillstrom.csv.gz --action treatment --reward visit \\
        --context recency,history_segment,history,mens,womens,zip_code,newbie,channel --json

A row counts for a learner where it chooses the arm that was logged (Li, Chu, Langford and Wang,
WSDM 2011), weighted by 1 / P(that arm); it learns from those rows alone, a batch at a time. The
order of the rows is shuffled `--orders` times. Learners and the supervised model are also judged
by a doubly robust difference to the best fixed arm on the same rows, each fold by what was learned
on the others.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bandits.hierarchy import learned_spreads, posterior
from bandits.off_policy import Estimate, cross_fitted, difference, evaluate, folds_of, sums_of
from benchmarks.action_log import ActionLog, read_log
from benchmarks.replay_contenders import Make, contenders, selection_shares
from benchmarks.supervised import argmax_policy

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEAST_BATCH, _BATCHES = 500, 128
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; what does not apply to it is None.

    Attributes:
        value: mean reward, over all orders for learners.
        half_width: of its 95 % interval, from the rewards of one order.
        second_half: mean over orders of the second half of each.
        worst_order: the lowest second half of all orders.
        share: value / value of the best fixed arm.
        minus_best: DR difference to the best fixed arm, paired.
        effective_sample: rows the figure rests on.
    """

    policy: str
    value: float
    half_width: float
    second_half: float | None
    worst_order: float | None
    lowest_value: float | None
    share: float
    minus_best: Estimate | None
    effective_sample: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        minus = self.minus_best
        return {
            "policy": self.policy,
            "value": self.value,
            "interval": [self.value - self.half_width, self.value + self.half_width],
            "second_half": self.second_half,
            "worst_order_second_half": self.worst_order,
            "lowest_value_of_an_order": self.lowest_value,
            "share_of_best_fixed": self.share,
            "dr_minus_best_fixed": None if minus is None else minus.value,
            "dr_minus_best_fixed_interval": None if minus is None else [minus.low, minus.high],
            "effective_sample": self.effective_sample,
        }


def replayed(log: ActionLog, make: Make, *, orders: int, seed: int) -> dict[str, float]:
    """Value, half width, second half, worst order and effective sample of one learner."""
    batch = max(_LEAST_BATCH, -(-len(log.actions) // _BATCHES))
    values, halves, errors, sizes = [], [], [], []
    for number in range(orders):
        order = np.random.default_rng([seed, number]).permutation(len(log.actions))
        learner = make(log, 1000 * seed + number)
        matched = []
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            hit = rows[learner.choose(rows) == log.actions[rows]]
            if len(hit):
                learner.learn(hit)
            matched.append(hit)
        values.append(_mean(log, np.concatenate(matched)))
        halves.append(_mean(log, np.concatenate(matched[len(matched) // 2 :])))
        rows = np.concatenate(matched)
        weight = 1.0 / log.probability[rows]
        terms = weight * (log.rewards[rows] - values[-1]) / weight.mean()
        errors.append(terms.std() / np.sqrt(len(rows)))
        sizes.append(weight.sum() ** 2 / (weight**2).sum())
    return {
        "value": float(np.mean(values)),
        "half_width": 1.96 * float(np.mean(errors)),
        "second_half": float(np.mean(halves)),
        "worst_order": float(np.min(halves)),
        "lowest_value": float(np.min(values)),
        "effective_sample": float(np.mean(sizes)),
    }


def _mean(log: ActionLog, rows: IntArray) -> float:
    weight = 1.0 / log.probability[rows]
    return float((weight * log.rewards[rows]).sum() / weight.sum()) if len(rows) else 0.0


def fitted_policy(log: ActionLog) -> FloatArray:
    """Keepwell's selection probabilities, (n, k), each fold's learned from the others."""
    fold = folds_of(len(log.actions), None, folds=_FOLDS, seed=0)
    scale = max(float(np.abs(log.rewards).max()), 1e-12)
    policy = np.empty((len(log.actions), len(log.arms)))
    for number in range(_FOLDS):
        inside = fold != number
        sums = sums_of(
            log.contexts[inside], log.actions[inside], log.rewards[inside] / scale, len(log.arms)
        )
        known = posterior(sums, log.groups, learned_spreads(sums, log.groups))
        policy[~inside] = selection_shares(known, log.contexts[~inside], 0.0, 0.0)
    return np.asarray(policy / policy.sum(axis=1, keepdims=True))


def compare(log: ActionLog, *, orders: int, seed: int) -> list[Row]:
    """All lines: the fixed arms, chance, the supervised model, the learners."""
    n, k = len(log.actions), len(log.arms)
    model = cross_fitted(log.contexts, log.log, log.groups)
    fixed = [np.broadcast_to(np.eye(k)[arm], (n, k)) for arm in range(k)]
    found = [evaluate(log.log, each, model) for each in fixed]
    trusted = [each.snips.value if each.effective_sample >= 30 else -np.inf for each in found]
    best = int(np.argmax(trusted))
    top = found[best].snips.value
    rows = []

    def off_policy(name: str, policy: FloatArray, *, robust: bool) -> None:
        judged = evaluate(log.log, policy, model)
        value = judged.dr if robust else judged.snips
        minus = difference(log.log, policy, fixed[best], model)
        rows.append(Row(name, value.value, value.half_width, None, None, None,
                        value.value / top, minus, judged.effective_sample))  # fmt: skip

    off_policy(f"best fixed arm: {log.arms[best]}", fixed[best], robust=False)
    off_policy("uniform", np.full((n, k), 1.0 / k), robust=False)
    off_policy("LightGBM per arm, argmax (DR)", argmax_policy(log), robust=True)
    ours = fitted_policy(log)
    off_policy("keepwell, as learned from all (DR)", ours, robust=True)
    minus = difference(log.log, ours, fixed[best], model)
    for name, make in contenders(log).items():
        print(f"replaying {name} …", file=sys.stderr, flush=True)
        run = replayed(log, make, orders=orders, seed=seed)
        rows.append(Row(name, run["value"], run["half_width"], run["second_half"],
                        run["worst_order"], run["lowest_value"], run["value"] / top,
                        minus if name == "keepwell" else None,
                        run["effective_sample"]))  # fmt: skip
    return rows


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False)
    for column in ("policy", "value", "±", "second half", "worst order", "of best",
                   "minus best (DR)", "effective n"):  # fmt: skip
        table.add_column(column, justify="left" if column == "policy" else "right", no_wrap=True)
    for row in rows:
        minus = row.minus_best
        table.add_row(
            row.policy, f"{row.value:.5f}", f"{row.half_width:.5f}",
            *("" if each is None else f"{each:.5f}" for each in (row.second_half, row.worst_order)),
            f"{row.share:.3f}",
            "" if minus is None else f"{minus.value:+.5f} ({minus.low:+.5f} to {minus.high:+.5f})",
            f"{row.effective_sample:,.0f}",
        )  # fmt: skip
    Console(highlight=False, width=None if sys.stdout.isatty() else 170).print(table)


def main(arguments: Sequence[str]) -> int:
    """Read, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay",
                                     description=(__doc__ or "").partition("\n")[0])  # fmt: skip
    parser.add_argument("--data", type=Path, required=True, help="CSV, CSV.gz or Parquet")
    parser.add_argument("--action", required=True, help="column: what was done")
    parser.add_argument("--reward", required=True, help="column: a number, higher is better")
    parser.add_argument("--propensity", help="column: P(the action), where it was not constant")
    parser.add_argument("--context", default="", help="columns, separated by commas")
    parser.add_argument("--orders", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    log = read_log(
        asked.data, action=asked.action, reward=asked.reward, propensity=asked.propensity,
        context=[name.strip() for name in asked.context.split(",") if name.strip()],
    )  # fmt: skip
    rows = compare(log, orders=asked.orders, seed=asked.seed)
    note = (
        f"{len(log.actions):,} rows, {len(log.arms)} arms, {asked.orders} orders, "
        f"probabilities: {log.note}; {time.monotonic() - began:.0f} seconds"
    )
    if asked.json:
        print(json.dumps({"note": note, "policies": [row.as_dict() for row in rows]}, indent=2))
    else:
        show(rows)
        print(note)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
