"""What a vocabulary offers to rules, as rows for people."""

from collections.abc import Mapping
from dataclasses import dataclass

from rules.vocabulary import Field, Vocabulary
from rules.wording import counted, event_label, number_words


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field.

    Attributes:
        name, type, unit, label, sensitive, origin: as in the vocabulary.
        allowed: its values or range in words; empty if any.
        about: the subject kind, or contact.
        source: where the value comes from, in words.
        filled: share of contacts that have a value; None if not counted.
        newest: day of the newest event it is computed from, ISO; empty if there is none.
    """

    name: str
    type: str
    unit: str
    allowed: str
    label: str
    sensitive: str
    about: str
    source: str
    origin: str
    filled: float | None = None
    newest: str = ""


def field_rows(
    vocabulary: Vocabulary,
    filled: Mapping[str, float] | None = None,
    newest: Mapping[str, str] | None = None,
) -> tuple[FieldRow, ...]:
    """A row a field, in file order.

    By name: `filled` is the share of contacts with a value, `newest` the day of its last event.
    """
    shares, days = filled or {}, newest or {}
    return tuple(
        FieldRow(
            name=field.name,
            type=field.type,
            unit=field.unit,
            allowed=_allowed(field),
            label=field.label,
            sensitive=field.sensitive,
            about=field.about or "contact",
            source=_source(field, vocabulary),
            origin=field.origin,
            filled=shares.get(field.name),
            newest=days.get(field.name, ""),
        )
        for field in vocabulary.fields.values()
    )


def _allowed(field: Field) -> str:
    if field.one_of:
        return ", ".join(field.one_of)
    low, high = ("" if bound is None else number_words(bound) for bound in (field.low, field.high))
    if low and high:
        return f"{low} to {high}"
    return f"from {low}" if low else f"to {high}" if high else ""


def _source(field: Field, vocabulary: Vocabulary) -> str:
    source = field.source
    if source.attribute is not None and not source.types:
        return "attribute" if source.attribute == field.name else f"attribute {source.attribute}"
    if source.property is not None:
        return f"property {source.property}"
    if not source.types:
        return source.kind.replace("_", " ")
    events = ", ".join(event_label(name, vocabulary) for name in source.types)
    period = f" in {counted(source.window_days, 'day')}" if source.window_days is not None else ""
    return f"{source.kind.replace('_', ' ')} of {events}{period}"
