"""Quiet hours: when a message may leave, in the contact's own wall-clock time."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.policy.settings import Window

_SEARCH_DAYS = 15  # two weeks and a day: every weekday occurs at least twice


def zone_or_utc(*names: str | None) -> ZoneInfo:
    """Return the zone of the first IANA name that is one; UTC where none is.

    >>> zone_or_utc("Mars/Phobos", "America/New_York").key
    'America/New_York'
    """
    return next((zone for zone in map(_zone, names) if zone is not None), ZoneInfo("UTC"))


@lru_cache(maxsize=1024)
def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def is_allowed_at(at: datetime, zone: ZoneInfo, windows: Sequence[Window]) -> bool:
    """Tell whether a message may leave at `at` (aware) to somebody who lives in `zone`."""
    local = at.astimezone(zone)
    window = windows[local.weekday()]
    minute = local.hour * 60 + local.minute
    return window is not None and window[0] <= minute < window[1]


def next_allowed_at(
    at: datetime, zone: ZoneInfo, windows: Sequence[Window], *, slot: tuple[int, int] = (0, 1440)
) -> datetime | None:
    """Return the earliest moment, not before `at`, within the windows and the slot; UTC.

    `slot` is a part of the day in minutes after local midnight, [start, end). None if the two
    never meet. A start that daylight saving skips moves to the moment the clocks have moved; of an
    hour that comes twice the second pass is left out.
    """
    span = next_span(at, zone, windows, slot=slot)
    return None if span is None else span[0]


def next_span(
    at: datetime, zone: ZoneInfo, windows: Sequence[Window], *, slot: tuple[int, int] = (0, 1440)
) -> tuple[datetime, datetime] | None:
    """Return the next span, [start, end) in UTC, as `next_allowed_at`; from `at` if it is open."""
    today = at.astimezone(zone).date()
    for days in range(_SEARCH_DAYS):
        day = today + timedelta(days=days)
        window = windows[day.weekday()]
        if window is None:
            continue
        start, end = max(window[0], slot[0]), min(window[1], slot[1])
        if start >= end:
            continue
        opens, closes = max(at.astimezone(UTC), _utc_of(day, start, zone)), _utc_of(day, end, zone)
        if opens < closes:
            return opens, closes
    return None


def _utc_of(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """The first moment whose wall clock shows at least this time of this day."""
    wall = datetime.combine(day, time(0)) + timedelta(minutes=minute)
    early, late = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early.astimezone(zone).replace(tzinfo=None) == wall:
        return early
    # the clocks skip this time: the change lies between the two readings, to the second
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // timedelta(seconds=2) * timedelta(seconds=1)
        before = middle.astimezone(zone).replace(tzinfo=None) < wall
        early, late = (middle, late) if before else (early, middle)
    return late
