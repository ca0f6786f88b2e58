"""Learning and choosing, against MABWiser and against a bare count of the same rows."""

import json
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from mabwiser.mab import MAB, LearningPolicy
from numpy.typing import NDArray

from bandits.draw import uniforms
from bandits.evidence import Outcomes, tallied
from bandits.factor import FactorState
from bandits.fit import Choosing, fitted
from bandits.hierarchy import Spreads
from bandits.sampled import drawn_arms
from bandits.selection import choose, explored, joint_probability, score_scale
from bandits.state import PolicyState, dump_state, load_state
from benchmarks.figures import Figure, Measured
from benchmarks.practice import SEED, World

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CONTEXTS = 50_000  # rates are per context; a million takes twenty times as long
OUTCOMES = 1_000_000
FACTORS = {"hour": 8, "weekday": 7, "channel": 4, "variant:recall": 10}
JOINT_ARMS = 56
TENANTS, LIMIT_BYTES = 10_000, 2 * 1024**3
_TODAY, _DAYS = 20_100, 60
_TRIED_STATES = 40
_TELLING = 0.03  # spread of what a feature adds to an arm, in rewards


def measure(_world: World) -> Measured:
    """Scoring, a whole night, one contact, an update, and the size of states."""
    rng = np.random.default_rng(SEED)
    outcomes = _outcomes(rng, OUTCOMES, FACTORS)
    state = fitted(tallied(_outcomes(rng, 50_000, FACTORS)), _TODAY, Choosing())
    contexts = _contexts(rng, CONTEXTS)
    joint, bandit = _joint_arms(rng)
    masks = {
        name: rng.random((CONTEXTS, len(factor.arms))) < 0.9
        for name, factor in state.factors.items()
    }
    listening = _listening(state)
    keys = np.arange(CONTEXTS, dtype=np.uint64)
    slot = joint.factors["slot"]
    scale = score_scale(joint, slot)
    seconds = _processor_seconds_of(
        {
            "scoring": lambda: drawn_arms(slot, contexts, keys, 1, scale),
            "night": lambda: _night(state, contexts, masks),
            "listening": lambda: _night(listening, contexts, masks),
            "mabwiser": lambda: bandit.predict(contexts),
        },
        rounds=5,
    )
    frame = _frame(outcomes)
    learning = _processor_seconds_of(
        {"tallied": lambda: tallied(outcomes), "group-by": lambda: _counted(frame)}, rounds=3
    )
    return Measured(
        (
            _rate("56 arms scored and drawn from (Thompson sampling), four features", CONTEXTS,
                  seconds["scoring"], seconds["mabwiser"],
                  "MABWiser's LinTS.predict of the same 56 arms", 15.0),
            _rate("nights: 8 hours, 7 weekdays, 4 channels, 10 wordings, masks, floor, exact "
                  "probabilities; contexts tell nothing", CONTEXTS, seconds["night"],
                  seconds["mabwiser"], "MABWiser's LinTS.predict of 56 arms", 1.0),
            _rate("the same nights, every factor listening to every context", CONTEXTS,
                  seconds["listening"], seconds["mabwiser"],
                  "MABWiser's LinTS.predict of 56 arms", 1.0),
            Figure("learn", "one contact, four factors listening, processor time",
                   _one_contact(listening, contexts), "ms", 1.0, "a millisecond", 1.0),
            _rate(f"{OUTCOMES:,} outcomes into four factors by day", OUTCOMES,
                  learning["tallied"], learning["group-by"],
                  "a bare polars group-by of the same rows", 0.2, unit="outcomes/s"),
            Figure("learn", f"{TENANTS:,} tenants' states in memory", _state_bytes(state),
                   "bytes", float(LIMIT_BYTES), "2 GiB", 1.0),
        ),
        (f"A state is {len(json.dumps(dump_state(state))):,} bytes of JSON as stored.",),
    )  # fmt: skip


def _listening(state: PolicyState) -> PolicyState:
    """The same state, were contexts found to tell arms apart: nothing can be remembered by mask."""
    factors = {
        name: replace(
            factor,
            spreads=Spreads(
                (_spreads(factor).groups[0], *[_TELLING] * 3), _spreads(factor).noise_variance
            ),
        )
        for name, factor in state.factors.items()
    }
    return replace(state, factors=factors)


