"""How much of the possible gain a learner takes in synthetic worlds, beside MABWiser's policies.

    python -m benchmarks.regret [--seeds 3] [--days 90] [--a-day 200] [--only WORLD] [--json]

The share is (earned - even choice) / (best allowed combination for each contact - even choice), in
expected rewards, over all days. The oracle knows every contact's own taste; nobody can reach 1.
Each contender decides once a day for all contacts of the day, and sees answers as they come.
MABWiser has a bandit of its own for each factor. It knows no delays, so it is told of a decision
when its answer comes, or when nobody has answered for 14 days; and no masks, so it takes the
highest expectation among the arms that are allowed.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from mabwiser.mab import MAB, LearningPolicy
from rich.console import Console
from rich.table import Table

from bandits.draw import uniforms
from bandits.evidence import Cell, Outcomes, added, tallied
from bandits.fit import Choosing, fitted
from bandits.selection import choose, explored
from bandits.state import HIERARCHICAL, PolicyState, initial_state, with_arms
from benchmarks.learn_worlds import BoolArray, FloatArray, IntArray, World

_FIRST_DAY = 20_000
_WINDOW_DAYS = 14
OURS = "keepwell"

WORLDS: Mapping[str, Callable[[int], World]] = {
    "4 arms": lambda seed: World((4,), seed),
    "56 arms": lambda seed: World((56,), seed),
    "168 arms": lambda seed: World((168,), seed),
    "factorised 8 x 7 x 4 x 10": lambda seed: World((8, 7, 4, 10), seed, interaction=0.15),
    "drifting": lambda seed: World((8, 7, 4, 10), seed, drift=0.03, turn_day=45),
    "sleeping": lambda seed: World((8, 7, 4, 10), seed, asleep=0.5),
    "delayed": lambda seed: World((4, 7), seed, slow=(1.0, 1.0, 8.0, 3.0)),
}
_FACTORISED = ("factorised 8 x 7 x 4 x 10", "drifting", "sleeping", "delayed")


class Learner(Protocol):
    """Chooses for a day's contacts, then hears what became of which decision."""

    def choose(self, day: int, x: FloatArray, allowed: list[BoolArray], /) -> list[IntArray]: ...

    def hear(self, day: int, sent: Sequence["Sent"], answered: Sequence["Answer"]) -> None: ...


class Sent:
    """A day's decisions: contexts and arms by factor."""

    def __init__(self, day: int, x: FloatArray, chosen: list[IntArray]) -> None:
        self.day, self.x, self.chosen = day, x, chosen
        self.answered = np.zeros(len(x), dtype=np.bool_)


Answer = tuple[Sent, IntArray]  # rows of a day's decisions that were answered today


class Keepwell:
    """The product's evidence, fit and choice."""

    def __init__(self, world: World, seed: int) -> None:
        self._names = [tuple(f"a{k:03}" for k in range(size)) for size in world.sizes]
        self._seed = seed
        self._evidence: dict[Cell, FloatArray] = {}
        self._state = initial_state({f"f{f}": n for f, n in enumerate(self._names)})

    def choose(self, day: int, x: FloatArray, allowed: list[BoolArray]) -> list[IntArray]:
        keys = np.arange(len(x), dtype=np.uint64) + np.uint64(day * 1_000_003)
        factors = len(self._names)
        which = explored(keys, self._seed, self._state.floor, factors)
        chosen = []
        for f, mask in enumerate(allowed):
            name = f"f{f}"
            chosen.append(choose(self._state, name, x, mask, uniforms(keys, self._seed, name),
                                 which == f).index)  # fmt: skip
        return chosen

    def hear(self, day: int, sent: Sequence[Sent], answered: Sequence[Answer]) -> None:
        for each in sent[-1:]:
            self._add(each, np.arange(len(each.x)), 0.0, np.nan, 0)
        for each, rows in answered:
            self._add(each, rows, 1.0, 0.0, day - each.day)
        state = fitted(self._evidence, _FIRST_DAY + day, Choosing(HIERARCHICAL))
        for f, names in enumerate(self._names):
            state = with_arms(state, f"f{f}", names)
        self._state = _ordered(state, self._names)

    def _add(self, of: Sent, rows: IntArray, reward: float, previous: float, delay: int) -> None:
        if not len(rows):
            return
        n = len(rows)
        self._evidence = added(
            self._evidence,
            tallied(
                Outcomes(
                    arms={
                        f"f{f}": (names, of.chosen[f][rows]) for f, names in enumerate(self._names)
                    },
                    day=np.full(n, _FIRST_DAY + of.day),
                    context=of.x[rows],
                    reward=np.full(n, reward),
                    previous=np.full(n, previous),
                    delay_days=np.full(n, delay),
                    previous_delay_days=np.zeros(n, dtype=np.int64),
                )
            ),
        )


