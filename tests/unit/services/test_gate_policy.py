"""The policy at the gate: what a decision allowed may be forbidden when the message is claimed."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from engine.ids import SendId
from engine.policy.settings import (
    CoolOff,
    Holiday,
    Household,
    LegalWindow,
    LoweredCaps,
    Rest,
    Rollout,
)
from services.gate import Verdict, gate
from store.recipients import Touch
from tests.unit.services.test_gate import CONTACT, FACTS, NOON, RECIPIENT, RULES, SEND

DAY = timedelta(days=1)
OTHER = UUID(int=9)
MARKETING = replace(SEND, purpose="marketing")


def asked(send=SEND, facts=FACTS, **numbers: object) -> Verdict:
    return gate(send, facts, replace(RULES, policy=replace(RULES.policy, **numbers)), NOON)


def facts_with(**changes: object):
    return replace(FACTS, **changes)


def marketing_sent(*days: float):
    return tuple(Touch(SendId(uuid4()), CONTACT, "marketing", NOON - DAY * d) for d in days)


def test_a_contact_in_the_holdout_is_written_to_by_nobody_not_even_an_api_call():
    assert asked(holdout_share=1.0).reason == "holdout"
    assert asked(replace(SEND, rule=None), holdout_share=1.0).reason == "holdout"


def test_taking_a_rule_back_stops_what_it_has_queued():
    assert asked(rollout=(Rollout("clinic.*", 0.0),)).reason == "not_rolled_out"
    assert asked(rollout=(Rollout("purpose:marketing", 0.0),)).answer == "now"
    assert asked(rollout=(Rollout("recall", 1.0),)).answer == "now"


@pytest.mark.parametrize(
    ("events", "purpose", "reason"),
    [
        ({("complaint.opened", None): NOON - DAY / 24}, "service", "open_complaint"),
        ({("complaint.opened", None): NOON - DAY / 24}, "treatment", ""),
        ({("complaint.resolved", None): NOON - DAY / 24}, "marketing", "cool_off"),
        ({("complaint.resolved", None): NOON - DAY / 24}, "service", ""),
    ],
)
def test_what_happened_since_the_decision_keeps_a_message_back(events, purpose, reason):
    consents = {("email", purpose): "granted"}
    facts = facts_with(newest_events=events, consents=consents)
    cool_off = (CoolOff("complaint.resolved", 14, ("marketing",)),)
    assert asked(replace(SEND, purpose=purpose), facts, cool_off=cool_off).reason == reason


def test_who_ignored_two_messages_meanwhile_rests():
    rest = Rest(2, 30, 60, 3, ("marketing",))
    silent = facts_with(touches=marketing_sent(10, 20))
    assert asked(MARKETING, silent, rest=rest, caps=()).reason == "resting"
    answered = replace(silent, answered_at=NOON - DAY)
    assert asked(MARKETING, answered, rest=rest, caps=()).answer == "now"
    assert asked(SEND, silent, rest=rest, caps=()).answer == "now"  # service is no marketing


def test_caps_are_lower_for_who_does_not_answer():
    # the third of a month is allowed, but not to somebody who left two unanswered
    lowered = LoweredCaps(2, 60, 0.5, ("marketing",))
    caps = (replace(RULES.policy.caps[-1], max_count=3),)
    silent = facts_with(touches=marketing_sent(10, 20))
    assert asked(MARKETING, silent, caps=caps).answer == "now"
    assert asked(MARKETING, silent, caps=caps, lowered=lowered).reason == "frequency_cap"


def test_marketing_never_uses_up_the_room_of_a_message_that_matters_more():
    caps = tuple(
        replace(RULES.policy.caps[0], purpose=p, window_days=7, max_count=2, counts=counts)
        for p, counts in (("service", ("service",)), ("marketing", ("service", "marketing")))
    )
    busy = facts_with(touches=marketing_sent(1, 2))
    assert asked(SEND, busy, caps=caps).answer == "now"
    assert asked(MARKETING, busy, caps=caps).answer != "now"


def test_a_household_gets_a_message_once_whoever_was_first():
    rule = Household(7, ("service",))
    family = facts_with(household=(("recall", OTHER, NOON - DAY),))
    assert asked(SEND, family, household=rule).reason == "household_message"
    for harmless in (("recall", CONTACT, NOON - DAY), ("recall", OTHER, NOON - 8 * DAY),
                     ("birthday", OTHER, NOON - DAY)):  # fmt: skip
        assert asked(SEND, facts_with(household=(harmless,)), household=rule).answer == "now"


def test_a_text_longer_than_the_law_allows_is_never_sent():
    long = replace(SEND, content={"text": "x" * 161})
    assert asked(long, longest=(("email", 160),)).reason == "message_too_long"
    assert asked(long, longest=(("sms", 160),)).answer == "now"


def test_what_a_machine_wrote_is_not_sent_to_who_refuses_machines():
    facts = facts_with(consents={**FACTS.consents, ("ai", "service"): "revoked"})
    assert asked(replace(SEND, content_source="llm:x"), facts).reason == "machine_refused"
    assert asked(SEND, facts).answer == "now"


def test_the_law_of_the_address_and_holidays_close_the_window():
    texan = facts_with(recipient=replace(RECIPIENT, state="TX", timezone="America/Chicago"))
    closed = (LegalWindow("US-TX", (None,) * 7),)
    assert asked(SEND, texan, legal=closed).reason == "no_legal_slot"
    today = Holiday("*", date=NOON.date().isoformat())
    later = asked(holidays=(today,))
    assert (later.answer, later.reason) == ("later", "quiet_hours")
    assert later.at is not None
    assert later.at.date() == NOON.date() + DAY
