"""Features that go by the calendar, for one contact: dates, anniversaries, recalls, holidays."""

from calendar import isleap, monthrange
from datetime import date, datetime, time, timedelta
from re import compile as pattern

from engine.features.contact_history import History, Moment
from engine.features.spec import Feature, Scalar
from engine.features.wall_clock import DAY_US, EPOCH_DAY

ISO_DATE = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
LONGEST_RECALL_MONTHS = 1200
_ISO_DATE = pattern(ISO_DATE.replace("$", r"\Z"))
_WALL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time has no zone


def days_until_date(history: History, spec: Feature) -> Scalar:
    day = _date_given(history, spec)
    return None if day is None else (day - history.today).days


def months_since_last(history: History, spec: Feature) -> Scalar:
    ages = history.timeline(spec.types).ages
    return _months_of_age(history, ages[0], spec) if ages else None


def months_since_first(history: History, spec: Feature) -> Scalar:
    ages = history.timeline(spec.types).ages
    return _months_of_age(history, ages[-1], spec) if ages else None


def months_since_date(history: History, spec: Feature) -> Scalar:
    day = _date_given(history, spec)
    if day is None or day > history.today:
        return None
    midnight = time()
    now = datetime.combine(history.today, midnight)
    return _whole_months(datetime.combine(day, midnight), now, spec)


def days_until_anniversary(history: History, spec: Feature) -> Scalar:
    day = _date_given(history, spec)
    if day is None:
        return None
    today = history.today
    this_year = (in_year(day, today.year) - today).days
    return this_year if this_year >= 0 else (in_year(day, today.year + 1) - today).days


def days_until_recall(history: History, spec: Feature) -> Scalar:
    months = history.attributes.get(spec.attribute) if spec.attribute is not None else None
    if isinstance(months, int | float) and _is_interval(months):
        return _recall(history, history.moments(spec.types), int(months), None)
    return _recall(history, history.moments(spec.types), spec.every_months, spec.every_days)


def members_due(history: History, spec: Feature) -> Scalar:
    """The contact's own interval is not asked for: those of the other members are not known."""
    others: dict[str, list[Moment]] = {}
    for moment in history.others:
        if moment.event.member is not None and moment.event.type in spec.types:
            others.setdefault(moment.event.member, []).append(moment)
    everybody = (history.moments(spec.types), *others.values())
    dues = [_recall(history, one, spec.every_months, spec.every_days) for one in everybody]
    return sum(1 for due in dues if due is not None and due <= (spec.window_days or 0))


def local_month_day(history: History, spec: Feature) -> Scalar:  # noqa: ARG001 - one shape for all
    return history.today.month * 100 + history.today.day


def local_weekday(history: History, spec: Feature) -> Scalar:  # noqa: ARG001 - one shape for all
    return history.today.isoweekday()


def holiday(history: History, spec: Feature) -> Scalar:  # noqa: ARG001 - one shape for all
    return None if history.holidays is None else history.today in history.holidays


def iso_date(text: Scalar) -> date | None:
    """The day that a text such as 2026-03-01 names; None for anything else."""
    if not isinstance(text, str) or not _ISO_DATE.match(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:  # such as 2026-02-30
        return None


def _date_given(history: History, spec: Feature) -> date | None:
    return iso_date(history.given(spec))


def _months_of_age(history: History, age_us: int, spec: Feature) -> int:
    now = _WALL_EPOCH + timedelta(microseconds=history.now)
    return _whole_months(now - timedelta(microseconds=age_us), now, spec)


def _whole_months(then: datetime, now: datetime, spec: Feature) -> int:
    """Whole months, up for kinds whose name says so; a shorter month ends earlier."""
    months = (now.year - then.year) * 12 + now.month - then.month
    day = min(now.day, monthrange(then.year, then.month)[1])
    shifted = now.replace(year=then.year, month=then.month, day=day)
    if spec.kind.endswith("_up"):
        return max(0, months + (then < shifted))
    return max(0, months - (then > shifted))


def in_year(day: date, year: int) -> date:
    """That day in another year; 29 February is the 28th in common years."""
    missing = (day.month, day.day) == (2, 29) and not isleap(year)
    return date(year, day.month, 28 if missing else day.day)


def _is_interval(months: float) -> bool:
    whole = not isinstance(months, bool) and 1 <= months <= LONGEST_RECALL_MONTHS
    return whole and months == int(months)


def _recall(
    history: History, moments: list[Moment], every_months: int | None, every_days: int | None
) -> int | None:
    """Local calendar days until the newest event plus the interval."""
    if not moments or (every_months is None and every_days is None):
        return None
    age = max(moments, key=lambda moment: moment.instant).age
    last = (history.now - age) // DAY_US
    if every_months is None:
        return last + (every_days or 0) - history.day
    day = date.fromordinal(EPOCH_DAY + last)
    years, month = divmod(day.month - 1 + every_months, 12)
    year = day.year + years
    due = date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    return due.toordinal() - EPOCH_DAY - history.day
