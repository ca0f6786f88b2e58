"""E-mails as bytes."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ids import SendId
from gateways.letter import address_of, compose
from gateways.sender import Message, MessageUnsendable

SENDER = "Dr. Müller & Co. <hello@practice.example>"


def make_message(**changes: object) -> Message:
    values: dict[str, object] = {
        "send_id": SendId(UUID("018f3c5e-0000-7000-8000-000000000001")),
        "recipient": "ada@example.com",
        "text": "Grüße – it is time.",
        "written_at": datetime(2026, 3, 3, 17, tzinfo=UTC),
        "subject": "Time for a check-up – ✓",
        "html": "<p>Grüße – it is time.</p>",
        "headers": {
            "List-Unsubscribe": "<https://example.com/u/1>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    }
    return Message(**(values | changes))  # type: ignore[arg-type]


def test_every_attempt_sends_the_same_bytes() -> None:
    assert compose(make_message(), SENDER) == compose(make_message(), SENDER)


def test_the_message_id_is_the_send_id_at_the_senders_domain() -> None:
    letter = message_from_bytes(compose(make_message(), SENDER), policy=default)
    assert letter["Message-ID"] == "<018f3c5e-0000-7000-8000-000000000001@practice.example>"


def test_an_email_carries_text_html_and_one_click_unsubscribe() -> None:
    raw = compose(make_message(), SENDER)
    letter = message_from_bytes(raw, policy=default)
    assert raw.isascii()
    assert letter["Subject"] == "Time for a check-up – ✓"
    assert letter["List-Unsubscribe"] == "<https://example.com/u/1>"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    plain, markup = letter.get_body(("plain",)), letter.get_body(("html",))
    assert plain is not None
    assert markup is not None
    assert plain.get_content().strip() == "Grüße – it is time."
    assert markup.get_content().strip() == "<p>Grüße – it is time.</p>"


def test_a_long_unsubscribe_address_stands_in_the_raw_header_as_it_is() -> None:
    address = "<https://practice.example/v1/unsubscribe/" + "aZ09_-" * 30 + ">"
    raw = compose(make_message(headers={"List-Unsubscribe": address}), SENDER)
    assert f"List-Unsubscribe: {address}\r\n".encode() in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\r\nBcc: everybody@example.com"},
        {"subject": "Hello\nX: y"},
        {"recipient": "ada@example.com\r\nBcc: everybody@example.com"},
        {"recipient": "ada@example.com, eve@example.com"},
        {"recipient": "Ada <ada@example.com>"},
        {"recipient": "ada"},
        {"recipient": ""},
        {"recipient": "ada@exa mple.com"},
        {"recipient": "ada@" + "a" * 300 + ".com"},
        {"headers": {"List-Unsubscribe": "<https://example.com>\r\nBcc: eve@example.com"}},
        {"headers": {"Bcc": "eve@example.com"}},
        {"headers": {"Message-ID": "<other@example.com>"}},
        {"headers": {"X-Y: z\r\nBcc": "eve@example.com"}},
    ],
)
def test_nothing_is_smuggled_into_the_headers(changes: dict[str, object]) -> None:
    with pytest.raises(MessageUnsendable):
        compose(make_message(**changes), SENDER)


def test_a_senders_name_with_a_line_break_is_refused() -> None:
    with pytest.raises(MessageUnsendable):
        compose(make_message(), "Practice\r\nBcc: eve@example.com <hello@practice.example>")


@given(subject=st.text(max_size=80), text=st.text(max_size=200))
def test_any_text_is_either_refused_or_leaves_the_headers_as_they_are(
    subject: str, text: str
) -> None:
    try:
        raw = compose(make_message(subject=subject, text=text), SENDER)
    except MessageUnsendable:
        return
    letter = message_from_bytes(raw, policy=default)
    assert letter["To"] == "ada@example.com"
    assert letter["Bcc"] is None
    assert sorted(letter.keys()) == sorted(
        [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "List-Unsubscribe",
            "List-Unsubscribe-Post",
            "MIME-Version",
            "Content-Type",
        ]
    )


def test_an_international_domain_travels_in_its_ascii_form() -> None:
    assert address_of("ada@bücher.example") == "ada@xn--bcher-kva.example"
