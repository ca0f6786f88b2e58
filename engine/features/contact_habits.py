"""What one contact does by habit: how evenly it comes, how early it books, what it uses."""

from bisect import bisect_right
from collections import Counter
from itertools import pairwise

from engine.features.contact_history import MILLION, History
from engine.features.properties import property_in
from engine.features.spec import Feature, Scalar
from engine.features.wall_clock import DAY_US, wall_us

YEAR_DAYS = 365


def interval_spread(history: History, spec: Feature) -> Scalar:
    ages = history.timeline(spec.types).ages
    days = sorted({(history.now - age) // DAY_US for age in ages})
    gaps = sorted(later - earlier for earlier, later in pairwise(days))
    if len(gaps) < 2:
        return None
    # Twice the median is whole, so the sum is exact.
    twice = gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]
    return sum(abs(2 * gap - twice) for gap in gaps) / (len(gaps) * twice)


def median_lead_days(history: History, spec: Feature) -> Scalar:
    leads = sorted(
        max(0, wall_us(moment.event.starts_at, history.zone) - (history.now - moment.age))
        for moment in history.moments(spec.types)
        if moment.event.starts_at is not None and _within(moment.age, spec.window_days)
    )
    if not leads:
        return None
    middle = len(leads) // 2
    return (leads[(len(leads) - 1) // 2] + leads[middle]) / 2 / DAY_US


def mean_change(history: History, spec: Feature) -> Scalar:
    window = (spec.window_days or 0) * DAY_US
    values = history.values(spec.types)
    now = [value for _, value, age in values if age <= window]
    before = [value for _, value, age in values if window < age <= 2 * window]
    return _mean(now) - _mean(before) if now and before else None


def season_count(history: History, spec: Feature) -> Scalar:
    ages = history.timeline(spec.types).ages
    nearest = YEAR_DAYS - (spec.window_days or 0)
    return bisect_right(ages, YEAR_DAYS * DAY_US) - bisect_right(ages, nearest * DAY_US)


def distinct_count(history: History, spec: Feature) -> Scalar:
    said = _said(history, spec)
    inside = {text for text, age in said if _within(age, spec.window_days)}
    return len(inside) if said else None


def top_share(history: History, spec: Feature) -> Scalar:
    said = _said(history, spec)
    inside = [text for text, age in said if _within(age, spec.window_days)]
    return Counter(inside).most_common(1)[0][1] / len(inside) if inside else None


def _said(history: History, spec: Feature) -> list[tuple[str, int]]:
    """The texts under the property, with the age of each event."""
    found = []
    for moment in history.moments(spec.types):
        if moment.event.properties is not None:
            _, text = property_in(moment.event.properties, spec.property or spec.name, "text")
            if isinstance(text, str):
                found.append((text, moment.age))
    return found


def _mean(millionths: list[int]) -> float:
    return float(sum(millionths)) / float(len(millionths) * MILLION)


def _within(age_us: int, window_days: int | None) -> bool:
    return window_days is None or age_us <= window_days * DAY_US
