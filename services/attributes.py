"""Attributes of a contact as rules name them, typed by the vocabulary."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.features.spec import Feature, Scalar
from rules.vocabulary import Vocabulary

# columns of the CRM that a rule may read as contact.<name>; everything else is a custom field
_COLUMNS = frozenset(
    {
        "timezone",
        "lead_status",
        "preferred_contact_method",
        "do_not_email",
        "do_not_sms",
        "do_not_call",
    }
)
HEALTH_PREFIX = "health."
_YES, _NO = frozenset({"true", "yes", "t", "1"}), frozenset({"false", "no", "f", "0"})


@dataclass(frozen=True, slots=True)
class Attribute:
    """One value of the contact's own row.

    Attributes:
        key: as features name it, e.g. contact.age.
        type: number, text, flag or date.
    """

    key: str
    type: str


def attributes_of(features: Sequence[Feature], vocabulary: Vocabulary) -> tuple[Attribute, ...]:
    """Return the attributes these features read, less what the health model provides."""
    types = {
        field.source.attribute: field.type
        for field in vocabulary.fields.values()
        if field.source.attribute is not None
    }
    keys = {f.attribute for f in features if f.attribute is not None}
    return tuple(
        Attribute(key, types.get(key, "text"))
        for key in sorted(keys)
        if not key.startswith(HEALTH_PREFIX)
    )


def attribute_values(
    attributes: Sequence[Attribute], row: Mapping[str, Any], custom: object
) -> dict[str, Scalar]:
    """Return the attributes of one contact; what is missing or of another type is None.

    `custom` is the CRM's JSON as it comes: an object, or whatever else somebody has put there.
    """
    values: dict[str, Scalar] = {}
    own = custom if isinstance(custom, Mapping) else {}
    for attribute in attributes:
        name = attribute.key.partition(".")[2]
        from_row = attribute.key.startswith("contact.") and name in _COLUMNS
        values[attribute.key] = _typed(row[name] if from_row else own.get(name), attribute.type)
    return values


def _typed(value: object, kind: str) -> Scalar:
    if value is None or isinstance(value, dict | list):
        return None
    if kind == "number":
        return _number(value)
    if kind == "flag":
        text = str(value).strip().lower()
        return True if text in _YES else False if text in _NO else None
    return str(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def is_from_health(feature: Feature) -> bool:
    """Tell whether the health model provides this value instead of history."""
    return (feature.attribute or "").startswith(HEALTH_PREFIX)
