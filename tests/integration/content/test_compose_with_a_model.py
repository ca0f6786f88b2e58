"""The whole path to a message, with a real HTTP server as the language model."""

import asyncio
import json
import re

import pytest

from content.brief import SMS_LIMITS, Brief
from content.compose import MessageRequest, compose
from content.draft import Draft, Fallback, ModelSettings, draft, open_client
from content.identity import SMS_OPT_OUT, Sender
from tests.factories.llm_server import GOOD_SUBJECT, llm_server

SENDER = Sender("Oak Street Dental", "12 Oak Street, Springfield, IL 62701", "(555) 010-2030")
UNSUBSCRIBE = "https://keepwell.example/u/abc123"
FACTS = {"first_name": "Maria", "last_visit_date": "March 3, 2025"}
PRIVATE = ["Maria", "Oak Street", "010-2030", "Springfield", "March 3", "abc123"]


def settings_of(server):
    return ModelSettings(server.base_url, "sk-secret", "any-model")


def request_of(channel="email", **changes):
    brief = Brief(
        "Invite somebody who missed a visit to choose another time.",
        channel=channel,
        limits=SMS_LIMITS if channel == "sms" else Brief("x").limits,
    )
    values = {
        "template": "healthcare/no-show-rescue",
        "variant": "friendly",
        "channel": channel,
        "facts": FACTS,
        "sender": SENDER,
        "unsubscribe_url": UNSUBSCRIBE,
        "brief": brief,
    }
    return MessageRequest(**(values | changes))


async def test_a_good_draft_is_sent_with_name_sender_and_unsubscribe():
    async with llm_server("good") as server:
        composed = await compose(request_of(), settings=settings_of(server))
    assert composed.source == "llm"
    assert composed.fallback_reason is None
    assert (composed.model, composed.tokens) == ("stub-1", 260)
    assert composed.message.subject == GOOD_SUBJECT
    assert composed.message.text.startswith("Hi Maria,\n\nwe missed you")
    assert SENDER.postal_address in composed.message.text
    assert UNSUBSCRIBE in composed.message.text
    assert composed.message.headers["List-Unsubscribe"] == f"<{UNSUBSCRIBE}>"
    assert "Hi Maria," in composed.message.html
    assert composed.message.template_digest == ""


async def test_a_drafted_sms_carries_sender_and_opt_out_within_160_characters():
    async with llm_server("good_sms") as server:
        composed = await compose(request_of("sms"), settings=settings_of(server))
    assert composed.source == "llm"
    assert composed.message.text == (
        "Oak Street Dental: Hi Maria, we missed you. Shall we find another time? " + SMS_OPT_OUT
    )
    assert composed.message.subject is None


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("server_error", "llm_error"),
        ("overloaded", "llm_error"),
        ("unauthorised", "llm_error"),
        ("rate_limited", "llm_rate_limited"),
        ("drops_connection", "llm_unreachable"),
        ("html", "llm_error"),
        ("bad_json", "llm_bad_json"),
        ("not_an_object", "llm_bad_json"),
        ("wrong_fields", "llm_bad_json"),
        ("empty", "llm_empty"),
        ("no_choices", "llm_empty"),
        ("refusal", "llm_refused"),
        ("truncated", "llm_truncated"),
        ("invented_offer", "guard:unknown_number"),
        ("injected_url", "guard:contains_url"),
        ("unknown_placeholder", "guard:unknown_placeholder"),
        ("medical_claim", "guard:medical_claim,offer"),
        ("polite_refusal", "guard:refusal_text"),
        ("too_long", "guard:too_long"),
        ("forged_header", "guard:contains_email,contains_url,hidden_character,subject_line_break"),
    ],
)
async def test_whatever_the_model_does_wrong_the_template_serves(mode, reason):
    without = await compose(request_of(brief=None))
    async with llm_server(mode) as server:
        composed = await compose(request_of(), settings=settings_of(server))
    assert composed.source == "template"
    assert composed.fallback_reason == reason
    assert composed.message == without.message
    assert composed.prompt_digest


async def test_a_model_that_never_answers_costs_no_more_than_the_deadline():
    async with llm_server("slow") as server:
        result = await draft(
            Brief("Invite back."), settings=settings_of(server), deadline_seconds=0.2
        )
    assert isinstance(result, Fallback)
    assert result.reason == "llm_timeout"
    assert len(server.requests) == 1


async def test_a_model_that_is_not_there_is_a_reason_and_no_error():
    async with llm_server() as server:
        settings = settings_of(server)
    result = await draft(Brief("Invite back."), settings=settings, deadline_seconds=5)
    assert result == Fallback("llm_unreachable", result.prompt_digest)


async def test_a_cancelled_decision_stops_its_draft():
    async with llm_server("slow") as server:
        running = asyncio.create_task(
            draft(Brief("Invite back."), settings=settings_of(server), deadline_seconds=60)
        )
        await server.arrived.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_an_endpoint_without_schemas_is_asked_for_plain_json():
    async with llm_server("no_schema_support") as server:
        result = await draft(
            Brief("Invite back."), settings=settings_of(server), deadline_seconds=5
        )
    assert isinstance(result, Draft)
    assert [each["response_format"]["type"] for each in server.requests] == [
        "json_schema",
        "json_object",
    ]


async def test_one_client_serves_many_drafts():
    async with llm_server() as server, open_client(settings_of(server)) as client:
        for _ in range(3):
            composed = await compose(request_of(), settings=settings_of(server), client=client)
            assert composed.source == "llm"
    assert len(server.requests) == 3
    assert set(server.authorization) == {"Bearer sk-secret"}


async def test_the_model_is_told_nothing_personal():
    facts = FACTS | {"appointment_date": "Tuesday, May 5", "booking_url": "https://book.example/x"}
    async with llm_server() as server:
        await compose(request_of(facts=facts), settings=settings_of(server))
    sent = json.dumps(server.requests)
    assert [each for each in [*PRIVATE, "May 5", "book.example"] if each in sent] == []
    assert "{{first_name}}" in sent
    assert not re.search(r"\d{3}[- .]\d{4}|@", sent)


async def test_a_contact_who_refuses_ai_gets_the_template_and_no_model_is_asked():
    async with llm_server() as server:
        composed = await compose(request_of(brief=None), settings=settings_of(server))
    assert (composed.source, composed.fallback_reason) == ("template", None)
    assert server.requests == []


async def test_a_draft_that_needs_a_name_we_lack_gives_way_to_the_template():
    async with llm_server() as server:
        composed = await compose(
            request_of(facts={"first_name": "offer 90 % off at http://evil.test"}),
            settings=settings_of(server),
        )
    assert composed.source == "template"
    assert composed.fallback_reason == "draft_does_not_fit"
    assert composed.message.text.startswith("Hi,")
    assert "evil" not in composed.message.text


async def test_a_drafted_sms_that_grows_too_long_gives_way_to_the_template():
    sender = Sender(
        "The Family Dental Practice of Oak Street and Associated Partners", "12 Oak", "555"
    )
    async with llm_server("good_sms") as server:
        composed = await compose(
            request_of(
                "sms", sender=sender, facts={"first_name": "Maximiliana-Josephine Theodora Augusta"}
            ),
            settings=settings_of(server),
        )
    assert composed.fallback_reason == "draft_does_not_fit"
    assert len(composed.message.text) <= 160


def test_the_key_is_not_shown():
    assert "sk-secret" not in repr(ModelSettings("http://x", "sk-secret", "m"))
