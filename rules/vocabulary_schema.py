"""The JSON Schema (2020-12) of vocabulary files."""

from rules.condition_schema import SENTENCE, Schema, closed, event_names, list_of, names
from rules.field_sources import COMPUTED, ComputedKind
from rules.json_schema import DIALECT
from rules.vocabulary import Vocabulary

_NAME: Schema = {"type": "string", "pattern": r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$", "maxLength": 200}
_NUMBER: Schema = {"type": "number"}
_LENGTH: Schema = {"type": "string", "pattern": "^[0-9]{1,5} (day|week|month|year)s?$"}
_DAYS: Schema = {"type": "string", "pattern": "^[0-9]{1,5} (day|week)s?$"}


def vocabulary_schema(vocabulary: Vocabulary | None = None) -> Schema:
    """The schema of a vocabulary file.

    With a vocabulary, event and subject names are closed to the ones that it knows: good for
    completion, but a name that was only now added to the file is not known until it is made anew.
    """
    event = names(event_names(vocabulary)) if vocabulary and vocabulary.events else _NAME
    events = list_of(event)
    about = _NAME
    if vocabulary and vocabulary.subjects:
        about = names((kind.name, kind.label) for kind in vocabulary.subjects.values())
    return {
        "$schema": DIALECT,
        "title": "Keepwell vocabulary",
        **closed(
            {
                "format": {"const": 1},
                "include": list_of({"type": "string", "pattern": r"^[^/\\]+$"}),
                "subjects": _named(
                    closed(
                        {"label": SENTENCE, "opened_by": events, "closed_by": events},
                        ("label", "opened_by"),
                    )
                ),
                "events": _named(_event(events, about)),
                "fields": _named(_field(events, about)),
            },
            ("format",),
        ),
    }


def _named(schema: Schema) -> Schema:
    return {"type": "object", "propertyNames": _NAME, "additionalProperties": schema}


def _event(events: Schema, about: Schema) -> Schema:
    value = closed({"label": SENTENCE, "from": _NUMBER, "to": _NUMBER}, ("label",))
    return closed(
        {"label": SENTENCE, "of": events, "about": about, "origin": SENTENCE, "value": value},
        ("label",),
    )


def _field(events: Schema, about: Schema) -> Schema:
    types = ("number", "text", "flag", "date", "list")
    properties: dict[str, Schema] = {
        "type": {"enum": list(types)},
        "unit": SENTENCE,
        "one_of": list_of({"type": ["string", "number", "boolean"]}),
        "from": _NUMBER,
        "to": _NUMBER,
        "label": SENTENCE,
        "sensitive": {"enum": ["personal", "health"]},
        "about": about,
        "origin": SENTENCE,
        "source": {"anyOf": [_NAME, _property(), *_computed(events)]},
    }
    return {
        **closed(properties, ("type", "label")),
        "allOf": [
            _only_for(("number",), ("unit", "from", "to")),
            _only_for(("text", "list"), ("one_of",)),
        ],
    }


def _only_for(types: tuple[str, ...], words: tuple[str, ...]) -> Schema:
    refused = {"anyOf": [{"required": [word]} for word in words]}
    return {
        "if": {"properties": {"type": {"enum": list(types)}}},
        "else": {"not": refused},
    }


def _property() -> Schema:
    word: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,60}$"}
    return closed({"property": word}, ("property",))


def _computed(events: Schema) -> list[Schema]:
    settings: dict[str, Schema] = {
        "of_types": events,
        "closed_by": events,
        "in_last": _DAYS,
        "in_next": _DAYS,
        "every": _LENGTH,
        "every_from": _NAME,
    }
    return [_kind(name, known, settings, events) for name, known in COMPUTED.items()]


def _kind(name: str, known: ComputedKind, settings: dict[str, Schema], events: Schema) -> Schema:
    fitting = {word: settings[word] for word in (*known.needs, *known.may)}
    found = closed(
        {"kind": {"const": name}, "types": events, **fitting}, ("kind", "types", *known.needs)
    )
    if "every" in known.may:
        found["anyOf"] = [{"required": ["every"]}, {"required": ["every_from"]}]
    return found