def _ordered(state: PolicyState, names: Sequence[tuple[str, ...]]) -> PolicyState:
    """The state with each factor's arms in the world's order, which masks and indices have."""
    from dataclasses import replace  # noqa: PLC0415

    factors = {}
    for f, wanted in enumerate(names):
        factor = state.factors[f"f{f}"]
        at = np.array([factor.arms.index(name) for name in wanted])
        factors[f"f{f}"] = replace(
            factor, arms=wanted, precision=factor.precision[at], xty=factor.xty[at],
            observations=factor.observations[at], reward_sum=factor.reward_sum[at],
        )  # fmt: skip
    return replace(state, factors=factors)


class Independent:
    """A MABWiser bandit for each factor."""

    def __init__(
        self, world: World, seed: int, policy: Callable[[], Any], *, contextual: bool
    ) -> None:
        self._bandits = [
            MAB([f"a{k:03}" for k in range(size)], policy(), seed=seed + f)
            for f, size in enumerate(world.sizes)
        ]
        self._contextual, self._fitted = contextual, False
        self._rng = np.random.default_rng(seed)

    def choose(self, _: int, x: FloatArray, allowed: list[BoolArray]) -> list[IntArray]:
        chosen = []
        for bandit, mask in zip(self._bandits, allowed, strict=True):
            if not self._fitted:
                scores = self._rng.random(mask.shape)
            elif self._contextual:
                told = bandit.predict_expectations(x)
                listed = told if isinstance(told, list) else [told]
                scores = np.array([[row[arm] for arm in bandit.arms] for row in listed])
            else:
                scores = np.array(
                    [list(bandit.predict_expectations().values()) for _ in range(len(x))]
                )
            chosen.append(np.where(mask, scores, -np.inf).argmax(axis=1))
        return chosen

    def hear(self, day: int, sent: Sequence[Sent], answered: Sequence[Answer]) -> None:
        parts = [(each, rows, 1.0) for each, rows in answered]
        parts += [
            (each, np.flatnonzero(~each.answered), 0.0)
            for each in sent
            if each.day == day - _WINDOW_DAYS
        ]
        parts = [part for part in parts if len(part[1])]
        if not parts:
            return
        x = np.concatenate([each.x[rows] for each, rows, _ in parts])
        reward = np.concatenate([np.full(len(rows), r) for _, rows, r in parts])
        for f, bandit in enumerate(self._bandits):
            arms = np.array(bandit.arms)[
                np.concatenate([each.chosen[f][rows] for each, rows, _ in parts])
            ]
            contexts = (x,) if self._contextual else ()
            (bandit.partial_fit if self._fitted else bandit.fit)(arms, reward, *contexts)
        self._fitted = True


def contenders(world: World, seed: int) -> dict[str, Learner]:
    """Keepwell and MABWiser's policies, fresh."""
    return {
        OURS: Keepwell(world, seed),
        "mabwiser ThompsonSampling": Independent(
            world, seed, LearningPolicy.ThompsonSampling, contextual=False
        ),
        "mabwiser LinTS 0.3": Independent(
            world, seed, lambda: LearningPolicy.LinTS(alpha=0.3), contextual=True
        ),
        "mabwiser LinUCB 0.3": Independent(
            world, seed, lambda: LearningPolicy.LinUCB(alpha=0.3), contextual=True
        ),
    }


