"""Quiet hours: when a message may leave, in the contact's own wall-clock time.

The tenant's windows, within the law of the contact's regions, and never on a holiday.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.policy.holidays import holidays_of
from engine.policy.settings import PolicyData, Window

_SEARCH_DAYS = 22  # a week without any window and the longest row of holidays, twice over
_COUNTRY = 2  # letters of 'US' in 'US-NY'


def zone_or_utc(*names: str | None) -> ZoneInfo:
    """Return the zone of the first IANA name that is one; UTC where none is.

    >>> zone_or_utc("Mars/Phobos", "America/New_York").key
    'America/New_York'
    """
    return next((zone for zone in map(_zone, names) if zone is not None), ZoneInfo("UTC"))


def is_zone(name: str | None) -> bool:
    """Tell whether there is an IANA zone of this name."""
    return _zone(name) is not None


@lru_cache(maxsize=1024)
def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contact is: one zone, and the regions whose law may hold."""

    zone: ZoneInfo
    regions: tuple[str, ...]


@lru_cache(maxsize=4096)
def place(name: str) -> Place:
    """Return the place of a text like 'America/New_York@US-NY,US-CT'; UTC for an unknown zone."""
    zone, _, regions = name.partition("@")
    return Place(zone_or_utc(zone), tuple(r for r in regions.split(",") if r))


def window_on(day: date, where: Place, policy: PolicyData) -> Window:
    """Return what is open on a local day, minutes after midnight; None: nothing."""
    opened = policy.windows[day.weekday()]
    if opened is None or _is_closed(day, where, policy):
        return None
    start, end = opened
    for region in where.regions:
        legal = _legal(policy).get(region)
        if legal is None:
            continue
        allowed = legal[day.weekday()]
        if allowed is None:
            return None
        start, end = max(start, allowed[0]), min(end, allowed[1])
    return (start, end) if start < end else None


def is_open(at: datetime, where: Place, policy: PolicyData) -> bool:
    """Tell whether a message may leave at `at` (aware)."""
    local = at.astimezone(where.zone)
    window = window_on(local.date(), where, policy)
    return window is not None and window[0] <= local.hour * 60 + local.minute < window[1]


def next_open(
    at: datetime, where: Place, policy: PolicyData, *, slot: tuple[int, int] = (0, 1440)
) -> tuple[datetime, datetime] | None:
    """Return the next span, [start, end) in UTC, within the windows and the slot.

    It begins at `at` if it is open then. `slot` is a part of the local day in minutes. None if the
    two never meet. A start that daylight saving skips moves to the moment the clocks have moved;
    of an hour that comes twice the second pass is left out.
    """
    if not any(w and max(w[0], slot[0]) < min(w[1], slot[1]) for w in policy.windows):
        return None
    today = at.astimezone(where.zone).date()
    for days in range(_SEARCH_DAYS):
        day = today + timedelta(days=days)
        window = window_on(day, where, policy)
        if window is None:
            continue
        start, end = max(window[0], slot[0]), min(window[1], slot[1])
        if start >= end:
            continue
        opens = max(at.astimezone(UTC), utc_of(day, start, where.zone))
        closes = utc_of(day, end, where.zone)
        if opens < closes:
            return opens, closes
    return None


@lru_cache(maxsize=64)
def _legal(policy: PolicyData) -> dict[str, tuple[Window, ...]]:
    return {each.region: each.windows for each in policy.legal}


def _is_closed(day: date, where: Place, policy: PolicyData) -> bool:
    closed = _holidays(policy, day.year)
    return bool(closed) and any(day in closed.get(r, ()) for r in _with_countries(where.regions))


@lru_cache(maxsize=512)
def _holidays(policy: PolicyData, year: int) -> dict[str, frozenset[date]]:
    # by policy: its hash is one of a digest, that of all its holidays is dear
    return holidays_of(policy.holidays, year)


@lru_cache(maxsize=1024)
def _with_countries(regions: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("*", *regions, *(r[:_COUNTRY] for r in regions))))


def utc_of(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """Return the first moment whose wall clock shows at least this time of this day."""
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
