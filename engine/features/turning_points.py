"""When a feature's comparison with constants may turn: a superset of moments, found by arithmetic.

Between two neighbours of what `turning_points` returns the contact's wall clock runs evenly and no
event, window, length, month or midnight that the feature looks at is crossed, so a comparison
can't change there. Most of the moments change nothing; `flips.py` evaluates the feature at each.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from math import ceil, floor

from engine.features.contact_dates import in_year, iso_date
from engine.features.contact_habits import YEAR_DAYS
from engine.features.outlook import Dated, Outlook
from engine.features.properties import property_in
from engine.features.spec import Feature, Kind
from engine.features.wall_clock import DAY_US, EPOCH_DAY, instant_us, spells, wall_us

# Clocks are never set back by more than this; what is older is never 'ahead' of a clock set back.
_LONGEST_STEP_US = 2 * DAY_US
_MONTH_STEPS = (-1, 3)  # months around a bound: down, up and a month that ends early
_YEARS = range(1, 9999)


class View:
    """One feature of an outlook with the constants it is compared with, over [first, last].

    `anchors` are the instants from which on the feature's events are other ones: the first moment
    and each at which an event comes into view or a clock set back passes one again.
    """

    def __init__(
        self, outlook: Outlook, spec: Feature, bounds: Sequence[float], first: int, last: int
    ) -> None:
        self.outlook = outlook
        self.spec = spec
        self.bounds = bounds
        self.first = first
        self.last = last
        self.spells = spells(outlook.zone, first, last)
        self.now = first + self.spells[0].offset
        self.until = last + max(spell.offset for spell in self.spells)
        self.events = outlook.needed(spec)
        structural = {spell.start for spell in self.spells} | {
            dated.instant for dated in self.events if first < dated.instant <= last
        }
        recent = [d.wall for d in self.events if d.wall >= self.now - _LONGEST_STEP_US]
        passed = {*recent, *(wall // DAY_US * DAY_US for wall in recent)}
        self.anchors = sorted({first} | structural | set(self.instants(passed)))

    def instants(self, walls: Iterable[int]) -> Iterator[int]:
        """When the contact's clock shows these times: never, once or, set back, twice."""
        for wall in walls:
            for spell in self.spells:
                if spell.start <= wall - spell.offset < spell.end:
                    yield wall - spell.offset

    def of(self, types: Sequence[str]) -> list[Dated]:
        return [d for d in self.events if d.event.type in types]

    def newest(self) -> list[int]:
        """Walls of the events that are the youngest at some time: now, or once they happen."""
        return self._extreme(max)

    def oldest(self) -> list[int]:
        return self._extreme(min)

    def _extreme(self, pick: Callable[[list[int]], int]) -> list[int]:
        mine = self.of(self.spec.types)
        known = [d.wall for d in mine if d.instant <= self.first]
        ahead = [d.wall for d in mine if d.instant > self.first]
        return [*([pick(known)] if known else []), *ahead]


def turning_points(
    outlook: Outlook, spec: Feature, bounds: Sequence[float], first: int, last: int
) -> list[int]:
    """Instants in (first, last], ascending, microseconds UTC.

    `bounds` are the finite numbers that the feature is compared with; those of texts and flags
    and of missing and present have none.
    """
    view = View(outlook, spec, bounds, first, last)
    found = set(view.anchors)
    compute = _WALLS.get(spec.kind)
    if compute is not None:
        near = range(view.now - _LONGEST_STEP_US, view.until + 1)
        found.update(view.instants({wall for wall in compute(view) if wall in near}))
    if spec.kind == "days_until_next":
        found.update(instant for _, instant in _starts(view))
    listed = sorted(found)
    return [at for at in listed[bisect_right(listed, first) :] if at <= last]


# ---------------------------------------------------------------------------------- windows

_TWO_WINDOWS = frozenset({"trend", "mean_change"})


def window_edges(spec: Feature) -> tuple[int, ...]:
    """Ages in days at which an event changes its place: it leaves the window, or enters another."""
    days = spec.window_days
    if spec.kind == "season_count":
        return (YEAR_DAYS - (days or 0), YEAR_DAYS)
    if days is None:
        return ()
    return (days, 2 * days) if spec.kind in _TWO_WINDOWS else (days,)


