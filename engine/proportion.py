"""How sure one can be of a share that was counted."""

from math import sqrt

Z_95 = 1.959963984540054  # two-sided 95 % of the normal distribution


def wilson(successes: int, trials: int) -> tuple[float, float] | None:
    """95 % interval of a share in [0, 1]; None without trials.

    Wilson (1927), 'Probable inference, the law of succession, and statistical inference', JASA 22.

    >>> tuple(round(bound, 4) for bound in wilson(10, 50))
    (0.1124, 0.3304)
    """
    if trials <= 0:
        return None
    share, square = successes / trials, Z_95 * Z_95
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    spread = Z_95 * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    spread /= 1 + square / trials
    return max(0.0, centre - spread), min(1.0, centre + spread)
