"""Who plays in a replay: Keepwell's learner and MABWiser's own policies, seen alike."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from mabwiser.mab import MAB, LearningPolicy
from numpy.typing import NDArray

from bandits.hierarchy import ArmSums, Posterior, Spreads, learned_spreads, posterior
from bandits.quadrature import probability_best
from bandits.state import DEFAULT_NOISE, drawn_noise
from benchmarks.action_log import ActionLog

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# how much more has to be known before the spreads are estimated anew
_GROWTH = 1.5
# MABWiser's exploration constant: the noise of a reward between 5 and 18 %; its default of 1 is
# worse on every log here
_ALPHA = 0.3
_EPSILON = 0.1


class Contender(Protocol):
    """Chooses for a batch of rows, then learns from those of them whose choice was logged."""

    def choose(self, rows: IntArray) -> IntArray:
        """The arm for each row."""
        ...

    def learn(self, rows: IntArray) -> None:
        """Learn from these rows' logged actions and rewards."""
        ...


Make = Callable[[ActionLog, int], Contender]


@dataclass
class Ours:
    """The hierarchical learner, drawing from exact selection probabilities."""

    log: ActionLog
    seed: int
    floor: float = 0.0
    noise: float = DEFAULT_NOISE

    def __post_init__(self) -> None:
        k, d = len(self.log.arms), self.log.contexts.shape[1]
        self._scale = max(float(np.abs(self.log.rewards).max()), 1e-12)
        self._gram, self._moment, self._squares = np.zeros((k, d, d)), np.zeros((k, d)), 0.0
        self._spreads: Spreads | None = None
        self._known: Posterior | None = None
        self._estimated_at = 0.0
        self._rng = np.random.default_rng(self.seed)

    def choose(self, rows: IntArray) -> IntArray:
        k = len(self.log.arms)
        if self._known is None:
            return self._rng.integers(k, size=len(rows))
        noise = drawn_noise(self.noise, float(self._gram[:, 0, 0].mean()))
        shares = selection_shares(self._known, self.log.contexts[rows], noise, self.floor)
        reached = np.cumsum(shares, axis=1)
        draws = self._rng.random(len(rows)) * reached[:, -1]
        return np.asarray(np.minimum((reached <= draws[:, None]).sum(axis=1), k - 1))

    def learn(self, rows: IntArray) -> None:
        x, arm = self.log.contexts[rows], self.log.actions[rows]
        reward = self.log.rewards[rows] / self._scale
        for each in np.unique(arm):
            own = x[arm == each]
            self._gram[each] += own.T @ own
            self._moment[each] += own.T @ reward[arm == each]
        self._squares += float((reward**2).sum())
        sums = ArmSums(self._gram, self._moment, self._squares)
        known = float(sums.observations.sum())
        if self._spreads is None or known > _GROWTH * self._estimated_at:
            self._spreads = learned_spreads(sums, self.log.groups, self._spreads)
            self._estimated_at = known
        self._known = posterior(sums, self.log.groups, self._spreads)


def selection_shares(
    known: Posterior, contexts: FloatArray, noise: float, floor: float
) -> FloatArray:
    """P(arm) per row, (n, k): the product's distribution, by matrix products."""
    mean = contexts @ known.mean.T
    variance = np.stack(
        [((contexts @ each) * contexts).sum(axis=1) for each in known.covariance], axis=1
    )
    spread = np.maximum(noise * np.sqrt(np.maximum(variance, 0.0)), 1e-9)
    allowed = np.ones(mean.T.shape, dtype=np.bool_)
    shares = np.empty_like(mean)
    for start in range(0, len(mean), 512):
        at = slice(start, start + 512)
        shares[at] = probability_best(
            np.ascontiguousarray(mean[at].T), np.ascontiguousarray(spread[at].T), allowed[:, at]
        ).T
    return np.asarray((1.0 - floor) * shares + floor / mean.shape[1])


class Library:
    """One of MABWiser's policies as it is; nothing is learned before its first `fit`."""

    def __init__(self, log: ActionLog, seed: int, policy: object, *, contextual: bool) -> None:
        self._log, self._contextual = log, contextual
        self._names = np.array(log.arms)
        self._place = {name: number for number, name in enumerate(log.arms)}
        self._bandit = MAB(list(log.arms), policy, seed=seed)
        self._rng = np.random.default_rng(seed)
        self._scale = max(float(np.abs(log.rewards).max()), 1e-12)
        self._fitted = False

    def choose(self, rows: IntArray) -> IntArray:
        if not self._fitted:
            return self._rng.integers(len(self._names), size=len(rows))
        if self._contextual:
            chosen = self._bandit.predict(self._log.plain[rows])
        else:
            # without contexts `predict` makes one choice; each contact asks for its own
            chosen = [self._bandit.predict() for _ in rows]
        listed = chosen if isinstance(chosen, list) else [chosen]
        return np.array([self._place[name] for name in listed], dtype=np.int64)

    def learn(self, rows: IntArray) -> None:
        reward = self._log.rewards[rows] / self._scale
        arms = self._names[self._log.actions[rows]]
        contexts = (self._log.plain[rows],) if self._contextual else ()
        (self._bandit.partial_fit if self._fitted else self._bandit.fit)(arms, reward, *contexts)
        self._fitted = True


def contenders(log: ActionLog) -> dict[str, Make]:
    """All of them by name; Thompson sampling of MABWiser takes rewards of 0 and 1 alone."""

    def library(policy: Callable[[], object], *, contextual: bool) -> Make:
        return lambda log, seed: Library(log, seed, policy(), contextual=contextual)

    made: dict[str, Make] = {
        "keepwell": Ours,
        "keepwell, floor 5 %": lambda log, seed: Ours(log, seed, floor=0.05),
        f"mabwiser LinTS {_ALPHA}": library(
            lambda: LearningPolicy.LinTS(alpha=_ALPHA), contextual=True
        ),
        f"mabwiser LinUCB {_ALPHA}": library(
            lambda: LearningPolicy.LinUCB(alpha=_ALPHA), contextual=True
        ),
        "mabwiser ThompsonSampling": library(LearningPolicy.ThompsonSampling, contextual=False),
        f"mabwiser EpsilonGreedy {_EPSILON}": library(
            lambda: LearningPolicy.EpsilonGreedy(epsilon=_EPSILON), contextual=False
        ),
        f"mabwiser UCB1 {_ALPHA}": library(
            lambda: LearningPolicy.UCB1(alpha=_ALPHA), contextual=False
        ),
    }
    if not np.isin(log.rewards, (0.0, 1.0)).all():
        del made["mabwiser ThompsonSampling"]
    return made
