"""Synthetic worlds for bandits: what each choice would bring is known. No engine code in here.

A world answers one question: P(reward) of every combination for a batch of contacts on a day.
Rates are additive on the log-odds scale, with tastes of the tenant, its segments and its contacts;
where a world has four factors, hour and weekday interact.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

BASE = -2.2  # log-odds: 10 %


@dataclass
class World:
    """One synthetic tenant.

    Attributes:
        sizes: arms by factor.
        contacts: how many; each has three features of 0 or 1, which make eight segments.
        drift: standard deviation of a day's step of each tenant-level effect.
        turn_day: on this day the tenant-level effects are drawn anew; None: never.
        asleep: chance that an arm is not allowed for a contact, by day.
        slow: mean days until an answer by arm of factor 0; None: at once.
    """

    sizes: tuple[int, ...]
    seed: int
    contacts: int = 2000
    tenant: float = 0.35
    segment: float = 0.25
    contact: float = 0.25
    interaction: float = 0.0
    drift: float = 0.0
    turn_day: int | None = None
    asleep: float = 0.0
    slow: tuple[float, ...] | None = None
    effects: list[FloatArray] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 1])
        self._step = np.random.default_rng([self.seed, 2])
        self.effects = [self.tenant * rng.standard_normal(k) for k in self.sizes]
        self._segment = [self.segment * rng.standard_normal((3, k)) for k in self.sizes]
        self._contact = [self.contact * rng.standard_normal((self.contacts, k)) for k in self.sizes]
        pair = (self.sizes[0], self.sizes[1]) if len(self.sizes) > 1 else (1, 1)
        self._pair = self.interaction * rng.standard_normal(pair)
        self._features = rng.integers(2, size=(self.contacts, 3)).astype(np.float64)

    def contexts(self, who: IntArray) -> FloatArray:
        """What a learner may know of each contact, (n, 4): 1 and the three features."""
        return np.column_stack([np.ones(len(who)), self._features[who]])

    def next_day(self, day: int) -> None:
        """Let the tenant's tastes move."""
        for f, k in enumerate(self.sizes):
            if self.drift:
                self.effects[f] = self.effects[f] + self.drift * self._step.standard_normal(k)
            if day == self.turn_day:
                self.effects[f] = self.tenant * self._step.standard_normal(k)

    def log_odds(self, who: IntArray) -> list[FloatArray]:
        """By factor: each contact's log-odds of every arm, (n, k)."""
        centred = self._features[who] - 0.5
        return [
            self.effects[f] + centred @ self._segment[f] + self._contact[f][who]
            for f in range(len(self.sizes))
        ]

    def rate(self, who: IntArray, chosen: list[IntArray]) -> FloatArray:
        """P(reward) of a combination for each contact."""
        rows = np.arange(len(who))
        score = BASE + sum(
            part[rows, arm] for part, arm in zip(self.log_odds(who), chosen, strict=True)
        )
        if self.interaction:
            score = score + self._pair[chosen[0], chosen[1]]
        return np.asarray(1.0 / (1.0 + np.exp(-score)))

    def best(self, who: IntArray, allowed: list[BoolArray]) -> FloatArray:
        """P(reward) of the best allowed combination for each contact."""
        parts = [
            np.where(mask, part, -np.inf)
            for part, mask in zip(self.log_odds(who), allowed, strict=True)
        ]
        if not self.interaction:
            score = BASE + sum(part.max(axis=1) for part in parts)
        else:
            both = parts[0][:, :, None] + parts[1][:, None, :] + self._pair
            score = BASE + both.max(axis=(1, 2)) + sum(part.max(axis=1) for part in parts[2:])
        return np.asarray(1.0 / (1.0 + np.exp(-score)))

    def masks(self, n: int, rng: np.random.Generator) -> list[BoolArray]:
        """Allowed arms by factor; each contact keeps at least one."""
        masks = []
        for k in self.sizes:
            mask = rng.random((n, k)) >= self.asleep
            mask[np.arange(n), rng.integers(k, size=n)] = True
            masks.append(mask)
        return masks

    def delays(self, chosen: list[IntArray], rng: np.random.Generator) -> IntArray:
        """Days until the answer, if there is one."""
        if self.slow is None:
            return np.zeros(len(chosen[0]), dtype=np.int64)
        mean = np.array(self.slow)[chosen[0]]
        return np.asarray(np.floor(rng.exponential(1.0, len(mean)) * mean), dtype=np.int64)
