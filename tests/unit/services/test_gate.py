"""The gate: what may leave at this moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.actions import PURPOSES
from engine.ids import ContactId, DecisionId, SendId
from engine.policy.settings import Cap, PolicyData
from services.gate import Facts, GateRules, gate
from store.recipients import Recipient, Touch
from store.sends import Send

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 3, 3, 12, tzinfo=NEW_YORK).astimezone(UTC)  # a Tuesday
CONTACT = ContactId(UUID(int=1))
OFFICE = ((600, 1080),) * 5 + ((600, 1020), None)
ALL_CHECKS = (
    "contact_exists",
    "in_time",
    "tenant_running",
    "rule_live",
    "not_refused",
    "consent",
    "recipient_unchanged",
    "facts_still_hold",
    "not_in_holdout",
    "rolled_out",
    "not_resting",
    "first_of_household",
    "length",
    "quiet_hours",
    "frequency_caps",
)
RULES = GateRules(
    PolicyData(
        windows=OFFICE,
        caps=(
            *(Cap(purpose, 1, 1, PURPOSES) for purpose in PURPOSES),
            *(Cap(purpose, 7, 3, PURPOSES) for purpose in PURPOSES),
            Cap("marketing", 30, 2),
        ),
        holdout_share=0.0,
        fatigue_cents=0.0,
        exploration_floor=0.0,
        digest="test",
    ),
    live_rules=frozenset({"clinic.recall"}),
)
RECIPIENT = Recipient(
    contact_id=CONTACT,
    email="ada@example.com",
    phone=None,
    mobile_phone="(555) 012-3456",
    timezone="America/New_York",
    do_not=frozenset(),
    unsubscribed=False,
)
FACTS = Facts(
    recipient=RECIPIENT,
    consents={
        (channel, purpose): "granted"
        for channel in ("email", "sms")
        for purpose in ("service", "marketing")
    },
    touches=(),
    newest_events={},
)
SEND = Send(
    id=SendId(UUID(int=2)),
    decision_id=DecisionId(UUID(int=3)),
    contact_id=CONTACT,
    dedupe_key="k",
    action="recall",
    purpose="service",
    channel="email",
    recipient="ada@example.com",
    content={},
    content_source="template",
    still=(),
    state="pending",
    attempts=0,
    next_at=NOON,
    not_after=NOON + timedelta(days=2),
    provider_id=None,
    reason=None,
    checks=(),
    decided_at=NOON - timedelta(hours=3),
    created_at=NOON - timedelta(hours=3),
    sent_at=None,
    rule="clinic.recall",
    unclear_since=None,
)


@pytest.mark.parametrize("live", [frozenset(), frozenset({"clinic.other"})])
def test_what_a_rule_wanted_to_say_is_not_said_once_the_rule_is_not_live(
    live: frozenset[str],
) -> None:
    verdict = gate(SEND, FACTS, replace(RULES, live_rules=live), NOON)
    assert (verdict.answer, verdict.reason) == ("never", "rule_halted")


def test_what_no_rule_proposed_needs_no_live_rule() -> None:
    verdict = gate(replace(SEND, rule=None), FACTS, replace(RULES, live_rules=frozenset()), NOON)
    assert verdict.answer == "now"


def touched(*ages: timedelta, purpose: str = "service") -> Facts:
    return replace(
        FACTS,
        touches=tuple(Touch(SendId(uuid4()), CONTACT, purpose, NOON - age) for age in ages),
    )


def test_what_nothing_speaks_against_leaves_with_all_checks_on_record() -> None:
    verdict = gate(SEND, FACTS, RULES, NOON)
    assert verdict.answer == "now"
    assert verdict.checks == ALL_CHECKS


@pytest.mark.parametrize(
    ("send", "recipient", "reason"),
    [
        ({}, None, "contact_gone"),
        ({"not_after": NOON - timedelta(seconds=1)}, {}, "expired"),
        ({}, {"do_not": frozenset({"email"})}, "do_not_contact_flag"),
        ({"purpose": "marketing"}, {"unsubscribed": True}, "unsubscribed"),
        ({"purpose": "treatment"}, {}, "no_consent"),
        ({}, {"email": "other@example.com"}, "recipient_changed"),
        ({}, {"email": None}, "recipient_missing"),
        (
            {"channel": "sms", "recipient": "+15550123456"},
            {"mobile_phone": "+15559999999"},
            "recipient_changed",
        ),
        ({"still": ({"only": "invoice.paid"},)}, {}, "facts_unreadable"),
    ],
)
def test_what_must_not_leave_is_suppressed_with_its_reason(
    send: dict[str, object], recipient: dict[str, object] | None, reason: str
) -> None:
    known = None if recipient is None else replace(RECIPIENT, **recipient)  # type: ignore[arg-type]
    verdict = gate(
        replace(SEND, **send),  # type: ignore[arg-type]
        replace(FACTS, recipient=known),
        RULES,
        NOON,
    )
    assert (verdict.answer, verdict.reason) == ("never", reason)
    assert verdict.checks == ALL_CHECKS[: len(verdict.checks)]


@pytest.mark.parametrize(
    ("send", "recipient"),
    [
        ({}, {"do_not": frozenset({"sms", "call_task"})}),
        ({}, {"unsubscribed": True}),  # from a campaign: service messages go on
        ({"channel": "sms", "recipient": "+15550123456"}, {}),
        ({"recipient": "Ada@Example.com"}, {}),
    ],
)
def test_a_refusal_of_something_else_holds_nothing_back(
    send: dict[str, object], recipient: dict[str, object]
) -> None:
    known = replace(RECIPIENT, **recipient)  # type: ignore[arg-type]
    facts = replace(FACTS, recipient=known)
    assert gate(replace(SEND, **send), facts, RULES, NOON).answer == "now"  # type: ignore[arg-type]


def test_revoked_consent_wins_over_a_tenants_implied_one() -> None:
    rules = replace(RULES, implied=frozenset({("email", "service")}))
    assert gate(SEND, replace(FACTS, consents={}), rules, NOON).answer == "now"
    revoked = replace(FACTS, consents={("email", "service"): "revoked"})
    assert gate(SEND, revoked, rules, NOON).reason == "consent_revoked"


def test_a_paused_tenant_is_asked_again_in_five_minutes() -> None:
    verdict = gate(SEND, FACTS, replace(RULES, paused=True), NOON)
    assert (verdict.answer, verdict.at) == ("later", NOON + timedelta(minutes=5))


@pytest.mark.parametrize(
    ("age", "answer"), [(timedelta(hours=2), "never"), (timedelta(hours=4), "now")]
)
def test_a_booking_since_the_decision_cancels_the_reminder_to_book(
    age: timedelta, answer: str
) -> None:
    send = replace(SEND, still=({"no": "appointment.booked"},))
    facts = replace(FACTS, newest_events={("appointment.booked", "appointment:9"): NOON - age})
    assert gate(send, facts, RULES, NOON).answer == answer


@pytest.mark.parametrize(
    ("subject", "answer"),
    [("contract:7", "never"), ("contract:8", "now"), (None, "now")],
)
def test_the_renewal_of_another_contract_does_not_cancel_the_message_about_this_one(
    subject: str | None, answer: str
) -> None:
    send = replace(SEND, still=({"no": "contract.renewed", "about": "contract:7"},))
    facts = replace(FACTS, newest_events={("contract.renewed", subject): NOON})
    assert gate(send, facts, RULES, NOON).answer == answer


def test_a_fact_of_a_newer_version_does_not_hold() -> None:
    for fact in (
        {"only": "x"},
        {"no": "x", "about": "contract:7", "since": "2026"},
        {"about": "x"},
    ):
        assert gate(replace(SEND, still=(fact,)), FACTS, RULES, NOON).reason == "facts_unreadable"


def test_at_night_it_waits_for_the_contacts_morning() -> None:
    night = datetime(2026, 3, 3, 23, tzinfo=NEW_YORK).astimezone(UTC)
    verdict = gate(SEND, FACTS, RULES, night)
    assert verdict.answer == "later"
    assert verdict.at == datetime(2026, 3, 4, 10, tzinfo=NEW_YORK)


def test_what_would_be_too_late_in_the_morning_expires() -> None:
    night = datetime(2026, 3, 3, 23, tzinfo=NEW_YORK).astimezone(UTC)
    send = replace(SEND, not_after=night + timedelta(hours=3))
    verdict = gate(send, FACTS, RULES, night)
    assert (verdict.answer, verdict.reason) == ("never", "expired")


def test_a_contact_without_a_zone_lives_where_the_practice_is() -> None:
    facts = replace(FACTS, recipient=replace(RECIPIENT, timezone=None))
    honolulu = replace(RULES, time_zone="Pacific/Honolulu")  # 7 in the morning there
    assert gate(SEND, facts, honolulu, NOON).reason == "quiet_hours"
    assert gate(SEND, facts, replace(RULES, time_zone="America/Chicago"), NOON).answer == "now"


def test_one_a_day_counts_twenty_four_hours_and_the_calendar_day() -> None:
    twenty_three = gate(SEND, touched(timedelta(hours=23)), RULES, NOON)
    assert (twenty_three.answer, twenty_three.at) == ("later", NOON + timedelta(hours=1))
    assert gate(SEND, touched(timedelta(hours=24)), RULES, NOON).answer == "now"
    two_hours_ago = gate(SEND, touched(timedelta(hours=2)), RULES, NOON)
    assert two_hours_ago.at == NOON + timedelta(hours=22)


def test_the_third_message_of_a_week_is_the_last() -> None:
    ages = (timedelta(days=6), timedelta(days=4), timedelta(days=2))
    full = gate(SEND, touched(*ages), RULES, NOON)
    assert (full.answer, full.at) == ("later", NOON + timedelta(days=1))
    assert gate(SEND, touched(*ages[1:]), RULES, NOON).answer == "now"


def test_a_cap_that_frees_too_late_suppresses() -> None:
    ages = (timedelta(days=3), timedelta(days=2, hours=12), timedelta(days=2))
    verdict = gate(SEND, touched(*ages), RULES, NOON)
    assert (verdict.answer, verdict.reason) == ("never", "frequency_cap")


def test_a_cap_of_one_purpose_leaves_the_others_alone() -> None:
    ages = (timedelta(days=20), timedelta(days=10))
    facts = touched(*ages, purpose="marketing")
    assert gate(SEND, facts, RULES, NOON).answer == "now"
    marketing = replace(SEND, purpose="marketing", not_after=NOON + timedelta(days=30))
    assert gate(marketing, facts, RULES, NOON).at == NOON + timedelta(days=10)


def test_an_earlier_attempt_of_the_same_send_does_not_count() -> None:
    facts = replace(FACTS, touches=(Touch(SEND.id, CONTACT, "service", NOON),))
    assert gate(SEND, facts, RULES, NOON).answer == "now"


@given(
    minutes=st.lists(st.integers(1, 40 * 1440), max_size=12),
    purpose=st.sampled_from(["service", "marketing"]),
)
def test_asking_again_at_the_time_it_named_ends_with_a_free_cap(
    minutes: list[int], purpose: str
) -> None:
    facts = touched(*(timedelta(minutes=m) for m in minutes), purpose="marketing")
    send = replace(SEND, purpose=purpose, not_after=NOON + timedelta(days=60))
    now = NOON
    for _ in range(12):
        verdict = gate(send, facts, RULES, now)
        if verdict.at is None:
            break
        assert verdict.at > now
        now = verdict.at
    assert verdict.answer == "now"
    for cap in RULES.policy.caps:
        counted = [t for t in facts.touches if t.at > now - timedelta(days=cap.window_days)]
        if cap.purpose == purpose and "marketing" in cap.counted:
            assert len(counted) < cap.max_count
