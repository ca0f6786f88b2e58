"""Lift: the difference between two groups, with an interval that may be looked at every day.

An interval made for one look is wrong for somebody who looks until it excludes zero: at daily looks
over three months it does so by luck in one test out of three. The intervals here hold at all times
at once (a confidence sequence):

    difference ± sqrt( V (V + t) / t × ( ln((V + t) / V) + 2 ln(1 / α) ) )

V is the variance of the difference so far, t the variance of a normal mixture over effects. This is
the mixture sequential probability ratio test turned into an interval (Robbins, Annals of
Mathematical Statistics 41 (1970); Johari, Koomen, Pekelis, Walsh, 'Always Valid Inference',
Operations Research 70 (2022)); with V estimated it holds as counts grow (Waudby-Smith and others,
'Time-uniform central limit theory and asymptotic confidence sequences', Annals of Statistics 52
(2024)), so nothing is concluded before `LEAST_UNITS` per group.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

LEAST_UNITS = 50
# reached at least so often in both groups together: below it a normal approximation says nothing
LEAST_EVENTS = 10
_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of a group: n units, the sum and the sum of squares of their values."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """0 without units."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """Of one unit. For yes-or-no values half an event is added on each side."""
        if not self.n:
            return 0.0
        if self.squares == self.total:
            share = (self.total + 0.5) / (self.n + 1.0)
            return share * (1.0 - share)
        return max(self.squares / self.n - self.mean**2, 0.0)


def sample_of(values: Iterable[float]) -> Sample:
    """Return the sums of some values."""
    n, total, squares = 0, 0.0, 0.0
    for value in values:
        n, total, squares = n + 1, total + value, squares + value * value
    return Sample(n, total, squares)


@dataclass(frozen=True, slots=True)
class Lift:
    """Treated minus control, per unit.

    Attributes:
        difference: of the means.
        low, high: hold at all times at once; None while there is too little to say anything.
        once_low, once_high: for somebody who looks a single time; narrower.
        variance: of the difference.
    """

    difference: float
    low: float | None
    high: float | None
    once_low: float
    once_high: float
    variance: float

    @property
    def decided(self) -> bool:
        """Whether zero lies outside."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def lift(treated: Sample, control: Sample, *, mixture: float, alpha: float = 0.05) -> Lift:
    """Return the lift of a group over another.

    Args:
        treated: the group that something was done to.
        control: the group that it is compared with.
        mixture: t above, fixed before the start: see `mixture_for`.
        alpha: P(the true difference ever lies outside).
    """
    difference = treated.mean - control.mean
    variance = variance_of(treated, control)
    once = _Z_95 * math.sqrt(variance)
    reach = half_width(variance, mixture=mixture, alpha=alpha)
    enough = min(treated.n, control.n) >= LEAST_UNITS and _events(treated, control) >= LEAST_EVENTS
    return Lift(
        difference=difference,
        low=difference - reach if enough else None,
        high=difference + reach if enough else None,
        once_low=difference - once,
        once_high=difference + once,
        variance=variance,
    )


def variance_of(treated: Sample, control: Sample) -> float:
    """Return the variance of the difference of two means; 0 while a group is empty.

    The larger of two estimates: each group by its own spread, and both by their common one. Counts
    and amounts are skewed, so a small group that is low by luck also looks less spread than it is;
    by its own spread alone a holdout of a hundred people cried wolf in one run out of ten.
    """
    if not treated.n or not control.n:
        return 0.0
    own = treated.variance / treated.n + control.variance / control.n
    both = Sample(
        treated.n + control.n, treated.total + control.total, treated.squares + control.squares
    )
    return max(own, both.variance * (1.0 / treated.n + 1.0 / control.n))


def half_width(variance: float, *, mixture: float, alpha: float = 0.05) -> float:
    """Return how far the always-valid interval reaches to each side of the difference."""
    if variance <= 0.0:
        return 0.0
    log = math.log((variance + mixture) / variance) + 2.0 * math.log(1.0 / alpha)
    return math.sqrt(variance * (variance + mixture) / mixture * log)


def mixture_for(variance: float, *, alpha: float = 0.05) -> float:
    """Return the mixture for which the interval is narrowest at this variance, the planned one.

    (Waudby-Smith and others, 2024, section 2.3: x = -2 ln α + ln(1 - 2 ln α) at t / V = x.)
    """
    log = -2.0 * math.log(alpha)
    return variance * (log + math.log(1.0 + log))


def _events(treated: Sample, control: Sample) -> float:
    """How many units of both together had anything at all, as their sums tell.

    (sum)^2 / sum of squares: the number of equal values that would give these sums, which is the
    number of events for yes-or-no values and less than it for amounts of unequal size.
    """
    squares = treated.squares + control.squares
    return (treated.total + control.total) ** 2 / squares if squares > 0 else 0.0


def mixture_of(smallest: float, *, alpha: float = 0.05) -> float:
    """Return the mixture for which a difference of this size is found soonest.

    The interval then reaches just this far at the variance it is narrowest for.
    """
    of_one = half_width(1.0, mixture=mixture_for(1.0, alpha=alpha), alpha=alpha)
    return mixture_for((smallest / of_one) ** 2, alpha=alpha)
