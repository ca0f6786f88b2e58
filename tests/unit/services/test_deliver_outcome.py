"""What the end of an attempt means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import KeepwellError, ProviderRefused, ProviderUnavailable
from engine.ids import ContactId, DecisionId, SendId
from gateways.sender import AcceptanceUnknown, ProviderBusy
from services.deliver_outcome import Terms, after_error, may_repeat, retry_at
from store.leases import Result
from store.sends import Send

NOW = datetime(2026, 3, 3, 17, tzinfo=UTC)
TERMS = Terms()
KEY = timedelta(hours=24)
SEND = Send(
    id=SendId(UUID(int=2)),
    decision_id=DecisionId(UUID(int=3)),
    contact_id=ContactId(UUID(int=1)),
    dedupe_key="k",
    action="recall",
    purpose="service",
    channel="email",
    recipient="ada@example.com",
    content={},
    content_source="template",
    still=(),
    state="sending",
    attempts=1,
    next_at=NOW,
    not_after=NOW + timedelta(days=2),
    provider_id=None,
    reason=None,
    checks=(),
    decided_at=NOW,
    created_at=NOW,
    sent_at=None,
    rule=None,
    unclear_since=None,
)
MARKETING = replace(SEND, purpose="marketing")
AWAY = ProviderUnavailable("away")
SILENT = AcceptanceUnknown("silent")


def ended(send: Send, error: KeepwellError, *, key: timedelta | None = None) -> Result:
    return after_error(send, 1, error, key_lifetime=key, now=NOW, terms=TERMS)


@pytest.mark.parametrize(
    ("send", "error", "key", "state", "outcome"),
    [
        (SEND, AWAY, None, "pending", "temporary"),
        (MARKETING, AWAY, None, "pending", "temporary"),
        (SEND, ProviderRefused("no"), None, "failed", "refused"),
        (SEND, SILENT, None, "pending", "unclear"),
        (MARKETING, SILENT, None, "unknown", "unclear"),
        (MARKETING, SILENT, KEY, "pending", "unclear"),
        # a refused connection says nothing of the attempt before it
        (replace(MARKETING, unclear_since=NOW), AWAY, None, "unknown", "temporary"),
        (replace(MARKETING, unclear_since=NOW - KEY), AWAY, KEY, "unknown", "temporary"),
    ],
)
def test_the_class_of_the_message_decides_what_silence_means(
    send: Send, error: KeepwellError, key: timedelta | None, state: str, outcome: str
) -> None:
    result = ended(send, error, key=key)
    assert (result.state, result.outcome) == (state, outcome)
    assert (result.next_at is not None) == (state == "pending")


def test_past_its_time_a_send_fails_and_one_of_unknown_fate_stays_unknown() -> None:
    late = replace(SEND, not_after=NOW + timedelta(seconds=5))
    assert ended(late, AWAY).state == "failed"
    assert ended(late, SILENT).state == "unknown"
    assert ended(replace(late, unclear_since=NOW), AWAY).state == "unknown"


def test_a_provider_that_names_a_time_is_not_asked_before_it() -> None:
    result = ended(SEND, ProviderBusy("busy", retry_after_seconds=900))
    assert result.next_at == NOW + timedelta(seconds=900)


@given(attempt=st.integers(1, 200), identity=st.integers(0, 2**128 - 1))
def test_waits_double_within_their_spread_and_never_pass_the_deadline(
    attempt: int, identity: int
) -> None:
    send = replace(SEND, id=SendId(UUID(int=identity)))
    at = retry_at(send, attempt, NOW, TERMS)
    assert at is not None
    assert at == retry_at(send, attempt, NOW, TERMS)
    plain = min(30.0 * 2.0 ** min(attempt - 1, 30), 3600.0)
    # a quarter up or down, and a microsecond for rounding
    assert 0.75 * plain - 1e-6 <= (at - NOW).total_seconds() <= 1.25 * plain + 1e-6
    assert at <= send.not_after


def test_what_failed_together_does_not_come_back_together() -> None:
    waits = {retry_at(replace(SEND, id=SendId(uuid4())), 1, NOW, TERMS) for _ in range(20)}
    assert len(waits) == 20


def test_the_last_attempt_is_made_shortly_before_the_deadline() -> None:
    send = replace(SEND, not_after=NOW + timedelta(minutes=20))
    assert retry_at(send, 8, NOW, TERMS) == send.not_after - timedelta(minutes=1)
    assert retry_at(send, 8, send.not_after - timedelta(minutes=1), TERMS) is None


def test_marketing_of_unknown_fate_is_repeated_only_under_a_living_key() -> None:
    for send, key, since, expected in [
        (MARKETING, None, None, True),
        (MARKETING, None, NOW, False),
        (SEND, None, NOW, True),
        (MARKETING, KEY, NOW - timedelta(hours=22), True),
        (SEND, KEY, NOW - timedelta(hours=23), False),
    ]:
        assert may_repeat(send, unclear_since=since, key_lifetime=key, now=NOW) is expected
