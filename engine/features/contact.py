"""Features of one contact, in plain Python: the real-time interpreter of `spec.Feature`."""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from re import compile as pattern
from zoneinfo import ZoneInfo

from engine.features.spec import Feature, Kind, Scalar
from engine.features.wall_clock import DAY_US, instant_us, wall_us

ISO_DATE = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_ISO_DATE = pattern(ISO_DATE.replace("$", r"\Z"))
_WALL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time has no zone


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One event of a contact.

    Attributes:
        type: noun.verb, e.g. 'appointment.no_show'.
        occurred_at: aware UTC.
        amount_cents: money of the event, None where there is none.
        subject: what it is about, e.g. 'appointment:5642903', or None.
        starts_at: aware UTC; when the booked thing takes place, or None.
    """

    type: str
    occurred_at: datetime
    amount_cents: int | None = None
    subject: str | None = None
    starts_at: datetime | None = None


def features_of(
    attributes: Mapping[str, Scalar],
    events: Sequence[HistoryEvent],
    specs: Sequence[Feature],
    *,
    as_of: datetime,
    zone: ZoneInfo,
) -> dict[str, Scalar]:
    """Value of every spec for one contact, by feature name.

    Args:
        attributes: what is known of the contact itself; a missing key is None.
        events: the contact's history in any order; events after `as_of` are left out.
        specs: what to compute.
        as_of: aware moment of the question.
        zone: the contact's zone, see `wall_clock.zone_of`.
    """
    history = _History(attributes, events, as_of, zone)
    return {spec.name: _COMPUTE[spec.kind](history, spec) for spec in specs}


@dataclass(frozen=True, slots=True)
class _Timeline:
    """Past events of some types, youngest first; ages in wall-clock microseconds, 0 or more."""

    ages: list[int]
    amounts: list[int]
    instants: list[int]  # ascending, so not in the order of ages


class _History:
    """One contact's events, converted once and indexed by type."""

    def __init__(
        self,
        attributes: Mapping[str, Scalar],
        events: Sequence[HistoryEvent],
        as_of: datetime,
        zone: ZoneInfo,
    ) -> None:
        self.attributes = attributes
        self.as_of = as_of
        self.zone = zone
        self.now = wall_us(as_of, zone)
        self.by_type: dict[str, list[tuple[int, int, int]]] = {}
        self._past = [event for event in events if event.occurred_at <= as_of]
        self._timelines: dict[tuple[str, ...], _Timeline] = {}
        for event in self._past:
            at = event.occurred_at
            row = (
                max(0, self.now - wall_us(at, zone)),
                event.amount_cents or 0,
                instant_us(at),
            )
            self.by_type.setdefault(event.type, []).append(row)

    def timeline(self, types: tuple[str, ...]) -> _Timeline:
        found = self._timelines.get(types)
        if found is None:
            rows: list[tuple[int, int, int]] = []
            for one in dict.fromkeys(types):
                rows += self.by_type.get(one, ())
            rows.sort()
            found = self._timelines[types] = _Timeline(
                [row[0] for row in rows],
                [row[1] for row in rows],
                sorted(row[2] for row in rows),
            )
        return found

    def count(self, types: tuple[str, ...], window_days: int | None) -> int:
        ages = self.timeline(types).ages
        return len(ages) if window_days is None else bisect_right(ages, window_days * DAY_US)

    @cached_property
    def today(self) -> date:
        return self.wall(self.now).date()

    @staticmethod
    def wall(at_us: int) -> datetime:
        return _WALL_EPOCH + timedelta(microseconds=at_us)

    def open_starts(self, spec: Feature) -> list[datetime]:
        """Start times after `as_of` of bookings that nothing has ended since."""
        closed: dict[str, datetime] = {}
        for event in self._past:
            if event.subject is not None and event.type in spec.closed_by:
                last = closed.get(event.subject, event.occurred_at)
                closed[event.subject] = max(last, event.occurred_at)
        return [
            event.starts_at
            for event in self._past
            if event.starts_at is not None
            and event.starts_at > self.as_of
            and event.type in spec.types
            and (
                event.subject is None
                or event.subject not in closed
                or closed[event.subject] <= event.occurred_at
            )
        ]


def _attribute(history: _History, spec: Feature) -> Scalar:
    return history.attributes.get(spec.attribute or spec.name)


