"""What generated text may not contain, and what a brief may not tell."""

import pytest

from content.brief import SMS_LIMITS, Brief, InvalidBrief, Limits
from content.guards import reasons_against
from content.prompt import prompt_of

BRIEF = Brief(
    "Invite somebody who missed a visit to choose another time.",
    placeholders=("first_name", "practice_name", "booking_url"),
    allowed_facts=("A visit takes 30 minutes.", "We are open from 8:00 to 18:00."),
)
GOOD = "Hi {{first_name}},\n\nwe missed you. Shall we find another day? It takes 30 minutes."


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        "Dear {{ first_name }}, you can choose a day here: {{booking_url}}",
        "We are open from 8:00 to 18:00, whenever that suits you.",
        "It's been a while - we'd like to see you again. Don't worry about last time.",
    ],
)
def test_an_honest_text_passes(body):
    assert reasons_against("Another day?", body, BRIEF) == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("Book at http://evil.test", "contains_url"),
        ("Book at evil.test today", "contains_url"),
        ("Book at www.evil", "contains_url"),
        ("Book at evil dot com", "contains_url"),
        ("Book at ｅｖｉｌ．ｔｅｓｔ", "contains_url"),
        ("Write to me@evil.test", "contains_email"),
        ("Write to me [at] evil", "contains_email"),
        ("Call 555 010 2030", "contains_phone"),
        ("Call (555) 010-2030", "contains_phone"),
        ("Hello <b>you</b>", "contains_html"),
        ("Hello &lt;you", "contains_html"),
        ("[Book](here)", "contains_markdown"),
        ("**Book**", "contains_markdown"),
        ("{% if x %}", "contains_code"),
        ("Only 49 for you", "unknown_number"),
        ("Only ４９ for you", "unknown_number"),
        ("Only ٤٩ for you", "unknown_number"),
        ("It takes 30% of the time", "unknown_number"),
        ("It takes $30", "unknown_number"),
        ("See you at 9:30", "unknown_number"),
        ("Your next visit is free", "offer"),
        ("A small gift waits for you", "offer"),
        ("It comes at half off", "offer"),
        ("Twenty percent less for you", "offer"),
        ("Your invoice is open", "offer"),
        ("We guarantee a better smile", "medical_claim"),
        ("Painless and quick", "medical_claim"),
        ("Your diagnosis needs care", "medical_claim"),
        ("This is your last chance", "urgency"),
        ("Don’t wait", "urgency"),
        ("Act now", "urgency"),
        ("As an AI I write this", "refusal_text"),
        ("Here is the message: hi", "refusal_text"),
        ("Dear [Your Name]", "refusal_text"),
        ("Hi {{last_name}}", "unknown_placeholder"),
        ("Hi {first_name}", "unknown_placeholder"),
        ("Hi {{first_name}", "unknown_placeholder"),
        ("Hi {{first_name.upper()}}", "unknown_placeholder"),
        ("", "empty"),
        (" \n", "empty"),
        ("we missed you " * 100, "too_long"),
        ("Hi\u200bthere", "hidden_character"),
        ("Hi\u202ethere", "hidden_character"),
    ],
)
def test_a_text_that_says_more_than_is_known_is_refused(body, reason):
    assert reason in reasons_against("Another day?", body, BRIEF)


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (None, "subject_missing"),
        ("  ", "subject_missing"),
        ("Hello\nBcc: x", "subject_line_break"),
        ("Hello\r\nBcc: x", "subject_line_break"),
        ("x" * 81, "subject_too_long"),
        ("RE: your visit", "subject_misleading"),
        ("Fwd: your visit", "subject_misleading"),
        ("COME BACK", "subject_misleading"),
        ("Come back!!", "subject_misleading"),
        ("Your free visit", "offer"),
        ("Hi {{full_name}}", "unknown_placeholder"),
    ],
)
def test_a_misleading_or_broken_subject_is_refused(subject, reason):
    assert reason in reasons_against(subject, GOOD, BRIEF)


def test_an_sms_has_no_subject_and_leaves_room_for_the_sender():
    brief = Brief("Invite back.", channel="sms", limits=SMS_LIMITS)
    assert reasons_against(None, "Hi {{first_name}}, shall we find a day?", brief) == ()
    assert reasons_against("Hello", "Hi", brief) == ("subject_not_wanted",)
    assert reasons_against(None, "x" * 91, brief) == ("too_long",)


def test_a_number_is_known_only_as_it_was_given():
    # 8 and 00 stand in '8:00', yet '800' or '80' were never said.
    for body in ("Open 8 hours", "Open 800 hours", "About 300 people"):
        assert reasons_against("Another day?", body, BRIEF) == ("unknown_number",)


@pytest.mark.parametrize(
    "changes",
    [
        {"intent": "Write to maria@example.test"},
        {"intent": "Call (555) 010-2030"},
        {"intent": "Born 1980-02-01"},
        {"intent": "Born 2/1/1980"},
        {"intent": "See https://x.test"},
        {"intent": ""},
        {"intent": "a\nb"},
        {"intent": "x" * 301},
        {"allowed_facts": ("Maria's number is 555 010 2030",)},
        {"placeholders": ("full_name",)},
        {"placeholders": ("diagnosis",)},
        {"tone": "pushy"},
        {"channel": "call_task"},
        {"language": "English please"},
    ],
)
def test_a_brief_that_looks_personal_or_asks_the_impossible_is_refused(changes):
    with pytest.raises(InvalidBrief):
        Brief(**({"intent": "Invite back."} | changes))


def test_equal_briefs_make_equal_prompts_and_the_limits_are_told():
    one = prompt_of(BRIEF)
    assert one == prompt_of(BRIEF)
    assert one.digest != prompt_of(Brief("Invite back.")).digest
    assert (
        "at most 77 characters"
        in prompt_of(Brief("Invite back.", channel="sms", limits=Limits(0, 77))).system
    )
    assert "{{booking_url}}" in one.user
    assert "30 minutes" in one.user
