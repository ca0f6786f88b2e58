"""The contact's own clock: zones, wall-clock microseconds and whole calendar months.

Both feature interpreters read Python's time zone database through this module; a second
database (polars ships one) would differ from it after the next change of law.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

DAY_US = 86_400_000_000
EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC).toordinal()  # as `date.toordinal` counts
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Outside these years (imports use 9999-12-31 for 'never') shifting a time zone would overflow.
_ZONED_YEARS = range(2, 9999)


@lru_cache(maxsize=1024)
def zone_of(name: str | None) -> ZoneInfo:
    """The IANA zone of that name; UTC when the name is null or unknown, as an import may bring."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def instant_us(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def wall_us(moment: datetime, zone: tzinfo) -> int:
    """Microseconds since 1970-01-01 00:00 on the wall clock of `zone` at an aware `moment`."""
    local = moment.astimezone(zone if moment.year in _ZONED_YEARS else UTC)
    seconds = (
        (local.toordinal() - EPOCH_DAY) * 86_400
        + local.hour * 3600
        + local.minute * 60
        + local.second
    )
    return seconds * 1_000_000 + local.microsecond


def wall_us_of(instants_us: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """`wall_us` for many instants (int64 microseconds UTC), by the same time zone database."""
    if not len(instants_us):
        return instants_us.copy()
    years = instants_us.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    wall = np.empty_like(instants_us)
    for year in np.unique(years):
        of_year = np.flatnonzero(years == year)
        starts, offsets = _offsets(zone.key, int(year))
        part = instants_us[of_year]
        wall[of_year] = part + offsets[np.searchsorted(starts, part, side="right") - 1]
    return wall


@lru_cache(maxsize=4096)
def _offsets(zone_name: str, year: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts (UTC microseconds) and offsets (microseconds) of the spells of one UTC year.

    Probes each midnight and halves the day in which the offset changed, so it assumes at most
    one change a day, which holds for the whole database.
    """
    if year not in _ZONED_YEARS:
        return np.array([np.iinfo(np.int64).min]), np.zeros(1, dtype=np.int64)
    zone = ZoneInfo(zone_name)
    first = datetime(year, 1, 1, tzinfo=UTC)
    starts, offsets = [instant_us(first)], [_offset(first, zone)]
    for day in range(366):
        low, high = first + timedelta(days=day), first + timedelta(days=day + 1)
        after = _offset(high, zone)
        if after == offsets[-1]:
            continue
        while high - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
            low, high = (low, middle) if _offset(middle, zone) == after else (middle, high)
        starts.append(instant_us(high))
        offsets.append(after)
    return np.array(starts, dtype=np.int64), np.array(offsets, dtype=np.int64)


class Spell(NamedTuple):
    """A time without a change of the clock: [start, end) in UTC; all in microseconds."""

    start: int
    end: int
    offset: int


def spells(zone: ZoneInfo, first_us: int, last_us: int) -> list[Spell]:
    """The spells of a zone from `first_us` to `last_us` (UTC microseconds), cut to that range."""
    starts: list[int] = []
    offsets: list[int] = []
    for year in range(_utc_year(first_us), _utc_year(last_us) + 1):
        for start, offset in zip(*_offsets(zone.key, year), strict=True):
            if not offsets or offset != offsets[-1]:
                starts.append(int(start))
                offsets.append(int(offset))
    ends = [*starts[1:], last_us + 1]
    return [
        Spell(max(start, first_us), min(end, last_us + 1), offset)
        for start, end, offset in zip(starts, ends, offsets, strict=True)
        if start <= last_us and end > first_us
    ]


def _utc_year(instant: int) -> int:
    return (_EPOCH + timedelta(microseconds=instant)).year


def _offset(moment: datetime, zone: tzinfo) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return 0 if offset is None else offset // _MICROSECOND


class WholeMonths(NamedTuple):
    """Whole calendar months between two wall-clock times, rounded down and up."""

    down: Any
    up: Any


def whole_months(earlier_us: NDArray[np.int64], later_us: NDArray[np.int64]) -> WholeMonths:
    """Months from `earlier` to `later` (wall-clock microseconds), elementwise, never below 0.

    `down` is the largest n with earlier <= later minus n months, `up` the smallest n with
    earlier >= later minus n months, where a shorter month ends earlier: one month before
    31 March is 28 or 29 February at the same time of day.
    """
    earlier_month = earlier_us.astype("datetime64[us]").astype("datetime64[M]")
    later_month = later_us.astype("datetime64[us]").astype("datetime64[M]")
    months = (later_month - earlier_month).astype(np.int64)
    month_start = earlier_month.astype("datetime64[us]").astype(np.int64)
    month_end = (earlier_month + np.timedelta64(1, "M")).astype("datetime64[us]").astype(np.int64)
    into_later = later_us - later_month.astype("datetime64[us]").astype(np.int64)
    time_of_day = np.mod(later_us, DAY_US)
    last_of_month = month_end - DAY_US + time_of_day
    shifted = np.minimum(month_start + into_later, last_of_month)
    down = np.where(earlier_us <= shifted, months, months - 1)
    up = np.where(earlier_us >= shifted, months, months + 1)
    return WholeMonths(np.maximum(down, 0), np.maximum(up, 0))
