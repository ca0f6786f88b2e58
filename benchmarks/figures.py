"""A figure: what was measured, against what, and whether it clears its bar."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        name: what was measured, in words.
        value, unit: ours; a unit that ends in '/s' is better when higher, any other when lower.
        reference: the same quantity of `against`, measured in the same run, in the same unit.
        bar: the least ratio that will do; None where there is no demand.
        better: whether more or less of the unit is better, where the unit does not say so.
        reach: the value that must be reached, where the demand is no ratio.
    """

    area: str
    name: str
    value: float
    unit: str
    reference: float
    against: str
    bar: float | None = None
    better: Literal["higher", "lower"] | None = None
    reach: float | None = None

    @property
    def is_higher_better(self) -> bool:
        """By `better`, else by the unit."""
        return self.better == "higher" if self.better else self.unit.endswith("/s")

    @property
    def ratio(self) -> float:
        """How many times better than the reference; below 1 is worse."""
        return _divided(*(self._pair if self.is_higher_better else reversed(self._pair)))

    @property
    def _pair(self) -> tuple[float, float]:
        return self.value, self.reference

    @property
    def ok(self) -> bool:
        """Whether bar and value to reach are met; True without either."""
        reached = self.reach is None or (
            self.value >= self.reach if self.is_higher_better else self.value <= self.reach
        )
        return reached and (self.bar is None or self.ratio >= self.bar)

    @property
    def demand(self) -> str:
        """What is asked, in a few characters; empty where nothing is."""
        if self.reach is not None:
            return f"{'≥' if self.is_higher_better else '≤'} {self.reach:g} {self.unit}"
        return "" if self.bar is None else f"≥ {self.bar:g}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; None where a quantity is not finite, which JSON can't say."""
        return {
            "area": self.area,
            "name": self.name,
            "value": _finite(self.value),
            "unit": self.unit,
            "reference": _finite(self.reference),
            "against": self.against,
            "ratio": _finite(self.ratio),
            "bar": self.bar,
            "reach": self.reach,
            "ok": self.ok,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _divided(upper: float, lower: float) -> float:
    return upper / lower if lower else float("inf")


@dataclass(frozen=True, slots=True)
class Measured:
    """What an area gives back.

    Attributes:
        notes: under which conditions, in words; printed below the table.
    """

    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


def median_seconds(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int = 5, warm_up: int = 1
) -> dict[str, float]:
    """Run the contenders by turns (A B A B); return the median seconds of a run of each."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(warm_up + rounds):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            if number >= warm_up:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(each) for name, each in taken.items()}


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the sorted values lie (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
