"""What clients send about rules: strict, every field bounded, unknown fields refused."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from api.documents import Name, Strict

MAX_TEXT = 300_000
MAX_FILES = 50

FileName = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*$"
    ),
]
# line breaks are allowed: reasons are written by people
Reason = Annotated[str, StringConstraints(max_length=1_000)]


class SignedIn(Strict):
    """Who answers for a change of the rules; the API key's id is kept beside it."""

    by: Name = Field(description="Who does it; stands in the audit trail.")
    approved_by: Name | None = Field(None, description="The second person who has looked at it.")
    reason: Reason = Field("", description="In words, for the list of releases.")


class RulesFileIn(Strict):
    """A rules file."""

    name: FileName = Field(description="A file in force of this name is replaced.")
    document: str = Field(max_length=MAX_TEXT, description="The YAML text.")
    vocabulary: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="The text of its vocabulary; absent: the shipped one that it names.",
    )


class PublishIn(SignedIn):
    """Files to put in force, all or none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"by": "ada", "remove": ["my-rules"], "dry_run": True}]}
    )

    files: list[RulesFileIn] = Field(default_factory=list, max_length=MAX_FILES)
    remove: list[FileName] = Field(
        default_factory=list, max_length=MAX_FILES, description="Names of files that leave."
    )
    dry_run: bool = Field(False, description="Check everything, change nothing.")


class PromoteIn(SignedIn):
    """The status to give to a rule."""

    status: Literal["draft", "shadow", "live", "retired"]


class RollBackIn(SignedIn):
    """Which release to go back to."""

    to: int | None = Field(None, ge=1, le=2**31 - 1, description="Absent: the one before.")


class HaltIn(Strict):
    """Why a rule has to stop at once, and who says so."""

    by: Name
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