def _count(history: _History, spec: Feature) -> Scalar:
    return history.count(spec.types, spec.window_days)


def _sum(history: _History, spec: Feature) -> Scalar:
    timeline = history.timeline(spec.types)
    return sum(timeline.amounts[: history.count(spec.types, spec.window_days)])


def _days_since_last(history: _History, spec: Feature) -> float | None:
    ages = history.timeline(spec.types).ages
    return ages[0] / DAY_US if ages else None


def _days_since_first(history: _History, spec: Feature) -> Scalar:
    ages = history.timeline(spec.types).ages
    return ages[-1] / DAY_US if ages else None


def _months_since_last(history: _History, spec: Feature) -> Scalar:
    months = _whole_months(history, spec)
    return None if months is None else months[0]


def _months_since_last_up(history: _History, spec: Feature) -> Scalar:
    months = _whole_months(history, spec)
    return None if months is None else months[1]


def _whole_months(history: _History, spec: Feature) -> tuple[int, int] | None:
    """Whole months since the newest event, rounded down and up; a shorter month ends earlier."""
    ages = history.timeline(spec.types).ages
    if not ages:
        return None
    now, then = history.wall(history.now), history.wall(history.now - ages[0])
    months = (now.year - then.year) * 12 + now.month - then.month
    day = min(now.day, monthrange(then.year, then.month)[1])
    shifted = now.replace(year=then.year, month=then.month, day=day)
    return max(0, months - (then > shifted)), max(0, months + (then < shifted))


def _count_since_last(history: _History, spec: Feature) -> Scalar:
    anchors = history.timeline((spec.anchor or "",)).instants
    if not anchors:
        return None
    instants = history.timeline(spec.types).instants
    return len(instants) - bisect_right(instants, anchors[-1])


def _median_interval_days(history: _History, spec: Feature) -> float | None:
    now = history.now
    days = sorted({(now - age) // DAY_US for age in history.timeline(spec.types).ages})
    gaps = sorted(later - earlier for earlier, later in pairwise(days))
    if not gaps:
        return None
    middle = len(gaps) // 2
    return float(gaps[middle]) if len(gaps) % 2 else (gaps[middle - 1] + gaps[middle]) / 2


def _days_until_next(history: _History, spec: Feature) -> Scalar:
    starts = [wall_us(at, history.zone) for at in history.open_starts(spec)]
    return max(0, min(starts) - history.now) / DAY_US if starts else None


def _share(history: _History, spec: Feature) -> Scalar:
    whole = history.count(spec.of_types, spec.window_days)
    return history.count(spec.types, spec.window_days) / whole if whole else None


def _trend(history: _History, spec: Feature) -> Scalar:
    ages = history.timeline(spec.types).ages
    window = (spec.window_days or 0) * DAY_US
    last, both = bisect_right(ages, window), bisect_right(ages, 2 * window)
    return last - (both - last)


def _interval_ratio(history: _History, spec: Feature) -> Scalar:
    since, usual = _days_since_last(history, spec), _median_interval_days(history, spec)
    return None if since is None or usual is None else since / usual


def _days_until_date(history: _History, spec: Feature) -> Scalar:
    text = history.attributes.get(spec.attribute or spec.name)
    if not isinstance(text, str) or not _ISO_DATE.match(text):
        return None
    try:
        return (date.fromisoformat(text) - history.today).days
    except ValueError:  # such as 2026-02-30
        return None


def _local_month_day(history: _History, spec: Feature) -> Scalar:  # noqa: ARG001 - one shape for all
    return history.today.month * 100 + history.today.day


_COMPUTE: dict[Kind, Callable[[_History, Feature], Scalar]] = {
    "attribute": _attribute,
    "count": _count,
    "sum": _sum,
    "days_since_last": _days_since_last,
    "days_since_first": _days_since_first,
    "months_since_last": _months_since_last,
    "months_since_last_up": _months_since_last_up,
    "count_since_last": _count_since_last,
    "median_interval_days": _median_interval_days,
    "days_until_next": _days_until_next,
    "share": _share,
    "trend": _trend,
    "interval_ratio": _interval_ratio,
    "days_until_date": _days_until_date,
    "local_month_day": _local_month_day,
}
