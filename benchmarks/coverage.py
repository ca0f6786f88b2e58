"""How often 95 % intervals of off-policy values cover the truth, on simulated logs.

    python -m benchmarks.coverage [--logs 1000] [--rows 2000] [--json]

Synthetic: four arms whose yes-or-no reward depends on two of four context numbers, logged by a
policy that prefers the arm it believes in and keeps a floor; the value of the best policy is asked.
"""

import argparse
import json
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bandits.off_policy import Log, cross_fitted, evaluate

FloatArray = NDArray[np.float64]

ARMS = 4
_FLOOR = 0.1
_ESTIMATORS = ("ips", "snips", "dr", "switch")


def _rates(x: FloatArray) -> FloatArray:
    base = np.array([0.08, 0.12, 0.10, 0.14])
    slope = np.array([[0.10, 0.0], [-0.05, 0.05], [0.0, 0.12], [-0.08, 0.0]])
    return np.asarray(np.clip(base + (x[:, 1:3] - 0.5) @ slope.T, 0.01, 0.9))


def simulated(rows: int, seed: int) -> tuple[Log, FloatArray, FloatArray, FloatArray]:
    """A log, its contexts (n, 4), the logging policy and the best policy, (n, k)."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(rows), rng.random((rows, 3))])
    rates = _rates(x)
    believed = rates + np.array([0.03, -0.02, 0.0, 0.01])
    scores = np.exp(believed * 20.0)
    logging = (1.0 - _FLOOR) * scores / scores.sum(axis=1, keepdims=True) + _FLOOR / ARMS
    actions = (logging.cumsum(axis=1) < rng.random(rows)[:, None]).sum(axis=1).clip(0, ARMS - 1)
    at = np.arange(rows)
    rewards = (rng.random(rows) < rates[at, actions]).astype(np.float64)
    best = np.eye(ARMS)[rates.argmax(axis=1)]
    return Log(actions.astype(np.int64), rewards, logging[at, actions], ARMS), x, logging, best


def covered(*, logs: int, rows: int, seed: int) -> dict[str, float]:
    """Share of the logs whose interval holds the best policy's true value, by estimator."""
    many = np.random.default_rng(99).random((200_000, 4))
    many[:, 0] = 1.0
    truth = float(_rates(many).max(axis=1).mean())
    hits = dict.fromkeys(_ESTIMATORS, 0)
    for number in range(logs):
        log, x, _, best = simulated(rows, seed * 100_003 + number)
        found = evaluate(log, best, cross_fitted(x, log, np.arange(4), folds=2, seed=number))
        for name in _ESTIMATORS:
            estimate = getattr(found, name)
            hits[name] += estimate.low <= truth <= estimate.high
    return {name: hit / logs for name, hit in hits.items()}


def main(arguments: Sequence[str]) -> int:
    """Print the shares; exit 1 if the doubly robust one lies outside 93 to 97 %."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage")
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    shares = covered(logs=asked.logs, rows=asked.rows, seed=asked.seed)
    if asked.json:
        print(json.dumps(shares, indent=2))
    else:
        for name, share in shares.items():
            print(f"{name:8} {share:.1%} of {asked.logs:,} logs of {asked.rows:,} rows covered")
    return 0 if all(0.93 <= shares[name] <= 0.97 for name in ("snips", "dr")) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
