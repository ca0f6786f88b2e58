"""Days on which nothing leaves, from the rules that name them."""

from datetime import date, timedelta

from engine.policy.settings import Holiday


def holidays_of(holidays: tuple[Holiday, ...], year: int) -> dict[str, frozenset[date]]:
    """Return, by region, the days of a year on which nothing leaves."""
    found: dict[str, set[date]] = {}
    for holiday in holidays:
        day = _day_of(holiday, year)
        if day is not None:
            found.setdefault(holiday.region, set()).add(day)
    return {region: frozenset(days) for region, days in found.items()}


def _day_of(holiday: Holiday, year: int) -> date | None:
    if holiday.date:
        single = date.fromisoformat(holiday.date)
        return single if single.year == year else None
    if holiday.easter is not None:
        return easter(year) + timedelta(days=holiday.easter)
    if holiday.nth == 0:
        try:
            return date(year, holiday.month, holiday.day)
        except ValueError:  # 29 February
            return None
    return _nth_weekday(year, holiday)


def _nth_weekday(year: int, holiday: Holiday) -> date:
    if holiday.nth > 0:
        first = date(year, holiday.month, 1)
        ahead = (holiday.weekday - first.weekday()) % 7
        return first + timedelta(days=ahead + 7 * (holiday.nth - 1))
    following = date(year + holiday.month // 12, holiday.month % 12 + 1, 1)
    last = following - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - holiday.weekday) % 7)


def easter(year: int) -> date:
    """Return Easter Sunday of a Gregorian year (Meeus, Jones and Butcher's computation).

    >>> easter(2026).isoformat()
    '2026-04-05'
    """
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1)
