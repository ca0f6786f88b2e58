"""A trial: planned before it starts, judged while it runs, stopped by a rule and not by a mood."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from engine.errors import InvalidInput
from engine.lift import Lift, Sample, half_width, lift, mixture_for

Verdict = Literal["running", "winner", "no_difference", "harmful"]

# the quantile for a power of 80 %
_Z_POWER = {0.8: 0.8416212335729143, 0.9: 1.2815515655446004}
_MOST_UNITS = 10**9


@dataclass(frozen=True, slots=True)
class Design:
    """What is fixed before a trial starts.

    Attributes:
        arms: the first is the control.
        rate: P(goal) of the control that is expected.
        smallest: the difference in that share that would matter.
        alpha: P(a false alarm ever), over all comparisons with the control together.
        power: P(a difference of `smallest` is found by the planned size).
    """

    arms: tuple[str, ...]
    rate: float
    smallest: float
    alpha: float = 0.05
    power: float = 0.8

    def __post_init__(self) -> None:
        if len(self.arms) < 2 or len(set(self.arms)) != len(self.arms):
            raise InvalidInput(
                f"A trial of {list(self.arms)} compares nothing.",
                hint="Name two arms or more, each once; the first is the control.",
            )
        if not (0.0 < self.rate < 1.0 and 0.0 < self.smallest < 1.0):
            raise InvalidInput(
                f"A rate of {self.rate} and a difference of {self.smallest} can't be planned.",
                hint="Both are shares strictly between 0 and 1, e.g. 0.18 and 0.03.",
            )
        if not 0.0 < self.alpha <= 0.5 or self.power not in _Z_POWER:
            raise InvalidInput(
                f"alpha {self.alpha} and power {self.power} can't be planned.",
                hint="alpha lies in (0, 0.5]; power is 0.8 or 0.9.",
            )

    @property
    def alpha_each(self) -> float:
        """Of one comparison (Bonferroni)."""
        return self.alpha / (len(self.arms) - 1)


@dataclass(frozen=True, slots=True)
class Planned:
    """What a design needs.

    Attributes:
        units_per_arm: by when a difference of `smallest` is found with the design's power.
        once_units_per_arm: the same for a single look at the end: what looking any day costs.
        mixture: fixes the intervals, see `engine.lift.lift`.
    """

    units_per_arm: int
    once_units_per_arm: int
    mixture: float


def planned(design: Design) -> Planned:
    """Return how many units each arm needs.

    At n units per arm the interval must end `z(power)` standard errors inside the smallest
    difference: smallest >= half width + z × standard error.
    """
    treated = min(design.rate + design.smallest, 1.0 - 1e-9)
    of_one = design.rate * (1 - design.rate) + treated * (1 - treated)
    z = _Z_POWER[design.power]

    def found(units: int) -> bool:
        variance = of_one / units
        mixture = mixture_for(variance, alpha=design.alpha_each)
        reach = half_width(variance, mixture=mixture, alpha=design.alpha_each)
        return reach + z * math.sqrt(variance) <= design.smallest

    low, high = 1, 2
    while not found(high) and high < _MOST_UNITS:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    once = of_one * ((_normal_quantile(1 - design.alpha_each / 2) + z) / design.smallest) ** 2
    return Planned(
        units_per_arm=high,
        once_units_per_arm=math.ceil(once),
        mixture=mixture_for(of_one / high, alpha=design.alpha_each),
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """How a trial stands.

    Attributes:
        verdict: winner: one arm beats all others it has to; no_difference: whatever there is, is
            smaller than what would matter; harmful: a guard is broken.
        arm: of the verdict; '' without.
        guard: the metric that is broken; '' without.
        lifts: of each arm over the control.
        units_more: per arm until it is decided if the differences stay as they look; None when
            decided, or when they look like nothing: no number of units decides that.
    """

    verdict: Verdict
    arm: str
    guard: str
    lifts: Mapping[str, Lift]
    units_more: int | None


def judged(
    design: Design,
    goal: Mapping[str, Sample],
    guards: Mapping[str, Mapping[str, Sample]],
    *,
    mixture: float,
) -> Judged:
    """Judge a trial by its stop rule; may be asked at any time, as often as one likes.

    Args:
        design: of the trial.
        goal: by arm, what counts.
        guards: by metric, by arm: what must not rise. An arm is harmful as soon as a guard's
            interval over the control lies above zero.
        mixture: from `planned`.
    """
    control = design.arms[0]
    alpha = design.alpha_each

    def over(arm: str, other: str, samples: Mapping[str, Sample]) -> Lift:
        found = samples.get(arm, Sample()), samples.get(other, Sample())
        return lift(*found, mixture=mixture, alpha=alpha)

    lifts = {arm: over(arm, control, goal) for arm in design.arms[1:]}
    for guard, samples in guards.items():
        for arm in design.arms[1:]:
            harm = over(arm, control, samples)
            if harm.low is not None and harm.low > 0:
                return Judged("harmful", arm, guard, lifts, None)
    best = max(design.arms, key=lambda arm: goal.get(arm, Sample()).mean)
    others = [over(best, arm, goal) for arm in design.arms if arm != best]
    if all(other.low is not None and other.low > 0 for other in others):
        return Judged("winner", best, "", lifts, None)
    if all(_is_small(each, design.smallest) for each in lifts.values()):
        return Judged("no_difference", "", "", lifts, None)
    runner_up = min(others, key=lambda each: each.difference)
    return Judged("running", "", "", lifts, _units_more(design, goal, runner_up, mixture))


def _is_small(each: Lift, smallest: float) -> bool:
    if each.low is None or each.high is None:
        return False
    return -smallest < each.low and each.high < smallest


def _units_more(
    design: Design, goal: Mapping[str, Sample], closest: Lift, mixture: float
) -> int | None:
    """Units per arm until the closest comparison is decided, should it stay as it looks."""
    have = min(goal.get(arm, Sample()).n for arm in design.arms)
    times = times_as_many(
        abs(closest.difference), closest.variance, mixture=mixture, alpha=design.alpha_each
    )
    return None if times is None or not have else math.ceil(have * (times - 1.0))


def times_as_many(
    difference: float, variance: float, *, mixture: float, alpha: float = 0.05
) -> float | None:
    """Return how many times the data so far decide a difference like this; 1: already enough.

    None where a thousand times would not.
    """
    if variance <= 0.0:
        return None
    low, high = 1.0, 1000.0

    def decides(times: float) -> bool:
        return half_width(variance / times, mixture=mixture, alpha=alpha) < difference

    if decides(low):
        return 1.0
    if not decides(high):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def _normal_quantile(share: float) -> float:
    """By bisection of the error function; the core uses nothing beyond numpy and polars."""
    low, high = -10.0, 10.0
    for _ in range(100):
        middle = (low + high) / 2
        below = 0.5 * (1.0 + math.erf(middle / math.sqrt(2.0))) < share
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2
