"""Which values a feature can take at all, as far as its kind and the vocabulary say.

The exact analysis of rules rests on it: what is no value of the feature can't make rules meet.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from engine.features.spec import Feature, Kind, Scalar
from rules.trees import LeafType
from rules.vocabulary import Field, Vocabulary

Numbers = Literal["real", "whole", "day_of_year"]

_NEVER_UNKNOWN: frozenset[Kind] = frozenset(
    {
        "count",
        "sum",
        "trend",
        "open_count",
        "members_due",
        "local_month_day",
        "local_weekday",
    }
)
_WHOLE: frozenset[Kind] = _NEVER_UNKNOWN | {
    "count_since_last",
    "months_since_last",
    "months_since_last_up",
    "months_since_first",
    "months_since_first_up",
    "months_since_date",
    "months_since_date_up",
    "days_until_date",
    "days_until_anniversary",
    "days_until_recall",
}
# Amounts may be negative (a credit note), so a sum has no lower bound.
_FROM_ZERO: tuple[Kind, ...] = (
    "count",
    "open_count",
    "members_due",
    "count_since_last",
    "months_since_last",
    "months_since_last_up",
    "months_since_first",
    "months_since_first_up",
    "months_since_date",
    "months_since_date_up",
    "days_since_last",
    "days_since_first",
    "median_interval_days",
    "median_latency_days",
    "oldest_open_days",
    "days_until_next",
    "days_until_anniversary",
    "interval_ratio",
    "share",
)
_LOWEST: dict[Kind, float] = {**dict.fromkeys(_FROM_ZERO, 0.0), "local_weekday": 1.0}
_HIGHEST: dict[Kind, float] = {"local_weekday": 7, "days_until_anniversary": 365}
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAYS_OF_YEAR = tuple(
    month * 100 + day
    for month, days in enumerate(_DAYS_IN_MONTH, start=1)
    for day in range(1, days + 1)
)
_VALID_DAYS = frozenset(DAYS_OF_YEAR)


@dataclass(frozen=True, slots=True)
class Domain:
    """The values of a feature.

    Attributes:
        type: number, text or flag.
        unknown: whether it may be unknown.
        numbers: which numbers between the bounds.
        low, high: bounds, both included.
        texts: the only texts there are; empty if any.
    """

    type: LeafType
    unknown: bool = True
    numbers: Numbers = "real"
    low: float = -math.inf
    high: float = math.inf
    texts: tuple[str, ...] = ()

    def has(self, value: Scalar) -> bool:
        """Whether the feature can have this value; None is unknown."""
        if value is None:
            return self.unknown
        if isinstance(value, str):
            return not self.texts or value in self.texts
        return isinstance(value, bool) or self._has_number(value)

    def _has_number(self, value: float) -> bool:
        if self.numbers == "day_of_year":
            return value in _VALID_DAYS
        inside = self.low <= value <= self.high
        return inside and (self.numbers == "real" or float(value).is_integer())

    def between(self, low: float, high: float) -> float | None:
        """A value strictly between two numbers; None if the feature has none."""
        low, high = max(low, _below(self.low)), min(high, _above(self.high))
        if self.numbers == "day_of_year":
            return next((day for day in DAYS_OF_YEAR if low < day < high), None)
        choose = _whole_between if self.numbers == "whole" else _real_between
        found = choose(low, high)
        return found if low < found < high else None


def domain_of(spec: Feature, type_: LeafType, vocabulary: Vocabulary) -> Domain:
    """What is known of a feature that a leaf of this type looks at."""
    fields = [field for field in vocabulary.fields.values() if field.source.name == spec.name]
    if type_ != "number":
        texts = _texts(fields) if type_ == "text" else ()
        return Domain(type_, texts=texts)
    if spec.kind == "local_month_day":
        return Domain(type_, unknown=False, numbers="day_of_year")
    low, high = _bounds(fields)
    highest = _HIGHEST.get(spec.kind, math.inf)
    if spec.kind == "share" and set(spec.types) <= set(spec.of_types):
        highest = 1
    return Domain(
        type_,
        unknown=spec.kind not in _NEVER_UNKNOWN,
        numbers="whole" if spec.kind in _WHOLE else "real",
        low=max(low, _LOWEST.get(spec.kind, -math.inf)),
        high=min(high, highest),
    )


def _bounds(fields: Iterable[Field]) -> tuple[float, float]:
    """The widest bounds of the fields that read one feature."""
    known = [f for f in fields if f.type == "number"]
    lows = [-math.inf if f.low is None else f.low for f in known]
    highs = [math.inf if f.high is None else f.high for f in known]
    return min(lows, default=-math.inf), max(highs, default=math.inf)


def _texts(fields: Iterable[Field]) -> tuple[str, ...]:
    lists = [field.one_of for field in fields if field.type == "text"]
    if not lists or not all(lists):
        return ()
    return tuple(dict.fromkeys(text for texts in lists for text in texts))


def _below(low: float) -> float:
    return math.nextafter(low, -math.inf)


def _above(high: float) -> float:
    return math.nextafter(high, math.inf)


def _whole_between(low: float, high: float) -> float:
    if low == -math.inf:
        return 0 if high == math.inf else math.ceil(high) - 1
    return math.floor(low) + 1


def _real_between(low: float, high: float) -> float:
    if low == -math.inf:
        return 0.0 if high == math.inf else high - max(1.0, abs(high) / 2)
    if high == math.inf:
        return low + max(1.0, abs(low) / 2)
    return (low + high) / 2