def _leaving(view: View) -> Iterator[int]:
    """An event is in the window at exactly its length, and out a microsecond later."""
    for dated in view.events:
        for days in window_edges(view.spec):
            yield dated.wall + days * DAY_US + 1
            yield dated.wall + days * DAY_US


# ------------------------------------------------------------------------------------- ages


def _newest_age(view: View) -> Iterator[int]:
    return _lengths(view, view.newest())


def _oldest_age(view: View) -> Iterator[int]:
    return _lengths(view, view.oldest())


def _open_age(view: View) -> Iterator[int]:
    yield from _leaving(view)
    yield from _lengths(view, [dated.wall for dated in view.of(view.spec.types)])


def _lengths(view: View, walls: Iterable[int]) -> Iterator[int]:
    for wall in walls:
        for bound in view.bounds:
            yield from _around(wall + bound * DAY_US)


def _around(moment: float) -> Iterator[int]:
    """Whole microseconds about a moment: the quotient compared is rounded."""
    yield from range(floor(moment) - 1, floor(moment) + 3)


def _ratio(view: View) -> Iterator[int]:
    usual = replace(view.spec, kind="median_interval_days")
    medians = {view.outlook.value(usual, at) for at in view.anchors}
    for wall in view.newest():
        for median in medians:
            if isinstance(median, float):
                for bound in view.bounds:
                    yield from _around(wall + bound * median * DAY_US)


def _starts(view: View) -> Iterator[tuple[int, int]]:
    """Wall clock and instant of each booked start ahead."""
    for dated in view.of(view.spec.types):
        starts_at = dated.event.starts_at
        if starts_at is not None and instant_us(starts_at) >= view.first:
            yield wall_us(starts_at, view.outlook.zone), instant_us(starts_at)


def _until_start(view: View) -> Iterator[int]:
    for wall, _ in _starts(view):
        for bound in (0.0, *view.bounds):
            yield from _around(wall - bound * DAY_US)


# ------------------------------------------------------------------------------------- days


def _dates(view: View) -> set[date]:
    """Every day that the feature may read: the attribute, or any value of the property."""
    spec = view.spec
    if spec.property is None:
        texts = [view.outlook.attributes.get(spec.attribute or spec.name)]
    else:
        properties = [d.event.properties for d in view.events if d.event.properties is not None]
        texts = [property_in(text, spec.property, "text")[1] for text in properties]
    return {day for day in map(iso_date, texts) if day is not None}


def _day(day: date) -> int:
    return day.toordinal() - EPOCH_DAY


def _countdown(view: View, days: Iterable[int]) -> Iterator[int]:
    """Midnights at which the days until one of these come near a bound."""
    for day in days:
        for bound in view.bounds:
            for ahead in range(floor(bound) - 1, ceil(bound) + 2):
                yield (day - ahead) * DAY_US


def _until_date(view: View) -> Iterator[int]:
    return _countdown(view, map(_day, _dates(view)))


def _anniversary(view: View) -> Iterator[int]:
    first, last = (_date(wall) for wall in (view.now, view.until))
    years = [year for year in range(first.year - 1, last.year + 3) if year in _YEARS]
    days = [_day(in_year(day, year)) for day in _dates(view) for year in years]
    yield from _countdown(view, days)
    yield from ((day + 1) * DAY_US for day in days)


