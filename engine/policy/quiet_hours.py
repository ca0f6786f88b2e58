"""Quiet hours: when a message may leave, in the contact's own wall-clock time."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.policy.settings import Window

_SEARCH_DAYS = 15  # two weeks and a day: every weekday occurs at least twice


def zone_or_utc(name: str | None) -> ZoneInfo:
    """Return the zone of that IANA name; UTC where there is none."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


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
    never meet. A start in the hour that daylight saving skips moves to the hour after it.
    """
    local = at.astimezone(zone)
    for days in range(_SEARCH_DAYS):
        day = local.date() + timedelta(days=days)
        window = windows[day.weekday()]
        if window is None:
            continue
        start, end = max(window[0], slot[0]), min(window[1], slot[1])
        if start >= end:
            continue
        opens = _utc_of(day, start, zone)
        if opens >= at:
            return opens
        if at < _utc_of(day, end, zone):
            return at.astimezone(UTC)
    return None


def _utc_of(day: date, minute: int, zone: ZoneInfo) -> datetime:
    wall = datetime.combine(day, time(0)) + timedelta(minutes=minute)
    return wall.replace(tzinfo=zone).astimezone(UTC)
