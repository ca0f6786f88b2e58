"""What clients send about approvals and the plan: strict, every field bounded."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.documents import Moment, Name, Strict

MAX_ROWS = 1_000

Reason = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class ApproveIn(Strict):
    """Who approves."""

    by: Name = Field(description="Who answers; stands in the audit trail.")


class RefuseIn(Strict):
    """Who refuses, and why."""

    by: Name = Field(description="Who answers; stands in the audit trail.")
    reason: Reason = Field(description="In words; feedback on the rule.")


class PlannedIn(Strict):
    """One planned message: the contact, the rule that proposes it, and what it is about."""

    contact_id: Name
    rule: Name
    subject: Name = "contact"


class MarkIn(Strict):
    """A word about planned messages."""

    by: Name = Field(description="Who says so; stands in the audit trail.")
    verdict: Literal["approved", "held", "struck"]
    reason: Annotated[str, StringConstraints(max_length=1_000)] = ""
    rows: Annotated[list[PlannedIn], Field(min_length=1, max_length=MAX_ROWS)]
    until: Moment | None = Field(
        None, description="It counts until then; absent: two weeks, or as long as the rule rests."
    )


class WithdrawIn(Strict):
    """Who takes a word back."""

    by: Name
