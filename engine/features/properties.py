"""Reading one property out of an event's JSON, alike for one contact and for a batch."""

import json
from functools import lru_cache
from math import isfinite
from typing import Any

from engine.features.spec import Scalar, ValueType


def property_in(text: str, key: str, value_type: ValueType) -> tuple[bool, Scalar]:
    """Whether the JSON object names the key, and the value if it is of that type.

    A text that is no JSON object names nothing. Numbers are floats, a list of texts is one str
    joined by line feeds without its empty items.

    >>> property_in('{"visits": 2}', "visits", "number")
    (True, 2.0)
    >>> property_in('{"visits": "two"}', "visits", "number")
    (True, None)
    """
    found = _object_in(text)
    if key not in found:
        return False, None
    return True, _typed(found[key], value_type)


@lru_cache(maxsize=4096)
def _object_in(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _typed(value: object, value_type: ValueType) -> Scalar:
    if value_type == "number":
        return _number(value)
    if value_type == "flag":
        return value if isinstance(value, bool) else None
    if value_type == "text":
        return _sound(value)
    if not isinstance(value, list):
        return None
    items = [_sound(item) for item in value]
    return None if None in items else "\n".join(item for item in items if item)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _sound(value: object) -> str | None:
    """A text that is valid Unicode: JSON may hold half a surrogate pair, a column may not."""
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value
