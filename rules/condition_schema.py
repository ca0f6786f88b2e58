"""JSON Schema of conditions and constants, from a vocabulary: which words fit, which values."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rules.reading import MONTHS
from rules.vocabulary import EventName, Field, FieldType, Vocabulary

Schema = dict[str, Any]

_DAYS = r"[0-9]{1,5} (day|week)s?"
_LENGTH = r"[0-9]{1,5} (day|week|month|year)s?"
_NUMBER = r"-?[0-9]{1,16}(\.[0-9]{1,9})?"
MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}"
MOST_COUNTED = 100_000

YES: Schema = {"const": "yes"}
DAYS: Schema = {"type": "string", "pattern": f"^{_DAYS}$", "examples": ["30 days", "2 weeks"]}
LENGTH: Schema = {"type": "string", "pattern": f"^{_LENGTH}$", "examples": ["30 days", "6 months"]}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": MOST_COUNTED}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
TEXT: Schema = {"type": ["string", "number", "boolean"]}  # `no` and `12` are texts where asked
SENTENCE: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
DATE: Schema = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
MONEY: Schema = {
    "type": "string",
    "pattern": r"^[0-9]{1,9}(\.[0-9]{1,2})? [A-Z]{3}$",
    "examples": ["120.00 USD"],
}
MONTH_DAY: Schema = {
    "type": "string",
    "pattern": f"^[0-9]{{1,2}} ({'|'.join(MONTHS)})$",
    "examples": ["15 Aug"],
}

_ABOUT = {
    "is": "exactly this",
    "is_not": "anything known but this",
    "more_than": "above this, this not included",
    "less_than": "below this, this not included",
    "at_least": "this or more",
    "at_most": "this or less",
    "is_one_of": "one of these",
    "is_none_of": "known, and none of these",
    "missing": "nothing is known",
    "present": "something is known",
    "has": "the list has this",
    "has_one_of": "the list has one of these",
    "lacks": "the list is known and does not have this",
    "within_next": "from today to so many days ahead",
    "overdue_by_at_least": "so many days past, or more",
    "overdue_by_at_most": "from today back to so many days past",
    "due_in_at_least": "so many days ahead, or more",
    "at_least_ago": "so long ago, or longer",
    "at_most_ago": "so long ago at most",
    "anniversary_within_next": "its day of the year comes within so many days",
    "in_last": "how far back to look",
    "since_last": "look only at what came after the last of these",
    "for_at_least": "how long ago that has to be",
    "of": "the events that it is a share of",
    "value_at_least": "the number of the last event, this or more",
    "value_at_most": "the number of the last event, this or less",
    "because": "for staff: why the rule stays quiet",
}
_NUMBER_WORDS = ("is", "is_not", "more_than", "less_than", "at_least", "at_most")
_DATE_WORDS = (
    *("within_next", "overdue_by_at_least", "overdue_by_at_most", "due_in_at_least"),
    "anniversary_within_next",
)
_COMPARED = ("at_least", "at_most", "more_than", "less_than")


def value_schema(field: Field) -> Schema:
    """A constant of a field, as an in-file test or a comparison gives it (not a whole list)."""
    if field.type == "number":
        bounds = {"minimum": field.low, "maximum": field.high}
        return {"type": "number", **{k: v for k, v in bounds.items() if v is not None}}
    if field.type == "flag":
        return {"enum": ["yes", "no", True, False]}
    if field.type == "date":
        return DATE
    return (
        {"enum": [as_read for word in field.one_of for as_read in _as_read(word)]}
        if (field.one_of)
        else TEXT
    )


def _as_read(word: str) -> list[object]:
    """A text, and the number that an editor takes it for without quotes."""
    if not re.fullmatch(_NUMBER, word):
        return [word]
    return [word, float(word) if "." in word else int(word)]


def list_of(items: Schema, *, most: int = 1000) -> Schema:
    """A list with at least one item."""
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}


def names(known: Iterable[tuple[str, str]], prefix: str = "") -> Schema:
    """One of these (name, description) pairs; editors complete them and show the description."""
    return {
        "anyOf": [
            {"const": prefix + name, **({"description": label} if label else {})}
            for name, label in known
        ]
    }


def closed(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    """A group of settings without others."""
    found: Schema = {
        "type": "object",
        "properties": {name: _told(name, schema) for name, schema in properties.items()},
        "additionalProperties": False,
    }
    return {**found, "required": list(required)} if required else found


def _told(name: str, schema: Schema) -> Schema:
    """The schema with what the word means, where it does not say so itself."""
    if "description" in schema or name not in _ABOUT:
        return schema
    return {"description": _ABOUT[name], **schema}


def event_names(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Events with their labels."""
    return [(event.name, event.label) for event in vocabulary.events.values()]


