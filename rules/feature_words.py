"""Features, their values and changes of them in plain words, with the labels of the vocabulary."""

import re
from collections.abc import Callable
from datetime import datetime

from engine.features.spec import Feature, Scalar
from rules.nearest import Change
from rules.trees import Leaf
from rules.vocabulary import Field, Vocabulary
from rules.wording import (
    WEEKDAYS,
    counted,
    date_words,
    event_label,
    number_words,
    value_words,
)

_DAYS = re.compile(r"^(days|oldest_open_days|median_(interval|latency)_days)")
_OP_WORDS = {
    "==": "",
    "!=": "not ",
    "<": "less than ",
    "<=": "at most ",
    ">": "more than ",
    ">=": "at least ",
    "in": "one of ",
}
_LEAP_YEAR = 2000


def feature_words(spec: Feature, vocabulary: Vocabulary) -> str:
    """What people call a feature: 'count missed appointment in 30 days'."""
    field = _field(spec, vocabulary)
    if field is not None and field.label:
        return field.label
    words = spec.name
    for name in sorted(vocabulary.events.keys() | vocabulary.fields.keys(), key=len, reverse=True):
        known = vocabulary.fields.get(name)
        label = known.label if known else event_label(name, vocabulary)
        words = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.])", label or name, words)
    return words


def feature_value_words(value: Scalar, spec: Feature, vocabulary: Vocabulary) -> str:
    """A value of a feature: '12 days ahead', 'not known', '2'."""
    if value is None:
        return "not known"
    if isinstance(value, bool | str):
        return value_words(value)
    if spec.kind in {"days_until_date", "days_until_recall"}:
        return _day_words(int(value))
    if spec.kind == "local_month_day":
        return date_words(_day_of_year(int(value))).rpartition(" ")[0]
    if spec.kind == "local_weekday":
        return WEEKDAYS[int(value) - 1]
    return number_words(round(value, 2), _unit(spec, vocabulary))


def threshold_words(leaf: Leaf, spec: Feature, vocabulary: Vocabulary) -> str:
    """What a comparison asks of a feature: 'at least 2', 'known'."""
    if leaf.op in {"missing", "present"}:
        return "not known" if leaf.op == "missing" else "known"
    constants = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    values = ", ".join(feature_value_words(value, spec, vocabulary) for value in constants)
    return _OP_WORDS[leaf.op] + values


def change_words(change: Change, spec: Feature, vocabulary: Vocabulary) -> str:
    """The least that would have to be different: '1 more missed appointment in 30 days'."""
    tell = _CHANGES.get(spec.kind)
    if tell is not None and change.was is not None and change.to is not None:
        return tell(change, spec, vocabulary)
    asked = threshold_words(change.leaf, spec, vocabulary)
    to = asked if change.leaf.op in _OP_WORDS else feature_value_words(change.to, spec, vocabulary)
    was = feature_value_words(change.was, spec, vocabulary)
    return f"{feature_words(spec, vocabulary)}: {to} (now {was})"


def _counted(change: Change, spec: Feature, vocabulary: Vocabulary) -> str:
    more = _number(change.to) - _number(change.was)
    event = feature_words(spec, vocabulary).removeprefix("count ")
    return f"{number_words(abs(more))} {'more' if more > 0 else 'fewer'} {event}"


def _aged(change: Change, spec: Feature, vocabulary: Vocabulary) -> str:
    """An age can only grow with time, and shrink with a new event."""
    more = _number(change.to) - _number(change.was)
    unit = "months" if spec.kind.startswith("months") else "days"
    subject = feature_words(spec, vocabulary).removeprefix(f"{unit} ").replace(", rounded up", "")
    if more > 0:
        return f"{_rounded_up(more)} more {unit} {subject}"
    to = threshold_words(change.leaf, spec, vocabulary)
    return f"{unit} {subject}: {to} (now {feature_value_words(change.was, spec, vocabulary)})"


def _dated(change: Change, spec: Feature, vocabulary: Vocabulary) -> str:
    days = int(_number(change.to) - _number(change.was))
    moved = counted(abs(days), "day") + (" later" if days > 0 else " earlier")
    was = feature_value_words(change.was, spec, vocabulary)
    return f"{feature_words(spec, vocabulary)} {moved} (now {was})"


_CHANGES: dict[str, Callable[[Change, Feature, Vocabulary], str]] = {
    "count": _counted,
    "count_since_last": _counted,
    "days_since_last": _aged,
    "days_since_first": _aged,
    "months_since_last": _aged,
    "months_since_last_up": _aged,
    "months_since_first": _aged,
    "months_since_first_up": _aged,
    "days_until_date": _dated,
    "days_until_recall": _dated,
}


def _number(value: Scalar) -> float:
    assert isinstance(value, int | float)  # noqa: S101 - the caller has looked
    return value


def _rounded_up(days: float) -> str:
    """Never less than it takes."""
    tenths = -(-days * 10 // 1)
    return number_words(tenths / 10)


def _field(spec: Feature, vocabulary: Vocabulary) -> Field | None:
    found = (f for f in vocabulary.fields.values() if f.source.name == spec.name)
    return next(found, None)


def _unit(spec: Feature, vocabulary: Vocabulary) -> str:
    field = _field(spec, vocabulary)
    if field is not None and field.unit:
        return field.unit
    if spec.kind == "sum":
        return "cents"
    if spec.kind == "share":
        return "share"
    if spec.kind.startswith("months"):
        return "months"
    return "days" if _DAYS.match(spec.kind) else ""


def _day_words(days: int) -> str:
    if days == 0:
        return "today"
    return counted(abs(days), "day") + (" ahead" if days > 0 else " past")


def _day_of_year(month_day: int) -> datetime:
    return datetime(_LEAP_YEAR, month_day // 100, month_day % 100)  # noqa: DTZ001 - any year's
