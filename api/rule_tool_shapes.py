"""What the tools around rules answer: for OpenAPI and the tests that hold it true."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from api.shapes import Shape


class FindingShape(Shape):
    """One fault or doubt about a file."""

    code: str = Field(examples=["E102"])
    severity: Literal["error", "warning", "hint"]
    message: str
    file: str
    line: int = Field(description="From 1; 0 where there is no place.")
    column: int
    width: int = Field(description="How many characters of the line are meant.")
    text: str = Field(description="The line itself.")
    hint: str = Field(description="The fix, as text that can be pasted; may be empty.")


class FindingsFound(Shape):
    """What was found in files."""

    ok: bool = Field(description="Of check: no errors. Of conflicts: nothing found.")
    findings: list[FindingShape]


class FailedTest(Shape):
    """An in-file test that failed."""

    file: str
    line: int
    rule: str
    test: str
    message: str = Field(description="Which condition decided, with both values.")


class TestsRun(Shape):
    """How the in-file tests went, on three matchers."""

    ok: bool
    tests: int
    failed: list[FailedTest]


class CoverageFound(Shape):
    """What in-file tests have seen; never rounded up."""

    percent: dict[str, float] = Field(description="Of conditions and of boundaries, 0 to 100.")
    files: list[dict[str, Any]]
    findings: list[FindingShape]


class FileLaidOut(Shape):
    """One file in the one layout."""

    name: str
    document: str
    changed: bool


class FilesLaidOut(Shape):
    """The files, in the order sent."""

    files: list[FileLaidOut]


class Handbook(Shape):
    """All rules in plain sentences."""

    chapters: list[dict[str, Any]] | None = Field(description="With form json.")
    page: str | None = Field(description="With form markdown or html.")


class Schema(Shape):
    """A JSON Schema (2020-12)."""

    schema_: dict[str, Any] = Field(alias="schema")


class Fields(Shape):
    """What rules may name."""

    fields: list[dict[str, Any]] = Field(
        description="Name, type, unit, allowed values, label, source; with fill: filled, newest."
    )
    events: dict[str, Any] | None = Field(description="With fill: how often each was seen.")
    contacts_looked_at: int | None = None
    contacts_in_all: int | None = None


class RulesCompared(Shape):
    """What changed between two files."""

    lines: list[str] = Field(description="The changes in words.")
    meaning: dict[str, Any]
    gained: dict[str, Any] | None = Field(None, description="Number of contacts, ten samples.")
    lost: dict[str, Any] | None = None
    contacts_a_week: dict[str, Any] | None = None
    second_person: dict[str, Any] | None = Field(
        None, description="Whether the growth asks for one, and the tenant's bounds."
    )


class RuleExplained(Shape):
    """Why a rule does or doesn't propose for a contact."""

    rule: dict[str, Any]
    contact_id: UUID
    as_of: datetime
    time_zone: str
    proposes: bool
    subjects: list[dict[str, Any]] = Field(
        description="For the contact, or each open subject: every condition with its values."
    )
    policy: dict[str, Any] = Field(description="What caps, consent and the rest say of it alone.")
    decision: dict[str, Any] = Field(description="What is decided with all rules.")


class NearRule(Shape):
    """How near one rule is to proposing."""

    rule: str
    title: str
    status: str
    subject: str | None
    proposes: bool
    missing: list[str]
    changes: list[str] | None = Field(description="The least that would make it propose.")
    distance: float | None
    proposes_from: datetime | None = Field(description="When time alone makes it propose; UTC.")
    stopped_by: str | None = Field(description="The stage of the policy that stops it.")
    reason: str | None


class WhyNot(Shape):
    """All rules that act, the nearest to proposing first."""

    contact_id: UUID
    as_of: datetime
    time_zone: str
    source: str
    decision: dict[str, Any]
    rules: list[NearRule]


class ExampleRecorded(Shape):
    """An in-file test made of a contact."""

    rule: str
    expect: Literal["fires", "quiet"]
    because: str
    test: list[str] = Field(description="The lines of the test.")
    document: str = Field(description="The file with the test in it.")


class Backtested(Shape):
    """What a rule would have proposed on past nights."""

    rule: str
    status: str
    source: str
    meaning: str = Field(description="SHA-256 of what the rule does; what the result counts for.")
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    nights: int
    contacts_looked_at: int
    contacts_in_all: int
    share_looked_at: float = Field(description="In (0, 1]; below 1 all counts are estimates.")
    proposals: int
    contacts: int
    contacts_a_week: dict[str, Any]
    by_channel: dict[str, int]
    kept_back: dict[str, int]
    overlap: dict[str, Any]
    by_themselves: dict[str, Any] = Field(description="A base rate, no causal claim.")
    samples: list[dict[str, Any]]


class Due(Shape):
    """Who is looked at by themselves."""

    contacts: int
    due: int
    failed: int
    checks: list[dict[str, Any]]


class Verified(Shape):
    """What a verification found."""

    ok: bool
    as_of: datetime
    contacts: int
    subjects: int
    rules: int
    differences: list[dict[str, Any]]
    halted: list[str]
