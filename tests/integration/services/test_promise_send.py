"""What the message of a decision says, with a language model there, slow, or gone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from store.sends import list_sends
from tests.factories.llm_server import GOOD_SUBJECT, llm_server
from tests.factories.practice import MORNING, Practice


async def promised(practice: Practice, **settings: object):
    """A contact who missed an appointment is decided for; the promised message."""
    contact = await practice.add_contact(mobile_phone=None, phone=None)
    await practice.add_event(contact, "appointment.no_show", MORNING - timedelta(days=4))
    changed = practice.runtime.settings.model_copy(update=settings)
    with_model = replace(practice, runtime=replace(practice.runtime, settings=changed))
    decided = await with_model.decide(contact)
    async with practice.transaction() as connection:
        sends = await list_sends(connection, practice.tenant_id, contact_id=contact)
    assert (decided["channel"], len(sends)) == ("email", 1), decided["reason"]
    return sends[0]


async def test_a_model_words_the_message_and_never_sees_who_gets_it(practice):
    async with llm_server("good") as server:
        send = await promised(
            practice,
            llm_base_url=server.base_url,
            llm_api_key=SecretStr("k"),
            llm_model="m",
        )
    assert send.content_source.startswith("llm:")
    assert send.content["subject"] == GOOD_SUBJECT
    assert send.content["text"].startswith("Hi Ada,")
    assert "Unsubscribe: " in send.content["text"], "what the law wants is added by code"
    asked = str(server.requests)
    assert "Ada" not in asked
    assert "example.com" not in asked


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("slow", "llm_timeout"),
        ("server_error", "llm_error"),
        ("rate_limited", "llm_rate_limited"),
        ("bad_json", "llm_bad_json"),
        ("invented_offer", "guard:"),
        ("injected_url", "guard:"),
    ],
)
async def test_the_template_serves_where_a_model_does_not_and_the_reason_is_kept(
    practice, mode, reason
):
    async with llm_server(mode) as server:
        send = await promised(
            practice,
            llm_base_url=server.base_url,
            llm_timeout_seconds=0.5 if mode == "slow" else 20.0,
            llm_model="m",
        )
    assert send.content_source.startswith(f"template ({reason}")
    assert "Ada" in send.content["text"]


async def test_the_template_serves_where_no_model_answers_at_all(practice):
    send = await promised(practice, llm_base_url="http://127.0.0.1:9/v1", llm_timeout_seconds=2.0)
    assert send.content_source == "template (llm_unreachable)"
