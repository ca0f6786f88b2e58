"""Features of one contact, in plain Python: the real-time interpreter of `spec.Feature`."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from engine.features.contact_dates import (
    days_until_anniversary,
    days_until_date,
    days_until_recall,
    holiday,
    local_month_day,
    local_weekday,
    members_due,
    months_since_date,
    months_since_first,
    months_since_last,
)
from engine.features.contact_habits import (
    distinct_count,
    interval_spread,
    mean_change,
    median_lead_days,
    season_count,
    top_share,
)
from engine.features.contact_history import MILLION, History, HistoryEvent, Moment, moments_of
from engine.features.spec import CONTACT, Feature, Kind, Scalar
from engine.features.wall_clock import DAY_US, wall_us

__all__ = ["HistoryEvent", "features_of", "values_of"]


def features_of(
    attributes: Mapping[str, Scalar],
    events: Iterable[HistoryEvent],
    specs: Sequence[Feature],
    *,
    as_of: datetime,
    zone: ZoneInfo,
    holidays: frozenset[date] | None = None,
) -> dict[str, Scalar]:
    """Value of every spec of scope 'contact' for one contact, by feature name.

    Args:
        attributes: what is known of the contact itself; a missing key is None.
        events: the contact's history in any order, and for members_due that of the other
            members of its account; events after `as_of` are left out.
        specs: what to compute; those about a subject are left to `subjects.subjects_of`.
        as_of: aware moment of the question.
        zone: the contact's zone, see `wall_clock.zone_of`.
        holidays: the tenant's public holidays; None if they are not known.
    """
    history = History(moments_of(events, as_of, zone), attributes, holidays)
    return values_of(history, (spec for spec in specs if spec.scope == CONTACT))


def values_of(history: History, specs: Iterable[Feature]) -> dict[str, Scalar]:
    """Value of every spec, whatever its scope, computed from this history."""
    return {spec.name: _COMPUTE[spec.kind](history, spec) for spec in specs}


def _attribute(history: History, spec: Feature) -> Scalar:
    return history.attributes.get(spec.attribute or spec.name)


def _has(history: History, spec: Feature) -> Scalar:
    items = history.given(spec, "list")
    return f"\n{spec.value}\n" in f"\n{items}\n" if isinstance(items, str) else None


def _property(history: History, spec: Feature) -> Scalar:
    return history.property(spec.types, spec.property or spec.name, spec.value_type)


def _count(history: History, spec: Feature) -> Scalar:
    return history.count(spec.types, spec.window_days)


def _sum(history: History, spec: Feature) -> Scalar:
    timeline = history.timeline(spec.types)
    return sum(timeline.amounts[: history.count(spec.types, spec.window_days)])


def _days_since_last(history: History, spec: Feature) -> float | None:
    ages = history.timeline(spec.types).ages
    return ages[0] / DAY_US if ages else None


def _days_since_first(history: History, spec: Feature) -> Scalar:
    ages = history.timeline(spec.types).ages
    return ages[-1] / DAY_US if ages else None


def _count_since_last(history: History, spec: Feature) -> Scalar:
    anchors = history.timeline((spec.anchor or "",)).instants
    if not anchors:
        return None
    instants = history.timeline(spec.types).instants
    return len(instants) - bisect_right(instants, anchors[-1])


def _median_interval_days(history: History, spec: Feature) -> float | None:
    now = history.now
    days = sorted({(now - age) // DAY_US for age in history.timeline(spec.types).ages})
    return _median([later - earlier for earlier, later in pairwise(days)])


def _median(numbers: list[int]) -> float | None:
    if not numbers:
        return None
    numbers.sort()
    middle = len(numbers) // 2
    return (numbers[(len(numbers) - 1) // 2] + numbers[middle]) / 2


def _days_until_next(history: History, spec: Feature) -> Scalar:
    """Unlike what `History.opened` holds, a booking without a subject stands until its start."""
    closed = history.by_subject(spec.closed_by)
    starts = [
        wall_us(event.starts_at, history.zone)
        for _, instant, event in history.moments(spec.types)
        if event.starts_at is not None
        and event.starts_at > history.as_of
        and (
            event.subject is None
            or event.subject not in closed
            or closed[event.subject][-1].instant <= instant
        )
    ]
    return max(0, min(starts) - history.now) / DAY_US if starts else None


def _share(history: History, spec: Feature) -> Scalar:
    whole = history.count(spec.of_types, spec.window_days)
    return history.count(spec.types, spec.window_days) / whole if whole else None


def _trend(history: History, spec: Feature) -> Scalar:
    window = spec.window_days or 0
    return 2 * history.count(spec.types, window) - history.count(spec.types, 2 * window)


def _interval_ratio(history: History, spec: Feature) -> Scalar:
    since, usual = _days_since_last(history, spec), _median_interval_days(history, spec)
    return None if since is None or usual is None else since / usual


def _last_value(history: History, spec: Feature) -> Scalar:
    values = history.values(spec.types)
    return values[0][1] / MILLION if values else None


def _mean_value(history: History, spec: Feature) -> Scalar:
    dated = history.values(spec.types)
    values = [value for _, value, age in dated if _within(age, spec.window_days)]
    return float(sum(values)) / float(len(values) * MILLION) if values else None


def _value_change(history: History, spec: Feature) -> Scalar:
    values = history.values(spec.types)
    return (values[0][1] - values[1][1]) / MILLION if len(values) > 1 else None


def _open_count(history: History, spec: Feature) -> Scalar:
    return len({moment.event.subject for moment in _opened(history, spec)})


def _oldest_open_days(history: History, spec: Feature) -> Scalar:
    ages = [moment.age for moment in _opened(history, spec)]
    return max(ages) / DAY_US if ages else None


def _opened(history: History, spec: Feature) -> list[Moment]:
    opened = history.opened(spec.types, spec.closed_by)
    return [moment for moment in opened if _within(moment.age, spec.window_days)]


def _median_latency_days(history: History, spec: Feature) -> Scalar:
    answers = history.by_subject(spec.of_types)
    waits = []
    for subject, asked in history.by_subject(spec.types).items():
        replies = answers.get(subject, ())
        for one in asked:
            at = bisect_right(replies, one.instant, key=lambda moment: moment.instant)
            if at < len(replies) and _within(replies[at].age, spec.window_days):
                waits.append(max(0, one.age - replies[at].age))
    median = _median(waits)
    return None if median is None else median / DAY_US


def _within(age_us: int, window_days: int | None) -> bool:
    return window_days is None or age_us <= window_days * DAY_US


_COMPUTE: dict[Kind, Callable[[History, Feature], Scalar]] = {
    "attribute": _attribute,
    "has": _has,
    "count": _count,
    "sum": _sum,
    "days_since_last": _days_since_last,
    "days_since_first": _days_since_first,
    "months_since_last": months_since_last,
    "months_since_last_up": months_since_last,
    "months_since_first": months_since_first,
    "months_since_first_up": months_since_first,
    "count_since_last": _count_since_last,
    "median_interval_days": _median_interval_days,
    "days_until_next": _days_until_next,
    "share": _share,
    "trend": _trend,
    "interval_ratio": _interval_ratio,
    "last_value": _last_value,
    "mean_value": _mean_value,
    "value_change": _value_change,
    "mean_change": mean_change,
    "interval_spread": interval_spread,
    "median_lead_days": median_lead_days,
    "season_count": season_count,
    "distinct_count": distinct_count,
    "top_share": top_share,
    "open_count": _open_count,
    "oldest_open_days": _oldest_open_days,
    "median_latency_days": _median_latency_days,
    "days_until_date": days_until_date,
    "months_since_date": months_since_date,
    "months_since_date_up": months_since_date,
    "days_until_anniversary": days_until_anniversary,
    "days_until_recall": days_until_recall,
    "members_due": members_due,
    "property": _property,
    "local_month_day": local_month_day,
    "local_weekday": local_weekday,
    "holiday": holiday,
}
