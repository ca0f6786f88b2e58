"""What clients get: the shape of each answer, for OpenAPI and for the tests that hold it true.

Routes answer with JSON bytes made by the services; these models are not run per request.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """Base of answers; later versions may add fields."""

    model_config = ConfigDict(extra="allow")


class Problem(Shape):
    """RFC 9457 problem details; `code` is stable, `detail` is for people."""

    type: str = Field(examples=["urn:keepwell:problem:contact_not_found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such contact."])
    code: str = Field(examples=["contact_not_found"])
    hint: str | None = Field(None, description="The next step, if there is one.")
    errors: list[dict[str, Any]] | None = Field(
        None, description="All faults: `pointer` (RFC 6901) into the body and `detail`."
    )


class Send(Shape):
    """What became of a decision's message; the names differ before and after it is stored."""

    id: UUID | None = None


class Decision(Shape):
    """One decision with its explanation."""

    id: UUID
    contact_id: UUID
    as_of: datetime = Field(description="What was known at this moment was decided on; UTC.")
    trigger: str
    action: str | None = Field(description="Null: to do nothing is best, `reason` says why.")
    rule: str | None = Field(description="The rule that proposed the action.")
    purpose: str | None = Field(description="treatment, service or marketing.")
    subject: str | None = Field(description="What the action is about.")
    reason: str = Field(description="Stable reason code in snake_case.")
    channel: str | None
    slot: str | None
    variant: str | None
    send_at: datetime | None = Field(description="Not before this moment; UTC.")
    selection_probability: float | None = Field(
        description="P(the policy picks this arm), in [0, 1]; for evaluation off policy."
    )
    score_cents: float = Field(description="Expected worth over doing nothing, cents.")
    experiment_group: str
    health: dict[str, Any] = Field(description="score 0 to 100, tier, hazards in [0, 1].")
    candidates: list[dict[str, Any]] = Field(
        description="Every candidate: the stage that removed it or its score, term by term."
    )
    versions: dict[str, Any] = Field(description="What a replay needs: digests, seed, libraries.")
    send: Send | None = Field(description="What became of the message.")
    content: dict[str, Any] | None = Field(None, description="Subject and text, when decided now.")
    dry_run: bool | None = Field(None, description="When decided now: was anything stored?")
    profile: dict[str, Any] | None = Field(None, description="When read: what was known.")
    outcomes: list[dict[str, Any]] | None = Field(None, description="When read: what followed.")


class Explanation(Decision):
    """A decision with why it came out so, and what would flip it."""

    id: UUID | None = Field(description="Null: not stored, explained as it would be.")  # type: ignore[assignment]
    stored: bool
    explanation: dict[str, Any] | None = Field(
        description="outcome, candidates (stages, conditions, terms), runner_up, why_nothing, "
        "smallest_change, other_changes; null if what it was made with is gone."
    )
    explanation_note: str | None
    words: list[str] = Field(description="All of it as lines for people.")


class DecisionSummary(Shape):
    """Decisions grouped; amounts in cents of expected worth."""

    of: str
    since: datetime
    until: datetime
    run_id: UUID | None
    decisions: int
    with_action: int
    without_action: int
    outcomes: list[dict[str, Any]] = Field(description="By action and reason, the most first.")
    stages: list[dict[str, Any]] = Field(
        description="Per stage and reason: candidates removed, contacts left with nothing, and "
        "`forgone_cents`, its opportunity cost."
    )
    rules: list[dict[str, Any]]
    levers: list[dict[str, Any]] = Field(description="What each lever changed and cost.")


class Difference(Shape):
    """One field that a replay computed otherwise."""

    where: str
    field: str
    stored: Any
    now: Any


class Replay(Shape):
    """What recomputing a decision found."""

    decision_id: UUID
    verdict: Literal["identical", "inputs_changed", "differs"]
    differences: list[Difference] = Field(
        description="Where: stored, decision, candidates, versions, sources."
    )


class EventResult(Shape):
    """What became of one event."""

    id: str
    status: Literal["recorded", "duplicate"]
    decision_id: UUID | None = Field(None, description="The decision it was attributed to.")
    outcome: str | None = None
    reward: float | None = Field(None, description="In [0, 1].")


class BatchItem(Shape):
    """What became of one event of a batch."""

    id: str | None = Field(description="Null if the event had none that could be read.")
    status: Literal["recorded", "duplicate", "rejected"]
    problem: Problem | None = None


class BatchResult(Shape):
    """One result per event, in the order sent."""

    results: list[BatchItem]


class Channels(Shape):
    """Which channels the CRM leaves open; consent and policy come on top."""

    email: bool
    sms: bool
    call: bool


class Contact(Shape):
    """Who a contact is."""

    id: UUID
    external_ids: list[str]
    name: str | None
    timezone: str | None = Field(description="IANA name.", examples=["America/New_York"])
    channels: Channels


class RuleRelease(Shape):
    """One release of the tenant's rules."""

    number: int = Field(description="Counts from 1; the highest is in force.")
    digest: str = Field(description="SHA-256; stands on every decision as rule_set_digest.")
    files: list[dict[str, Any]] = Field(description="Name and version of each file.")
    statuses: dict[str, str] = Field(description="Statuses given to rules, by id.")
    made_by: str
    approved_by: str | None
    reason: str
    made_at: datetime


class Releases(Shape):
    """Releases, newest first."""

    releases: list[RuleRelease]
    next: int | None = Field(description="`before` of the next page; null on the last one.")


class RuleInForce(Shape):
    """One rule as it is in force."""

    id: str
    title: str
    owner: str
    status: Literal["draft", "shadow", "live", "retired"]
    written_status: str = Field(description="What its file says; `status` holds.")
    file: str
    action: str
    purpose: str
    channels: list[str]
    needs_approval: bool
    meaning: str = Field(description="SHA-256 of what the rule does.")


class RulesInForce(Shape):
    """The release in force with its rules, in the order of files and lines."""

    release: RuleRelease | None
    rules: list[RuleInForce]


class Published(Shape):
    """What came of a publication."""

    release: RuleRelease | None = Field(description="In force now.")
    changed: bool = Field(description="False for a dry run and for what was in force already.")
    rules: dict[str, str | None] = Field(
        description="Rules that are new, gone (null) or different, with the digest of what they do."
    )
    contacts_a_week: dict[str, Any] | None = Field(
        description="Contacts that are proposed something in a week: before, after, note."
    )
    warnings: list[dict[str, Any]]


class Check(Shape):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warning", "failed", "unreachable"]
    detail: str


class Readiness(Shape):
    """Whether requests can be served now."""

    status: Literal["ready", "not_ready"]
    checks: list[Check]


class Alive(Shape):
    """The process runs."""

    status: Literal["ok"]
