"""One JSON document, read strictly: what two readers could understand differently is refused."""

import json
import math
from typing import Any

from api.errors import InvalidFields, MalformedJson

MAX_DEPTH = 16
MAX_KEYS = 1_000
MAX_INTEGER = 2**63 - 1  # what PostgreSQL's bigint holds


class _DuplicateKey(ValueError):
    pass


def read_json(raw: bytes) -> object:
    """Return the document.

    Raises:
        MalformedJson: not UTF-8, not JSON, or a key occurs twice in one object.
        InvalidFields: JSON, but with NaN or Infinity, an integer beyond 64 bits, a NUL or a lone
            surrogate in a string, more than 16 levels or more than 1,000 keys in one object.
    """
    try:
        document: object = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise MalformedJson("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedJson(f"The body is not JSON: {error.msg} at {place}.") from None
    except _DuplicateKey:
        raise MalformedJson("A key occurs twice in one object of the body.") from None
    except RecursionError:
        raise MalformedJson("The body is nested too deeply to be read.") from None
    except ValueError:  # Python refuses to read integers beyond 4,300 digits
        raise InvalidFields([("", "An integer is out of range.")]) from None
    fault = _fault(document, "", 1)
    if fault is not None:
        raise InvalidFields([fault])
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _DuplicateKey
    return document


def _fault(value: object, pointer: str, depth: int) -> tuple[str, str] | None:
    """Return the first fault as (JSON pointer, what is wrong)."""
    if isinstance(value, (dict, list)):
        return _fault_inside(value, pointer, depth)
    detail = ""
    if isinstance(value, str):
        detail = _text_fault(value)
    elif isinstance(value, float):
        detail = "" if math.isfinite(value) else "A number must be finite."
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        detail = "An integer is out of range."
    return (pointer, detail) if detail else None


def _fault_inside(
    value: dict[str, Any] | list[Any], pointer: str, depth: int
) -> tuple[str, str] | None:
    if depth > MAX_DEPTH:
        return (pointer, f"At most {MAX_DEPTH} levels are accepted.")
    if isinstance(value, list):
        members = ((str(index), member) for index, member in enumerate(value))
    else:
        if len(value) > MAX_KEYS:
            return (pointer, f"At most {MAX_KEYS:,} keys are accepted in one object.")
        members = ((key, member) for key, member in value.items())
    for step, member in members:
        if fault := _text_fault(step):
            return (pointer, f"A key: {fault}")
        if isinstance(member, str) and member.isascii() and "\0" not in member:
            continue  # nearly all values: no need to name the place
        place = f"{pointer}/{step.replace('~', '~0').replace('/', '~1')}"
        found = _fault(member, place, depth + 1)
        if found is not None:
            return found
    return None


def _text_fault(value: str) -> str:
    if "\0" in value:
        return "A text can't hold the character NUL."
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        return "A text can't hold half of a surrogate pair."
    return ""
