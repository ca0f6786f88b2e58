"""What an import can write: the kinds of records, their fields, and a mapping as plain values."""

from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from typing import Any, Literal

FieldType = Literal[
    "text",
    "integer",
    "number",
    "boolean",
    "cents",  # an amount in whole currency units, kept as exact cents, half a cent away from zero
    "money",  # the same, but negative amounts keep their sign and fit numeric(12,2)
    "time",
    "date",
    "email",
    "zone",
    "event_type",
    "status",
]
VALUE_TYPES: tuple[FieldType, ...] = (
    "text", "integer", "number", "boolean", "cents", "time", "date",
)  # fmt: skip
STATUSES = ("kept", "no_show", "cancelled", "open")


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of record.

    Attributes:
        fields: what a mapping may fill, with the type it is read as.
        required: fields that a mapping must fill and a row must have.
        references: other records it may point to.
        extra: mapping key under which further values are kept as JSON.
    """

    fields: Table[str, FieldType]
    required: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    extra: str = "custom_fields"


def _texts(*names: str) -> dict[str, FieldType]:
    return dict.fromkeys(names, "text")


KINDS: Table[str, Shape] = {
    "account": Shape(
        fields=_texts(
            "name", "legal_name", "website", "phone", "address_line1", "address_line2", "city",
            "state", "postal_code", "country", "industry", "business_type",
        )
        | {"email": "email", "created_at": "time"},
        required=("name",),
    ),
    "contact": Shape(
        fields=_texts(
            "first_name", "last_name", "phone", "mobile_phone", "job_title", "department",
            "preferred_contact_method", "lead_source", "lead_status",
        )
        | {
            "email": "email",
            "timezone": "zone",
            "do_not_call": "boolean",
            "do_not_email": "boolean",
            "do_not_sms": "boolean",
            "created_at": "time",
        },
        references=("account",),
    ),
    "deal": Shape(
        fields=_texts("name", "description", "currency", "stage", "deal_type", "lead_source")
        | {
            "deal_value": "money",
            "probability": "integer",
            "expected_close_date": "date",
            "actual_close_date": "date",
            "created_at": "time",
        },
        required=("name",),
        references=("contact", "account"),
    ),
    "activity": Shape(
        fields=_texts(
            "activity_type", "activity_subtype", "subject", "description", "direction", "channel"
        )
        | {
            "due_date": "time",
            "completed_at": "time",
            "is_completed": "boolean",
            "created_at": "time",
        },
        required=("activity_type", "created_at"),
        references=("contact", "account", "deal"),
        extra="integration_data",
    ),
    "event": Shape(
        fields={
            "type": "event_type",
            "occurred_at": "time",
            "known_at": "time",
            "subject": "text",
            "amount": "cents",
            "starts_at": "time",
            "value": "number",
        },
        required=("type", "occurred_at"),
        references=("contact",),
        extra="properties",
    ),
    "invoice": Shape(
        fields={
            "issued_at": "time",
            "amount": "cents",
            "credited": "boolean",
            "known_at": "time",
        },
        required=("issued_at", "amount"),
        references=("contact",),
        extra="properties",
    ),
    "appointment": Shape(
        fields={
            "booked_at": "time",
            "starts_at": "time",
            "ended_at": "time",
            "status": "status",
        },
        required=("booked_at", "starts_at"),
        references=("contact",),
        extra="properties",
    ),
}  # fmt: skip

# kinds whose rows become rows of keepwell.events
EVENT_KINDS = ("event", "invoice", "appointment")


@dataclass(frozen=True, slots=True)
class Case:
    """One line of `cases`: holds if every given test on `column` holds; without column, always."""

    then: str
    column: str | None = None
    starts_with: str | None = None
    equals: str | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """Where a field's value comes from and how it is read: exactly one source is set.

    Attributes:
        type: how the text is read.
        column, constant, template, cases: the source.
        values: texts of the source and what each stands for; empty: as it is.
        times: for cents: a column with a whole number to multiply by.
        absolute: for cents: the amount without its sign.
        minimum, maximum: bounds for numbers.
        required: an empty value rejects the row.
    """

    type: FieldType = "text"
    column: str | None = None
    constant: str | None = None
    template: str | None = None
    cases: tuple[Case, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    times: str | None = None
    absolute: bool = False
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False

    @property
    def place(self) -> str:
        """What a reject names as the column."""
        return self.column or self.template or (self.cases[0].column if self.cases else "") or "-"


@dataclass(frozen=True, slots=True)
class ConsentTerm:
    """A consent that each new contact brings along.

    Attributes:
        granted_at: a time; None: when the contact was first seen.
    """

    channel: str
    purpose: str
    basis: str
    granted_at: Value | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One kind of record that every row may yield.

    Attributes:
        id: columns (or `$row`, `$file`) whose values joined with '|' are the external id.
        references: external id columns of what it points to, by 'contact', 'account', 'deal'.
        synthetic: names of fields whose address was made up.
    """

    kind: str
    id: tuple[str, ...]
    references: Table[str, tuple[str, ...]] = field(default_factory=dict)
    fields: Table[str, Value] = field(default_factory=dict)
    extra: Table[str, Value] = field(default_factory=dict)
    synthetic: tuple[str, ...] = ()
    consents: tuple[ConsentTerm, ...] = ()


@dataclass(frozen=True, slots=True)
class TenantSection:
    """What a mapping says about its tenant; `settings` never replace what is already set."""

    name: str
    industry: str | None
    settings: Table[str, Any]


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """A column that the mapping names, with the place where it does."""

    name: str
    place: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file, read and checked.

    Attributes:
        name: file name without extension.
        text: the file itself, for its digest and for findings.
        source: stands on events and activities as where they come from.
        time_zone: of local times in the file.
        ignore_offsets: True: a 'Z' or '+02:00' behind a time means nothing, the time is local.
        date_only: columns that hold a day, with the local time of day that is taken instead.
        formats: strptime formats of columns that are not ISO 8601.
        anonymous: True: rows without a customer are kept, their events have no contact.
    """

    name: str
    file: str
    text: str
    source: str
    time_zone: str
    records: tuple[Record, ...]
    uses: tuple[ColumnUse, ...]
    ignore_offsets: bool = False
    date_only: Table[str, str] = field(default_factory=dict)
    formats: Table[str, str] = field(default_factory=dict)
    delimiter: str = ","
    anonymous: bool = False
    tenant: TenantSection | None = None

    @property
    def home_zone(self) -> str:
        """Zone of contacts without one of their own: the tenant's, else that of the file."""
        settings = {} if self.tenant is None else self.tenant.settings
        return str(settings.get("timezone", self.time_zone))
