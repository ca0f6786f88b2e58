"""Conditions, money, lengths and times in plain words, with the labels of the vocabulary."""

from collections.abc import Iterable
from datetime import datetime

from engine.features.spec import CONTACT, Scalar
from rules.document import Comparison, Condition, PastEvent, Season
from rules.reading import Length, Money
from rules.vocabulary import Field, Vocabulary

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# How each word of a condition reads before (or around) its constant.
_PHRASES = {
    "is": "{}",
    "is_not": "not {}",
    "more_than": "more than {}",
    "less_than": "less than {}",
    "at_least": "at least {}",
    "at_most": "at most {}",
    "is_one_of": "one of {}",
    "is_none_of": "none of {}",
    "missing": "not known",
    "present": "known",
    "has": "includes {}",
    "has_one_of": "includes one of {}",
    "lacks": "does not include {}",
    "within_next": "within the next {}",
    "overdue_by_at_least": "past by at least {}",
    "overdue_by_at_most": "past by at most {}",
    "due_in_at_least": "at least {} ahead",
    "at_least_ago": "at least {} ago",
    "at_most_ago": "at most {} ago",
    "anniversary_within_next": "anniversary within the next {}",
    "value_at_least": "at least {}",
    "value_at_most": "at most {}",
}


def condition_words(condition: Condition, vocabulary: Vocabulary) -> str:
    """One condition as a person says it, without a full stop.

    For example 'missed appointment in the last 60 days: at least 2'. `because` is left out. Names
    that the vocabulary lacks stand as they are.
    """
    if condition.kind == "any":
        return "one of these: " + "; or ".join(
            condition_words(part, vocabulary) for part in condition.any_of
        )
    if condition.kind == "field":
        return _field_words(condition, vocabulary)
    event = event_label(condition.about, vocabulary)
    subject = subject_label(condition.scope, vocabulary)
    if condition.scope != CONTACT and event != subject:
        event += f" of this {subject}"
    if condition.kind == "none":
        return f"no {event}{_period(condition, vocabulary)}"
    if condition.kind in {"last", "first"}:
        return f"{condition.kind} {event}: {_moments(condition, vocabulary)}"
    if condition.kind == "sum":
        event = f"total of {event}"
    if condition.kind == "rate":
        event = f"{event} as a share of {event_label(condition.of_event or '', vocabulary)}"
    unit = "share" if condition.kind == "rate" else ""
    said = _joined(_phrase(c, unit) for c in condition.comparisons)
    return f"{event}{_period(condition, vocabulary)}: {said}"


def event_label(name: str, vocabulary: Vocabulary) -> str:
    """What people call an event."""
    known = vocabulary.events.get(name)
    return known.label if known and known.label else name


def subject_label(name: str, vocabulary: Vocabulary) -> str:
    """What people call a kind of subject."""
    known = vocabulary.subjects.get(name)
    return known.label if known and known.label else name


def _period(condition: Condition, vocabulary: Vocabulary) -> str:
    words = ""
    if condition.in_last_days is not None:
        words += f" in the last {counted(condition.in_last_days, 'day')}"
    if condition.since_last is not None:
        words += f" since the last {event_label(condition.since_last, vocabulary)}"
    if condition.for_at_least is not None:
        words += f", which is at least {length_words(condition.for_at_least)} ago"
    return words


def _moments(condition: Condition, vocabulary: Vocabulary) -> str:
    times = [c for c in condition.comparisons if not c.word.startswith("value_")]
    values = [c for c in condition.comparisons if c.word.startswith("value_")]
    parts = [_joined(_phrase(c, "") for c in times)] if times else []
    if values:
        known = vocabulary.events.get(condition.about)
        label = known.value.label if known and known.value else "value"
        parts.append(f"{label} {_joined(_phrase(c, '') for c in values)}")
    return ", ".join(parts)


def _field_words(condition: Condition, vocabulary: Vocabulary) -> str:
    known = vocabulary.fields.get(condition.about)
    label = known.label if known and known.label else condition.about
    unit = known.unit if known else ""
    unit = "" if unit in label.split() else unit
    return f"{label}: {_joined(_phrase(c, unit) for c in condition.comparisons)}"


