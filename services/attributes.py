"""Attributes of a contact, its account and the tenant as rules name them, typed by the vocabulary.

What the CRM has a column for comes from the column, everything else from the custom fields of the
contact or the account.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from engine.candidates import CONSENT_GRANTED
from engine.features.spec import Feature, Scalar
from rules.vocabulary import Vocabulary

# columns of crm_contacts that a rule may read as contact.<name>
_COLUMNS = frozenset(
    {
        "timezone",
        "job_title",
        "department",
        "lead_source",
        "lead_status",
        "preferred_contact_method",
        "do_not_email",
        "do_not_sms",
        "do_not_call",
    }
)
# attributes that stand in the row under a name of their own
_IN_ROW = {
    "journey.stage": "journey_stage",
    "health.score_14d_ago": "score_14d_ago",
    "contact.campaigns": "campaigns",
}
HEALTH_PREFIX = "health."
HEALTH_DROP = "health.drop_14d"
# health as it was, by which its fall is told; not from history either, but stored
SCORE_BEFORE = Feature("score 14 days ago", "attribute", attribute="health.score_14d_ago")
_NUMBERS = frozenset({"health.score_14d_ago"})
_ISO_DAY = 10  # of a longer text the date is what stands before the time
_YES, _NO = frozenset({"true", "yes", "t", "1"}), frozenset({"false", "no", "f", "0"})


@dataclass(frozen=True, slots=True)
class Attribute:
    """One value that is known without a history.

    Attributes:
        key: as features name it, e.g. contact.age.
        type: number, text, flag, date or list.
        fixed: its value, where it is the tenant's: the same for all contacts.
    """

    key: str
    type: str
    fixed: Scalar = None


def attributes_of(
    features: Sequence[Feature],
    vocabulary: Vocabulary,
    tenant: Mapping[str, object] | None = None,
) -> tuple[Attribute, ...]:
    """Return the attributes these features read, less what the health model provides.

    `tenant` is what is known of the tenant itself, by the names of fields without 'tenant.'.
    """
    types = {
        field.source.attribute: field.type
        for field in vocabulary.fields.values()
        # a recall names an attribute too, but is none
        if field.source.kind in {"attribute", "days_until_date"}
        and field.source.attribute is not None
    } | dict.fromkeys(_NUMBERS, "number")
    keys = {f.attribute for f in features if f.attribute is not None and not is_from_health(f)}
    own = tenant or {}
    return tuple(
        Attribute(key, type_, _typed(own.get(key.removeprefix("tenant.")), type_))
        if key.startswith("tenant.")
        else Attribute(key, type_)
        for key in sorted(keys)
        for type_ in (types.get(key, "text"),)
    )


def attribute_values(
    attributes: Sequence[Attribute],
    row: Mapping[str, Any],
    consent: Mapping[str, int] | None = None,
) -> dict[str, Scalar]:
    """Return the attributes of one contact; what is missing or of another type is None.

    `row` is one of `store.profiles`; its custom fields are JSON as it comes: an object, or whatever
    else somebody has put there. `consent` is that of `consent_held`; None if it is not known.
    """
    own = _object(row["custom_fields"])
    account = _account(row)
    values: dict[str, Scalar] = {}
    for attribute in attributes:
        group, _, name = attribute.key.partition(".")
        if group == "tenant":
            values[attribute.key] = attribute.fixed
        elif group == "consent":
            values[attribute.key] = _agreed(name, consent)
        else:
            values[attribute.key] = _typed(
                row[name]
                if group == "contact" and name in _COLUMNS
                else account.get(name)
                if group == "account"
                else row.get(_IN_ROW[attribute.key])
                if attribute.key in _IN_ROW
                else own.get(name),
                attribute.type,
            )
    return values


def _account(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The account's columns and, where it has none of that name, its custom fields."""
    found = _object(row.get("account"))
    custom = found.get("custom_fields")
    known = {name: value for name, value in found.items() if value is not None}
    return {**custom, **known} if isinstance(custom, dict) else known


def _object(text: object) -> dict[str, Any]:
    if not isinstance(text, str) or text == "{}":
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:  # PostgreSQL's numbers have no bounds, a double has
        found = json.loads(text, parse_int=float)
    return found if isinstance(found, dict) else {}


def _agreed(name: str, consent: Mapping[str, int] | None) -> bool | None:
    """Whether they agreed, e.g. for 'email.marketing': no record means no."""
    if consent is None:
        return None
    return consent.get(name.replace(".", ":")) == CONSENT_GRANTED


def _typed(value: object, kind: str) -> Scalar:
    if kind == "list":
        items = value if isinstance(value, list) else [] if value is None else [value]
        texts = [item for item in items if isinstance(item, str)]
        return None if value is None or len(texts) != len(items) else "\n".join(texts)
    if value is None or isinstance(value, dict | list):
        return None
    if kind == "number":
        return _number(value)
    if kind == "flag":
        text = str(value).strip().lower()
        return True if text in _YES else False if text in _NO else None
    return str(value)[:_ISO_DAY] if kind == "date" else str(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def is_from_health(feature: Feature) -> bool:
    """Tell whether the health model provides this value instead of history or the CRM."""
    if feature == SCORE_BEFORE:
        return False
    return (feature.attribute or "").startswith(HEALTH_PREFIX)
