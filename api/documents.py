"""What clients send: strict, every field bounded, unknown fields refused."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from services.record_event import NewEvent

FIRST_YEAR, LAST_YEAR = 1970, 2099  # what all our readers and PostgreSQL's clients can hold
MAX_AMOUNT_CENTS = 100_000_000_000
MAX_VALUE = 1e12
MAX_PROPERTIES_BYTES = 16_384
MAX_BATCH = 1_000


def _iso_text(value: object) -> object:
    # pydantic would also take seconds since 1970, as a number or as text
    if not isinstance(value, str) or not (len(value) >= 20 and value[10] in "Tt"):
        raise ValueError("a time reads 2026-03-01T14:30:00Z, with Z or an offset")
    return value


def _in_range(value: datetime) -> datetime:
    # the year comes first: the edges of the calendar can't be converted to UTC at all
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"a time lies between {FIRST_YEAR} and {LAST_YEAR}")
    return value.astimezone(UTC)


def _uuid_text(value: object) -> object:
    if not isinstance(value, str) or len(value) != len(str(UUID(int=0))):
        raise ValueError("an id is a UUID of 36 characters")
    return value


def small(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the value if it is not larger than properties may be."""
    if value is not None and len(orjson.dumps(value)) > MAX_PROPERTIES_BYTES:
        raise ValueError(f"properties hold at most {MAX_PROPERTIES_BYTES:,} bytes")
    return value


Moment = Annotated[
    AwareDatetime, BeforeValidator(_iso_text), AfterValidator(_in_range), Field(strict=False)
]
Id = Annotated[UUID, BeforeValidator(_uuid_text), Field(strict=False)]
# no control characters: names end up in logs, CSV files and mail headers
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class Strict(BaseModel):
    """Base of what clients send."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class NothingIn(Strict):
    """A call without fields: an empty body or {}."""


class DecideIn(Strict):
    """How to decide; all optional, an empty body will do."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dry_run": True}]})

    as_of: Moment | None = Field(
        None, description="Decide on what was known at this moment; absent: now."
    )
    dry_run: bool = Field(False, description="Decide and explain, but store and send nothing.")
    trigger: str = Field(
        "api",
        max_length=64,
        pattern=r"^[a-z][a-z0-9_.:-]*$",
        description="What asked for the decision; stands on it.",
    )


class EventIn(Strict):
    """One thing that happened to a contact, told once: its id makes a repetition harmless."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "crm-90211",
                    "type": "appointment.booked",
                    "contact": "external:4711",
                    "occurred_at": "2026-03-01T14:30:00Z",
                    "subject": "appointment:5642903",
                    "starts_at": "2026-03-09T09:00:00-05:00",
                }
            ]
        }
    )

    id: Name = Field(description="Unique among the events this tenant sends through the API.")
    type: str = Field(
        max_length=64,
        pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$",
        description="noun.verb, e.g. appointment.booked, message.replied.",
    )
    contact: Name = Field(description="Our id (UUID) or external:<id>.")
    occurred_at: Moment
    decision_id: Id | None = Field(
        None, description="The decision it answers, if the sender knows it."
    )
    subject: Name | None = Field(None, description="What it is about, e.g. appointment:5642903.")
    amount_cents: int | None = Field(None, ge=-MAX_AMOUNT_CENTS, le=MAX_AMOUNT_CENTS)
    starts_at: Moment | None = Field(None, description="When the booked thing takes place.")
    value: float | None = Field(
        None, ge=-MAX_VALUE, le=MAX_VALUE, description="A number that it carries, e.g. a score."
    )
    properties: Annotated[dict[str, Any] | None, AfterValidator(small)] = None

    def to_event(self) -> NewEvent:
        """Return the event as the services take it."""
        return NewEvent(**dict(self))


class EventBatchIn(Strict):
    """Up to 1,000 events; each is accepted or rejected by itself."""

    events: Annotated[
        list[Any],
        Field(min_length=1, max_length=MAX_BATCH),
        WithJsonSchema(
            {
                "type": "array",
                "items": {"$ref": "#/components/schemas/EventIn"},
                "minItems": 1,
                "maxItems": MAX_BATCH,
            }
        ),
    ]