def _joined(phrases: Iterable[str]) -> str:
    return " and ".join(phrases)


def _phrase(comparison: Comparison, unit: str) -> str:
    pattern = _PHRASES.get(comparison.word, comparison.word.replace("_", " ") + " {}")
    return pattern.format(value_words(comparison.value, unit))


def field_value_words(value: Scalar, field: Field) -> str:
    """A value of a field as a person says it; 'not known' for None; a list's items with commas."""
    if value is None:
        return "not known"
    if field.type == "list" and isinstance(value, str):
        return ", ".join(value.split("\n")) if value else "none"
    if field.type == "date" and isinstance(value, str):
        return date_words(datetime.fromisoformat(value))
    return value_words(value, field.unit)


def value_words(value: Scalar | tuple[Scalar, ...] | Length | Money, unit: str = "") -> str:
    """A constant as a person says it: 'yes', '3,500.00', '50 %', '2 years', 'a, b'."""
    if isinstance(value, Length):
        return length_words(value)
    if isinstance(value, Money):
        return money_words(value.cents, value.currency)
    if isinstance(value, tuple):
        return ", ".join(value_words(item, unit) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number_words(value, unit) if isinstance(value, int | float) else str(value)


def number_words(value: float, unit: str = "") -> str:
    """A number with its unit; cents as an amount, shares as percent."""
    if unit == "cents":
        return money_words(value, "")
    if unit == "share":
        return f"{_digits(round(value * 100, 9))} %"
    if value == 1 and unit.endswith("s") and " " not in unit:
        unit = unit[:-1]
    return f"{_digits(value)} {unit}".rstrip()


def _digits(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    whole, _, fraction = f"{value:,.9f}".rstrip("0").partition(".")
    return f"{whole}.{fraction}"


def money_words(cents: float, currency: str) -> str:
    """'3,500.00 USD'; parts of a cent are shown where there are any."""
    places = 2 if cents == int(cents) else 4
    return f"{cents / 100:,.{places}f} {currency}".rstrip()


def length_words(length: Length) -> str:
    """'45 days', '15 months'; whole years as years."""
    if length.unit == "month" and length.count and length.count % 12 == 0:
        return counted(length.count // 12, "year")
    return counted(length.count, length.unit)


def counted(count: int, noun: str) -> str:
    """'1 day', '2 days'."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def season_words(season: Season) -> str:
    """'from 15 August to 31 October'."""
    return f"from {_month_day(season.first)} to {_month_day(season.last)}"


def _month_day(month_day: int) -> str:
    return f"{month_day % 100} {_MONTHS[month_day // 100 - 1]}"


def weekday_words(days: Iterable[int]) -> str:
    """ISO weekdays as 'Monday, Tuesday'."""
    return ", ".join(WEEKDAYS[day - 1] for day in sorted(days))


def date_words(moment: datetime) -> str:
    """'9 March 2026'."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def moment_words(moment: datetime) -> str:
    """'9 March 2026, 10:00'."""
    return f"{date_words(moment)}, {moment:%H:%M}"


def clock_words(minutes: tuple[int, int]) -> str:
    """Minutes of the day as 'between 09:00 and 18:00'."""
    start, end = (f"{m // 60:02}:{m % 60:02}" for m in minutes)
    return f"between {start} and {end}"


def past_event_words(event: PastEvent, vocabulary: Vocabulary) -> str:
    """An event of an in-file test, with what it was worth, scored and about."""
    words = f"{moment_words(event.at)}: {event_label(event.type, vocabulary)}"
    if event.starts_at is not None:
        words += f" for {moment_words(event.starts_at)}"
    if event.amount_cents is not None:
        words += f", worth {money_words(event.amount_cents, '')}"
    if event.value is not None:
        known = vocabulary.events.get(event.type)
        label = known.value.label if known and known.value else "value"
        words += f", {label} {number_words(event.value)}"
    if event.subject is not None:
        words += f" ({event.subject.replace(':', ' ')})"
    return words
