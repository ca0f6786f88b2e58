"""What clients send about the policy."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from api.documents import Name, Strict


class PolicyIn(Strict):
    """Sections to change, and who answers for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "by": "ada",
                    "reason": "pilot",
                    "sections": {"rollout": {"*": 0.2}},
                    "dry_run": True,
                }
            ]
        }
    )

    sections: Annotated[dict[str, Any], Field(min_length=1, max_length=50)] = Field(
        description="By name, as in a policy file; null gives a section back to the product."
    )
    by: Name = Field(description="Who does it; stands in the audit trail.")
    reason: Annotated[str, StringConstraints(max_length=1_000)] = Field(
        "", description="In words, for the list of versions."
    )
    dry_run: bool = Field(False, description="Check everything, change nothing.")


class MachinesIn(Strict):
    """What the contact wishes, and who heard it."""

    refused: bool = Field(description="True: plain rules and templates only.")
    by: Name = Field(description="Who noted it; stands in the audit trail.")
