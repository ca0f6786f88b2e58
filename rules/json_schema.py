"""The JSON Schema (2020-12) of rule files, made from a vocabulary, for editors.

They complete and check with it while the author types; `keepwell rules check` remains the judge.
"""

import re
from collections.abc import Iterable

from engine.actions import CHANNELS, PURPOSES
from rules.condition_schema import (
    DAYS,
    MOMENT,
    MONEY,
    MONTH_DAY,
    SENTENCE,
    SHARE,
    Schema,
    closed,
    conditions_schema,
    event_names,
    list_of,
    names,
    value_schema,
)
from rules.document import STATUSES, Status
from rules.reading import WEEKDAYS
from rules.vocabulary import Field, Vocabulary

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID: Schema = {"type": "string", "pattern": r"^[a-z0-9]+([-._][a-z0-9]+)*$", "maxLength": 200}
_CLOCK: Schema = {
    "type": "string",
    "pattern": r"^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$",
    "examples": ["09:00-18:00"],
}
_YES_NO: Schema = {"enum": ["yes", "no", True, False]}
_DAYS_ARE = "calendar days in the contact's time zone"
_STATUS: dict[Status, str] = {
    "draft": "does nothing",
    "shadow": "decides and records, contacts nobody",
    "live": "contacts people",
    "retired": "kept, does nothing",
}
_NEEDED = ("action", "template", "purpose", "by", "value", "cost", "expect", "goal")
_MOST_RULES = 500


def rules_schema(vocabulary: Vocabulary) -> Schema:
    """The schema of a rule file with this vocabulary: closed names, words by type, ranges."""
    return {
        "$schema": DIALECT,
        "title": f"Keepwell rules with {vocabulary.file}",
        **closed(
            {
                "format": {"const": 1},
                "pack": _described(_ID, "name of this set of rules"),
                "vocabulary": _described(
                    {"type": "string", "pattern": r"^[^/\\]+$"}, "file with the names rules may use"
                ),
                "days_are": {"const": _DAYS_ARE},
                "defaults": _described(closed(_settings()), "for rules that do not say it"),
                "choose": {"type": "array", "items": _table()},
                "rules": {
                    "type": "array",
                    "items": {"$ref": "#/$defs/rule"},
                    "maxItems": _MOST_RULES,
                },
            },
            ("format", "pack", "vocabulary", "rules"),
        ),
        "$defs": {
            "rule": _rule(vocabulary),
            "when": conditions_schema(vocabulary, reasons=False),
            "unless": conditions_schema(vocabulary, reasons=True),
            "then": _then(vocabulary),
            "test": _test(vocabulary),
        },
    }


def _described(schema: Schema, text: str) -> Schema:
    return {"description": text, **schema}


def _settings() -> dict[str, Schema]:
    return {
        "status": names((status, _STATUS[status]) for status in STATUSES),
        "owner": _described(SENTENCE, "who answers for the rule"),
        "cooldown": _described(DAYS, "rest after the rule has contacted somebody"),
        "send_between": _described(_CLOCK, "time of day where the contact lives"),
    }


def _rule(vocabulary: Vocabulary) -> Schema:
    triggers = [{"const": "nightly"}, *names(event_names(vocabulary), "on ")["anyOf"]]
    properties: dict[str, Schema] = {
        "id": _described(_ID, "unique name, e.g. clinic.no-show-rescue"),
        "title": SENTENCE,
        "why": _described(SENTENCE, "why this rule helps, for people"),
        **_settings(),
        "check": _described(list_of({"anyOf": triggers}), "when the rule is asked"),
        "season": closed({"from": MONTH_DAY, "to": MONTH_DAY}, ("from", "to")),
        "on_days": list_of({"enum": list(WEEKDAYS)}, most=7),
        "holidays": _described({"const": "quiet"}, "proposes nothing on public holidays"),
        "subject": {"const": "contact"},
        "when": _described({"$ref": "#/$defs/when"}, "all of these have to hold"),
        "unless": _described({"$ref": "#/$defs/unless"}, "none of these may hold"),
        "then": {"$ref": "#/$defs/then"},
        "tests": {"type": "array", "items": {"$ref": "#/$defs/test"}},
    }
    if vocabulary.subjects:
        kinds = [(kind.name, kind.label) for kind in vocabulary.subjects.values()]
        properties["for_each"] = _described(names(kinds), "asks once for each open one")
    return closed(properties, ("id", "title", "why", "when", "then"))


