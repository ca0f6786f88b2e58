"""Which events a feature's value rests on, so that a person can check it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.features.contact_history import History, HistoryEvent, Moment, moments_of
from engine.features.spec import Feature, Kind
from engine.features.wall_clock import DAY_US


def evidence(
    events: Iterable[HistoryEvent], spec: Feature, *, as_of: datetime, zone: ZoneInfo
) -> tuple[HistoryEvent, ...]:
    """The events behind a feature, newest first; of an age or a value only the one it is of.

    For a feature about a subject, `events` are those about that subject. Empty for what events
    don't give, and for members_due, whose events are other people's.
    """
    history = History(moments_of(events, as_of, zone), {})
    choose = _CHOSEN.get(spec.kind, _all)
    found = sorted(choose(history, spec), key=lambda moment: moment.instant, reverse=True)
    return tuple(moment.event for moment in found)


def _all(history: History, spec: Feature) -> Sequence[Moment]:
    return history.moments(spec.types)


def _windowed(history: History, spec: Feature) -> Sequence[Moment]:
    types = tuple(dict.fromkeys((*spec.types, *spec.of_types)))
    halves = 2 if spec.kind in {"trend", "mean_change"} else 1
    limit = None if spec.window_days is None else halves * spec.window_days * DAY_US
    return [m for m in history.moments(types) if limit is None or m.age <= limit]


def _newest(history: History, spec: Feature) -> Sequence[Moment]:
    return _one(history, spec, min)


def _oldest(history: History, spec: Feature) -> Sequence[Moment]:
    return _one(history, spec, max)


def _one(history: History, spec: Feature, pick: Callable[..., Moment]) -> Sequence[Moment]:
    moments = history.moments(spec.types)
    return [pick(moments, key=lambda moment: moment.age)] if moments else []


def _valued(history: History, spec: Feature) -> Sequence[Moment]:
    """The newest event with a number; of a change, the one before it too."""
    wanted = 2 if spec.kind == "value_change" else 1
    instants = {instant for instant, _, _ in history.values(spec.types)[:wanted]}
    return [
        moment
        for moment in history.moments(spec.types)
        if moment.event.value is not None and moment.instant in instants
    ]


def _since(history: History, spec: Feature) -> Sequence[Moment]:
    """The anchor and what came after it."""
    anchors = history.moments((spec.anchor or "",))
    if not anchors:
        return []
    anchor = max(anchors, key=lambda moment: moment.instant)
    later = [m for m in history.moments(spec.types) if m.instant > anchor.instant]
    return [anchor, *later]


def _opened(history: History, spec: Feature) -> Sequence[Moment]:
    limit = None if spec.window_days is None else spec.window_days * DAY_US
    opened = history.opened(spec.types, spec.closed_by)
    return [moment for moment in opened if limit is None or moment.age <= limit]


def _ahead(history: History, spec: Feature) -> Sequence[Moment]:
    return [
        moment
        for moment in history.moments(spec.types)
        if moment.event.starts_at is not None and moment.event.starts_at > history.as_of
    ]


def _nothing(history: History, spec: Feature) -> Sequence[Moment]:  # noqa: ARG001 - one shape
    return []


_CHOSEN: dict[Kind, Callable[[History, Feature], Sequence[Moment]]] = {
    "count": _windowed,
    "sum": _windowed,
    "share": _windowed,
    "trend": _windowed,
    "mean_value": _windowed,
    "mean_change": _windowed,
    "median_lead_days": _windowed,
    "distinct_count": _windowed,
    "top_share": _windowed,
    "days_since_last": _newest,
    "months_since_last": _newest,
    "months_since_last_up": _newest,
    "days_until_recall": _newest,
    "days_since_first": _oldest,
    "months_since_first": _oldest,
    "months_since_first_up": _oldest,
    "last_value": _valued,
    "value_change": _valued,
    "count_since_last": _since,
    "open_count": _opened,
    "oldest_open_days": _opened,
    "days_until_next": _ahead,
    "members_due": _nothing,
}
