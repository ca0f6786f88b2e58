"""What clients send and get about consent."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from api.documents import Moment, Name, Strict, small
from api.shapes import Shape
from services.set_consent import ConsentTold

Channel = Literal["email", "sms", "call_task"]
Purpose = Literal["treatment", "service", "marketing"]


class ConsentIn(Strict):
    """What a contact agreed to, or withdrew, and what proves it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "form-118",
                    "channels": ["sms"],
                    "purposes": ["marketing"],
                    "status": "granted",
                    "basis": "express_written",
                    "source": "signup form v3",
                    "by": "web",
                    "at": "2026-03-01T14:30:00Z",
                    "evidence": {"text": "Yes, send me offers by text message."},
                }
            ]
        }
    )

    channels: Annotated[list[Channel], Field(min_length=1, max_length=3)]
    purposes: Annotated[list[Purpose], Field(min_length=1, max_length=3)]
    status: Literal["granted", "revoked"]
    basis: Name = Field(description="Why it may be relied on, e.g. express_written, revocation.")
    source: Name = Field(description="The system, form or person that heard it.")
    by: Name = Field(description="Who reports it; stands in the audit trail.")
    at: Moment | None = Field(None, description="When it was said; absent: now.")
    id: Name | None = Field(None, description="Unique at the source: reported once.")
    evidence: Annotated[dict[str, Any], AfterValidator(small)] = Field(
        default_factory=dict, description="What proves it, e.g. the text shown."
    )

    def told(self) -> ConsentTold:
        """As the service takes it."""
        return ConsentTold(
            channels=tuple(self.channels),
            purposes=tuple(self.purposes),
            status=self.status,
            basis=self.basis,
            source=self.source,
            by=self.by,
            at=self.at,
            id=self.id or "",
            evidence=self.evidence,
        )


class ConsentHeld(Shape):
    """What holds for one channel and purpose; what is absent was never agreed to."""

    channel: str
    purpose: str
    status: str


class ConsentSet(Shape):
    """What holds now."""

    contact_id: UUID
    added: int = Field(description="New rows of the ledger; 0: it was reported before.")
    suppressed: int = Field(description="Queued messages that were taken back.")
    held: list[ConsentHeld]


class ConsentLine(ConsentHeld):
    """A row of the ledger."""

    basis: str
    source: str
    evidence: dict[str, Any]
    effective_at: datetime | None


class Consents(Shape):
    """What holds, and the whole ledger, newest first."""

    contact_id: UUID
    held: list[ConsentHeld]
    ledger: list[ConsentLine]