def _then(vocabulary: Vocabulary) -> Schema:
    proposal = _proposal(vocabulary)
    offers: Schema = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": closed(proposal),
    }
    plain = closed(proposal, _NEEDED)
    choosing = closed({"choose": _ID, **proposal, "offers": offers}, ("choose", "offers"))
    return {"type": "object", "if": {"required": ["choose"]}, "then": choosing, "else": plain}


def _proposal(vocabulary: Vocabulary) -> dict[str, Schema]:
    events = "|".join(re.escape(name) for name in vocabulary.events)
    cents: Schema = {
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,4})?( [A-Z]{3})?$"},
        ]
    }
    return {
        "action": _described(_ID, "what is done; one action may have several rules"),
        "template": {"type": "string", "pattern": r"^[a-z0-9_-]+(/[a-z0-9_-]+)+$"},
        "purpose": _described({"enum": list(PURPOSES)}, "decides which consent and caps apply"),
        "by": _described(list_of({"enum": list(CHANNELS)}), "channels, the preferred one first"),
        "value": _described(MONEY, "what one success is worth"),
        "cost": _described(closed(dict.fromkeys(CHANNELS, cents)), "of one contact, by channel"),
        "expect": _described(
            closed(
                {
                    "if_contacted": SHARE,
                    "if_left": SHARE,
                    "weight": {"type": "integer", "minimum": 1, "maximum": 100_000},
                },
                ("if_contacted", "if_left", "weight"),
            ),
            "share that reaches the goal; weight is how many observations this is worth",
        ),
        "goal": _described(
            {"type": "string", "pattern": f"^({events}) within [0-9]{{1,5}} (day|week)s?$"},
            "the event that counts as success, and within how many days",
        ),
        "still": _described(
            list_of(names(event_names(vocabulary), "none ")), "asked again before it is sent"
        ),
        "priority": {"type": "integer", "minimum": 0, "maximum": 100},
        "approval": _described(_YES_NO, "waits until a person agrees"),
    }


def _table() -> Schema:
    cell: Schema = {"type": ["string", "number", "boolean"]}
    return closed(
        {
            "id": _ID,
            "hit": names(
                (("first", "the first row that holds"), ("only", "no two rows may hold at once"))
            ),
            "columns": list_of({"type": "string", "minLength": 1}),
            "rows": list_of({"type": "array", "items": cell, "minItems": 2}),
        },
        ("id", "columns", "rows"),
    )


def _test(vocabulary: Vocabulary) -> Schema:
    contact = [field for field in vocabulary.fields.values() if not field.about]
    subject = [field for field in vocabulary.fields.values() if field.about]
    properties: dict[str, Schema] = {
        "name": SENTENCE,
        "today": {"type": "string", "pattern": f"^{MOMENT}$", "examples": ["2026-03-12 10:00"]},
        "contact": _values(contact),
        "events": {"type": "array", "items": _past_event(vocabulary)},
        "holiday": _YES_NO,
        "offer": {"type": "string", "minLength": 1},
        "expect": names(
            (
                ("fires", "the rule proposes"),
                ("quiet", "the rule says nothing"),
                ("todo", "a known gap: reported, never a failure"),
            )
        ),
        "because": _described(SENTENCE, "the condition that keeps it quiet, e.g. season"),
    }
    if vocabulary.subjects:
        properties["subject"] = _values(subject)
    return {
        **closed(properties, ("name", "today", "expect")),
        "if": {"properties": {"expect": {"const": "fires"}}, "required": ["expect"]},
        "then": {"not": {"required": ["because"]}},
    }


def _values(fields: Iterable[Field]) -> Schema:
    return closed(
        {
            field.name: _described(
                {"type": "array", "items": value_schema(field)}
                if field.type == "list"
                else value_schema(field),
                field.label,
            )
            for field in fields
        }
    )


def _past_event(vocabulary: Vocabulary) -> Schema:
    events = "|".join(re.escape(name) for name in vocabulary.events)
    pattern = (
        rf"^{MOMENT} ({events})( for {MOMENT})?( worth [0-9]{{1,9}}(\.[0-9]{{1,2}})?)?"
        r"( scored -?[0-9]{1,9}(\.[0-9]{1,6})?)?( about [A-Za-z0-9:_-]{1,60})?$"
    )
    return {"type": "string", "pattern": pattern, "examples": ["2026-03-12 10:00 visit"]}