def _date(wall: int) -> date:
    return date.fromordinal(EPOCH_DAY + wall // DAY_US)


def _recall(view: View) -> Iterator[int]:
    return _countdown(view, _due_days(view.outlook, view.spec, view.anchors))


def _due_days(outlook: Outlook, recall: Feature, anchors: Iterable[int]) -> set[int]:
    days = set()
    for at in anchors:
        until = outlook.value(recall, at)
        if isinstance(until, int):
            days.add(until + _local_day(outlook, at))
    return days


def _local_day(outlook: Outlook, at: int) -> int:
    (spell,) = spells(outlook.zone, at, at)
    return (at + spell.offset) // DAY_US


def _members(view: View) -> Iterator[int]:
    recall = replace(view.spec, kind="days_until_recall", attribute=None)
    others = {d.event.member for d in view.events if d.event.member is not None}
    for outlook in (view.outlook, *map(view.outlook.of_member, sorted(others))):
        for day in _due_days(outlook, recall, view.anchors):
            yield (day - (view.spec.window_days or 0)) * DAY_US


def _weekdays(view: View) -> Iterator[int]:
    yield from range(view.now // DAY_US * DAY_US, view.until + 1, DAY_US)


def _month_days(view: View) -> Iterator[int]:
    first, last = _date(view.now), _date(view.until)
    for year in range(first.year, last.year + 1):
        yield _day(date(year, 1, 1)) * DAY_US
        for bound in view.bounds:
            yield from (day * DAY_US for day in _about_month_day(year, bound))


def _about_month_day(year: int, bound: float) -> Iterator[int]:
    """The day that a number such as 815 names and its neighbours; 229 and 230 are 1 March."""
    month, day = divmod(floor(bound), 100)
    if 1 <= month <= 12:
        start = _day(date(year, month, 1))
        length = monthrange(year, month)[1]
        for number in (day - 1, day, day + 1, length + 1):
            yield start + min(max(number, 1), length + 1) - 1
    elif month < 1:
        yield _day(date(year, 1, 1))


def _holidays(view: View) -> Iterator[int]:
    for holiday in view.outlook.holidays or ():
        yield _day(holiday) * DAY_US
        yield (_day(holiday) + 1) * DAY_US


# ----------------------------------------------------------------------------------- months


def _newest_months(view: View) -> Iterator[int]:
    return _months(view, view.newest())


def _oldest_months(view: View) -> Iterator[int]:
    return _months(view, view.oldest())


def _date_months(view: View) -> Iterator[int]:
    walls = [_day(day) * DAY_US for day in _dates(view)]
    for wall in (*walls, *_months(view, walls)):
        yield from (wall, wall + DAY_US)  # a day is the least by which a date can be passed


def _months(view: View, walls: Iterable[int]) -> Iterator[int]:
    for wall in walls:
        for bound in view.bounds:
            for months in range(floor(bound) + _MONTH_STEPS[0], ceil(bound) + _MONTH_STEPS[1]):
                yield from _month_later(wall, months)


def _month_later(wall: int, months: int) -> Iterator[int]:
    """Moments of the month `months` later at which the number of whole months may change.

    From the last day of a short month on, each day's midnight and time of day count: of 28
    February 10:00 to 29 March 09:00 it is no whole month, to 28 March 11:00 it was one.
    """
    then, time_of_day = _date(wall), wall % DAY_US
    year, month = divmod(then.year * 12 + then.month - 1 + months, 12)
    if year not in _YEARS:
        return
    start, length = _day(date(year, month + 1, 1)), monthrange(year, month + 1)[1]
    is_last = then.day == monthrange(then.year, then.month)[1]
    days = range(then.day, length + 1) if is_last else range(then.day, min(then.day, length) + 1)
    yield from (start * DAY_US, (start + length) * DAY_US)
    for day in days:
        midnight = (start + day - 1) * DAY_US
        yield from (midnight, midnight + time_of_day, midnight + time_of_day + 1)


# Kinds that are not named change with events alone.
_WALLS: dict[Kind, Callable[[View], Iterator[int]]] = {
    "count": _leaving,
    "sum": _leaving,
    "share": _leaving,
    "trend": _leaving,
    "mean_value": _leaving,
    "mean_change": _leaving,
    "median_lead_days": _leaving,
    "season_count": _leaving,
    "distinct_count": _leaving,
    "top_share": _leaving,
    "open_count": _leaving,
    "median_latency_days": _leaving,
    "oldest_open_days": _open_age,
    "days_since_last": _newest_age,
    "days_since_first": _oldest_age,
    "interval_ratio": _ratio,
    "days_until_next": _until_start,
    "months_since_last": _newest_months,
    "months_since_last_up": _newest_months,
    "months_since_first": _oldest_months,
    "months_since_first_up": _oldest_months,
    "months_since_date": _date_months,
    "months_since_date_up": _date_months,
    "days_until_date": _until_date,
    "days_until_anniversary": _anniversary,
    "days_until_recall": _recall,
    "members_due": _members,
    "local_month_day": _month_days,
    "local_weekday": _weekdays,
    "holiday": _holidays,
}