def share_of_gain(
    make: Callable[[int], World], name: str, seed: int, days: int, a_day: int
) -> float:
    """Share of the possible gain that one contender takes in one world."""
    world = make(seed)
    learner = contenders(world, seed)[name]
    rng = np.random.default_rng([seed, 7])  # who comes and what is asleep: the same for all
    luck = np.random.default_rng([seed, 8])
    earned = even = best = 0.0
    sent: list[Sent] = []
    due: dict[int, list[Answer]] = defaultdict(list)
    for day in range(days):
        world.next_day(day)
        who = rng.integers(world.contacts, size=a_day)
        allowed = world.masks(a_day, rng)
        chosen = learner.choose(day, world.contexts(who), allowed)
        rate = world.rate(who, chosen)
        uniform = [np.array([rng.choice(np.flatnonzero(row)) for row in mask]) for mask in allowed]
        earned += rate.sum()
        even += world.rate(who, uniform).sum()
        best += world.best(who, allowed).sum()
        today = Sent(day, world.contexts(who), chosen)
        sent.append(today)
        answers = np.flatnonzero(luck.random(a_day) < rate)
        delay = world.delays(chosen, luck)[answers]
        for wait in np.unique(delay[delay <= _WINDOW_DAYS]):
            due[day + int(wait)].append((today, answers[delay == wait]))
        for each, rows in due[day]:
            each.answered[rows] = True
        learner.hear(day, sent, due.pop(day))
    return float((earned - even) / (best - even))


def measured(
    *, seeds: int, days: int, a_day: int, worlds: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """Shares by world and contender, one for each seed."""
    found: dict[str, dict[str, list[float]]] = {}
    for world in worlds:
        make = WORLDS[world]
        found[world] = {}
        for name in contenders(make(0), 0):
            print(f"{world}: {name} …", file=sys.stderr, flush=True)
            found[world][name] = [
                share_of_gain(make, name, 100 + seed, days, a_day) for seed in range(seeds)
            ]
    return found


def main(arguments: Sequence[str]) -> int:
    """Print the table; exit 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regret")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--a-day", type=int, default=200)
    parser.add_argument("--only", action="append", choices=list(WORLDS))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    found = measured(
        seeds=asked.seeds, days=asked.days, a_day=asked.a_day, worlds=asked.only or list(WORLDS)
    )
    lines = []
    for world, shares in found.items():
        means = {name: float(np.mean(each)) for name, each in shares.items()}
        peer = max((name for name in means if name != OURS), key=lambda name: means[name])
        thompson = means["mabwiser ThompsonSampling"]
        bar = 1.5 if world in _FACTORISED else 0.9
        against = thompson if world in _FACTORISED else means[peer]
        ratio = means[OURS] / against if against > 0.0 else float("inf")
        lines.append({"world": world, "shares": means, "by_seed": shares, "best_peer": peer,
                      "ratio": ratio, "bar": bar, "ok": ratio >= bar})  # fmt: skip
    if asked.json:
        print(json.dumps(lines, indent=2))
    else:
        _show(lines)
    return 0 if all(line["ok"] for line in lines) else 1


def _show(lines: Sequence[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    names = list(lines[0]["shares"])
    for column in ("world", *names, "ratio", "bar", ""):
        table.add_column(column, justify="left" if column == "world" else "right", no_wrap=True)
    for line in lines:
        table.add_row(
            line["world"],
            *(f"{line['shares'][name]:.3f}" for name in names),
            f"{line['ratio']:.2f}",
            f"≥ {line['bar']:g}",
            "ok" if line["ok"] else "MISSED",
        )
    Console(highlight=False, width=None if sys.stdout.isatty() else 170).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
