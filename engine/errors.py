"""Every error this project raises on purpose.

The message says what and where; the hint says the next step. HTTP status codes live in
`api/errors.py` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class KeepwellError(Exception):
    """Base of all of them.

    Attributes:
        code: stable snake_case identifier, safe to show to API clients and to alert on.
        message: what happened, to what, where.
        hint: the next step for the person who reads it; may be empty.
    """

    code: ClassVar[str] = "keepwell_error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


# ------------------------------------------------------------------ what the caller asked for


class NotFound(KeepwellError):
    """The thing does not exist, or belongs to another tenant: the same answer for both."""

    code = "not_found"


class ContactNotFound(NotFound):
    code = "contact_not_found"


class DecisionNotFound(NotFound):
    code = "decision_not_found"


class TenantNotFound(NotFound):
    code = "tenant_not_found"


class InvalidInput(KeepwellError):
    """The request or file can't be understood; nothing was done."""

    code = "invalid_input"


class Conflict(KeepwellError):
    """The request contradicts what is already stored."""

    code = "conflict"


class IdempotencyConflict(Conflict):
    code = "idempotency_conflict"


class NotAuthenticated(KeepwellError):
    code = "not_authenticated"


class NotAllowed(KeepwellError):
    code = "not_allowed"


class PayloadTooLarge(InvalidInput):
    code = "payload_too_large"


class UnsupportedMediaType(InvalidInput):
    code = "unsupported_media_type"


class RateLimited(KeepwellError):
    """Too many requests with one key; try again after `retry_after_seconds`."""

    code = "rate_limited"

    def __init__(self, message: str, *, hint: str = "", retry_after_seconds: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


# ------------------------------------------------------------------------ files people write


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault in a file a person wrote.

    Attributes:
        code: stable code, e.g. E102.
        message: what is wrong, in the author's words.
        file, line, column: the place; line and column count from 1, 0 where there is none.
        width: how many characters of the line are meant, for the caret.
        text: the line itself.
        hint: the fix as text that can be pasted; may be empty.
        severity: error blocks, warning does not.
    """

    code: str
    message: str
    file: str
    line: int = 0
    column: int = 0
    width: int = 1
    text: str = ""
    hint: str = ""
    severity: str = "error"


class InvalidFile(InvalidInput):
    """A rules file, mapping file or template has faults; carries all of them, in file order."""

    code = "invalid_file"

    def __init__(self, message: str, findings: Sequence[Finding], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.findings = tuple(findings)


class InvalidRules(InvalidFile):
    code = "invalid_rules"


class InvalidMapping(InvalidFile):
    code = "invalid_mapping"


class InvalidTemplate(InvalidFile):
    code = "invalid_template"


# ------------------------------------------------------------------------- what we depend on


class Unavailable(KeepwellError):
    """A server we need can't be reached; the same request may succeed later."""

    code = "unavailable"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class ProviderUnavailable(Unavailable):
    """A channel's provider could not be reached or said 'try again'; nothing was accepted."""

    code = "provider_unavailable"


class ProviderRefused(KeepwellError):
    """The provider refused this message for good; retrying can't help."""

    code = "provider_refused"


class EmbeddedServerFailed(Unavailable):
    code = "embedded_server_failed"


class SchemaMismatch(KeepwellError):
    """A table of the adopted CRM is not as expected; names table, column, expected and found."""

    code = "schema_mismatch"


class ModelUnusable(KeepwellError):
    """A stored model can't be loaded or fails its checks; the scorecard takes its place."""

    code = "model_unusable"


class TooFewData(KeepwellError):
    """There is too little history to train on; says how much there is and how much it takes."""

    code = "too_few_data"


class StateUnusable(KeepwellError):
    """A stored bandit state has a version or shape this code does not know."""

    code = "state_unusable"