def conditions_schema(vocabulary: Vocabulary, *, reasons: bool) -> Schema:
    """A list of conditions with one level of `any`; `reasons` asks each for its because."""
    because: dict[str, Schema] = {"because": SENTENCE} if reasons else {}
    plain = _any_of(_branches(vocabulary, {}, ()))
    any_of = closed({"any": {**list_of(plain), "minItems": 2}, **because}, ("any", *because))
    branches = [*_branches(vocabulary, because, because), any_of]
    return list_of(_any_of(branches))


def _any_of(branches: Iterable[Schema]) -> Schema:
    return {"type": "object", "anyOf": list(branches)}


def _branches(
    vocabulary: Vocabulary, extra: Mapping[str, Schema], required: Iterable[str]
) -> list[Schema]:
    also = tuple(required)
    found = [
        _needs_one(closed({"field": names(about), **words, **extra}, ("field", *also)), list(words))
        for about, words in _by_words(vocabulary)
    ]
    if vocabulary.events:
        found += _event_branches(vocabulary, extra, also)
    return found


def _by_words(
    vocabulary: Vocabulary,
) -> list[tuple[list[tuple[str, str]], dict[str, Schema]]]:
    """Fields that take the same words with the same constants, together."""
    groups: dict[object, tuple[list[tuple[str, str]], dict[str, Schema]]] = {}
    for field in vocabulary.fields.values():
        key = (field.type, field.one_of, field.low, field.high)
        about, _ = groups.setdefault(key, ([], field_words(field)))
        unit = f" ({field.unit})" if field.unit else ""
        about.append((field.name, field.label + unit))
    return list(groups.values())


def field_words(field: Field) -> dict[str, Schema]:
    """The words that compare a field, each with the schema of its constant."""
    value = value_schema(field)
    by_type: dict[FieldType, dict[str, Schema]] = {
        "number": dict.fromkeys(_NUMBER_WORDS, value),
        "text": {
            **dict.fromkeys(("is", "is_not"), value),
            **dict.fromkeys(("is_one_of", "is_none_of"), list_of(value)),
        },
        "flag": {"is": value},
        "date": {
            **dict.fromkeys(_DATE_WORDS, DAYS),
            **dict.fromkeys(("at_least_ago", "at_most_ago"), LENGTH),
        },
        "list": {"has": value, "has_one_of": list_of(value), "lacks": value},
    }
    return {**by_type[field.type], "missing": YES, "present": YES}


def _event_branches(
    vocabulary: Vocabulary, extra: Mapping[str, Schema], also: tuple[str, ...]
) -> list[Schema]:
    events = names(event_names(vocabulary))
    single = names((e.name, e.label) for e in vocabulary.events.values() if len(e.types) == 1)
    period = {"in_last": DAYS, "since_last": single}
    ages = {"at_least_ago": LENGTH, "at_most_ago": LENGTH}
    amounts = dict.fromkeys(_COMPARED, MONEY)
    counted = {"at_least": COUNT, "at_most": COUNT, "is": COUNT}
    shares = dict.fromkeys(_COMPARED, SHARE)
    found = [
        _needs_one(
            _needs_one(
                closed({"count": events, **period, **counted, **extra}, ("count", *also)),
                list(counted),
            ),
            list(period),
        ),
        {
            **_needs_one(
                closed(
                    {"none": events, **period, "for_at_least": LENGTH, **extra}, ("none", *also)
                ),
                list(period),
            ),
            "dependentRequired": {"for_at_least": ["since_last"]},
        },
        _needs_one(closed({"first": events, **ages, **extra}, ("first", *also)), list(ages)),
        _needs_one(
            closed({"sum": events, "in_last": DAYS, **amounts, **extra}, ("sum", "in_last", *also)),
            list(amounts),
        ),
        _needs_one(
            closed(
                {"rate": events, "of": events, "in_last": DAYS, **shares, **extra},
                ("rate", "of", "in_last", *also),
            ),
            list(shares),
        ),
    ]
    return found + _last_branches(vocabulary.events.values(), ages, extra, also)


def _last_branches(
    events: Iterable[EventName],
    ages: Mapping[str, Schema],
    extra: Mapping[str, Schema],
    also: tuple[str, ...],
) -> list[Schema]:
    """`last`: events that carry a number may be asked for it."""
    groups: dict[object, tuple[list[tuple[str, str]], dict[str, Schema]]] = {}
    for event in events:
        bounds: Schema = {}
        if event.value is not None:
            limits = {"minimum": event.value.low, "maximum": event.value.high}
            bounds = {"type": "number", **{k: v for k, v in limits.items() if v is not None}}
        words = dict.fromkeys(("value_at_least", "value_at_most"), bounds) if bounds else {}
        about, _ = groups.setdefault(repr(bounds), ([], {**ages, **words}))
        about.append((event.name, event.label))
    return [
        _needs_one(closed({"last": names(about), **words, **extra}, ("last", *also)), list(words))
        for about, words in groups.values()
    ]


def _needs_one(schema: Schema, words: list[str]) -> Schema:
    """The schema, with at least one of the words required."""
    one = {"anyOf": [{"required": [word]} for word in words]}
    return {**schema, "allOf": [*schema.get("allOf", []), one]}
