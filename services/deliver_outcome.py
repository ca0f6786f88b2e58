"""What an attempt's end means for the send: sent, again later, failed, or nobody knows.

An answer that never came is not a refusal. Whether a send may be tried again then depends on what
the provider does with repeats and on what a second copy would do to the person: a reminder twice
is a nuisance, an offer twice is not acceptable.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.chance import salt
from engine.errors import KeepwellError, ProviderRefused
from gateways.sender import AcceptanceUnknown, ProviderBusy, Receipt
from store.leases import Result
from store.sends import Send

_KEY_MARGIN = timedelta(hours=1)  # a provider's "24 hours" may be counted from another moment
_LAST_CHANCE = timedelta(minutes=1)
_JITTER = 0.25


@dataclass(frozen=True, slots=True)
class Terms:
    """How delivery goes about its work.

    Attributes:
        batch: sends claimed in one transaction.
        lease_seconds: how long a worker has for what it claimed.
        call_seconds: bound of one provider call, a little over the senders' own.
        parallel_calls: of one worker; batch / parallel_calls * call_seconds fits the lease.
        first_retry_seconds, longest_retry_seconds: the wait doubles from one to the other.
    """

    batch: int = 20
    lease_seconds: float = 60.0
    call_seconds: float = 12.0
    parallel_calls: int = 5
    first_retry_seconds: float = 30.0
    longest_retry_seconds: float = 3600.0


def may_repeat(
    send: Send,
    *,
    unclear_since: datetime | None,
    key_lifetime: timedelta | None,
    now: datetime,
) -> bool:
    """Tell whether one more attempt is right after one that nobody knows the end of.

    `key_lifetime` is the provider's (see `gateways.sender.Sender`). With none, treatment and
    service messages go again under the same id, marketing never.
    """
    if unclear_since is None:
        return True
    if key_lifetime is not None:
        return now < unclear_since + key_lifetime - _KEY_MARGIN
    return send.purpose != "marketing"


def retry_at(send: Send, attempt: int, now: datetime, terms: Terms) -> datetime | None:
    """Return when to try again after attempt number `attempt` (from 1); None when it is too late.

    The wait doubles each time, spread by a quarter up or down by the send's id, so that what
    failed together does not come back together. The last attempt is shortly before `not_after`.
    """
    doubled = terms.first_retry_seconds * 2.0 ** min(attempt - 1, 30)
    spread = 1.0 - _JITTER + 2.0 * _JITTER * salt(str(send.id), str(attempt)) / 2.0**64
    wait = timedelta(seconds=min(doubled, terms.longest_retry_seconds) * spread)
    last = send.not_after - _LAST_CHANCE
    if now + wait <= send.not_after:
        return now + wait
    return last if last > now + timedelta(seconds=terms.first_retry_seconds) else None


def after_acceptance(receipt: Receipt) -> Result:
    """Return the result of an accepted message."""
    return Result("accepted", "sent", provider_id=receipt.provider_id)


def after_no_call(now: datetime) -> Result:
    """Return the result of a claim that ran too long for the call to be begun."""
    return Result(
        "not_called",
        "pending",
        reason="lease_too_short",
        detail="The worker was held up; the provider was not called.",
        next_at=now,
    )


def after_error(
    send: Send,
    attempt: int,
    error: KeepwellError,
    *,
    key_lifetime: timedelta | None,
    now: datetime,
    terms: Terms,
) -> Result:
    """Return the result of an attempt that ended in an error."""
    if isinstance(error, ProviderRefused):
        return Result("refused", "failed", reason=error.code, detail=error.message)
    unclear = isinstance(error, AcceptanceUnknown)
    outcome = "unclear" if unclear else "temporary"
    since = send.unclear_since or (now if unclear else None)
    if not may_repeat(send, unclear_since=since, key_lifetime=key_lifetime, now=now):
        return Result(outcome, "unknown", reason=error.code, detail=error.message)
    next_at = retry_at(send, attempt, now, terms)
    if next_at is not None and isinstance(error, ProviderBusy):
        next_at = max(next_at, now + timedelta(seconds=error.retry_after_seconds))
    if next_at is None or next_at > send.not_after:
        state = "failed" if since is None else "unknown"
        return Result(outcome, state, reason=error.code, detail=error.message)
    return Result(outcome, "pending", reason=error.code, detail=error.message, next_at=next_at)