def _spreads(factor: FactorState) -> Spreads:
    assert factor.spreads is not None  # noqa: S101 - `fitted` has set them
    return factor.spreads


def _processor_seconds_of(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int
) -> dict[str, float]:
    """Run them by turns; the least processor time of a run of each, which others disturb least."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            began = time.process_time()
            run()
            if number:  # the first is to warm up
                taken[name].append(time.process_time() - began)
    return {name: min(each) for name, each in taken.items()}


def _rate(  # noqa: PLR0913 - a line of the table
    name: str, count: int, ours: float, theirs: float, against: str, bar: float | None,
    *, unit: str = "contexts/s",
) -> Figure:  # fmt: skip
    return Figure("learn", name, count / ours, unit, count / theirs, against, bar)


def _contexts(rng: np.random.Generator, n: int) -> FloatArray:
    return np.column_stack([np.ones(n), rng.random((n, 3))])


def _outcomes(rng: np.random.Generator, n: int, factors: dict[str, int]) -> Outcomes:
    reward = (rng.random(n) < 0.1).astype(np.float64)
    return Outcomes(
        arms={
            name: (tuple(f"{name} {k}" for k in range(size)), rng.integers(size, size=n))
            for name, size in factors.items()
        },
        day=_TODAY - rng.integers(_DAYS, size=n),
        context=_contexts(rng, n),
        reward=reward,
        previous=np.full(n, np.nan),
        delay_days=rng.integers(5, size=n),
        previous_delay_days=np.zeros(n, dtype=np.int64),
    )


def _joint_arms(rng: np.random.Generator) -> tuple[PolicyState, MAB]:
    """One factor of 56 arms, fitted by us and by the library from outcomes of one world."""
    outcomes = _outcomes(rng, 20_000, {"slot": JOINT_ARMS})
    names, chosen = outcomes.arms["slot"]
    bandit = MAB(list(names), LearningPolicy.LinTS(alpha=0.3), seed=1)
    bandit.fit(np.array(names)[chosen], outcomes.reward, outcomes.context)
    return fitted(tallied(outcomes), _TODAY, Choosing(policy="lints")), bandit


def _night(state: PolicyState, contexts: FloatArray, masks: dict[str, NDArray[np.bool_]]) -> object:
    keys = np.arange(len(contexts), dtype=np.uint64)
    which = explored(keys, 1, state.floor, len(masks))
    choices = [
        choose(state, name, contexts, mask, uniforms(keys, 1, name), which == number)
        for number, (name, mask) in enumerate(masks.items())
    ]
    return joint_probability(choices, state.floor)


def _one_contact(state: PolicyState, contexts: FloatArray) -> float:
    one = {
        name: np.ones((1, len(factor.arms)), dtype=np.bool_)
        for name, factor in state.factors.items()
    }

    def run() -> None:
        _night(state, contexts[:1], one)

    return 1000.0 * _processor_seconds(run, 300)


def _processor_seconds(run: Callable[[], None], times: int) -> float:
    run()
    began = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - began) / times


def _frame(outcomes: Outcomes) -> pl.DataFrame:
    columns = {name: chosen for name, (_, chosen) in outcomes.arms.items()}
    return pl.DataFrame({**columns, "day": outcomes.day, "reward": outcomes.reward})


def _counted(frame: pl.DataFrame) -> pl.DataFrame:
    keys = [name for name in frame.columns if name != "reward"]
    return frame.group_by(keys).agg(pl.len(), pl.col("reward").sum())


def _state_bytes(state: PolicyState) -> float:
    """Memory of all tenants' states, each loaded and ready to choose; from forty of them."""
    document = dump_state(state)
    tracemalloc.start()
    held = [load_state(document) for _ in range(_TRIED_STATES)]
    for each in held:
        for factor in each.factors.values():
            factor.triangle.copy()  # what choosing computes once is kept too
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / _TRIED_STATES * TENANTS
