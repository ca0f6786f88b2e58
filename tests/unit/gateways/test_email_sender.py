"""What the SMTP sender makes of what a real server answers."""

from itertools import chain, repeat

import pytest

from engine.errors import InvalidInput, ProviderRefused, ProviderUnavailable
from gateways.email import EmailSender
from gateways.sender import AcceptanceUnknown, MessageUnsendable
from tests.factories.messages import make_message
from tests.factories.smtp_server import (
    ACCEPT,
    ACCEPT_THEN_DROP,
    DROP,
    HANG,
    PERMANENT,
    TEMPORARY,
    moody_server,
)

SENDER = "Practice <hello@practice.example>"


async def test_an_accepted_email_arrives_once_with_its_message_id() -> None:
    server, _ = moody_server()
    async with server:
        sender = EmailSender(server.url, sender=SENDER)
        message = make_message(text="Line one\n.\n..dots\n")
        receipt = await sender.send(message)
        await sender.close()
    (received,) = server.messages
    assert received.recipients == ("ada@example.com",)
    assert received.message_id == receipt.provider_id == f"<{message.send_id}@practice.example>"
    assert received.text.splitlines() == ["Line one", ".", "..dots"]


async def test_a_message_may_name_its_own_sender() -> None:
    server, _ = moody_server()
    async with server:
        sender = EmailSender(server.url, sender=SENDER)
        await sender.send(make_message(sender="Other <hi@other.example>"))
        await sender.close()
    assert server.messages[0].letter["From"] == "Other <hi@other.example>"
    assert server.messages[0].message_id.endswith("@other.example>")


@pytest.mark.parametrize(
    ("mood", "meaning", "arrived"),
    [
        (TEMPORARY, ProviderUnavailable, 0),
        (PERMANENT, ProviderRefused, 0),
        (DROP, AcceptanceUnknown, 0),
        (ACCEPT_THEN_DROP, AcceptanceUnknown, 1),
    ],
)
async def test_each_answer_has_its_meaning(
    mood: str, meaning: type[Exception], arrived: int
) -> None:
    server, _ = moody_server(iter([mood]))
    async with server:
        sender = EmailSender(server.url, sender=SENDER)
        with pytest.raises(meaning) as told:
            await sender.send(make_message())
        assert type(told.value) is meaning
        assert len(server.messages) == arrived
        await sender.send(make_message())  # a fresh connection: the next one goes through
        await sender.close()


async def test_a_server_that_is_not_there_took_nothing() -> None:
    server, _ = moody_server()
    async with server:
        pass
    sender = EmailSender(server.url, sender=SENDER)
    with pytest.raises(ProviderUnavailable):
        await sender.send(make_message())


async def test_silence_after_the_message_leaves_it_open_whether_it_was_taken() -> None:
    server, mood = moody_server(iter([HANG]))
    async with server:
        sender = EmailSender(server.url, sender=SENDER, timeout_seconds=0.3)
        with pytest.raises(AcceptanceUnknown):
            await sender.send(make_message())
        mood.released.set()


async def test_a_connection_that_the_server_closed_between_messages_is_replaced() -> None:
    server, _ = moody_server()
    async with server:
        sender = EmailSender(server.url, sender=SENDER)
        await sender.send(make_message())
    async with server:
        await sender.send(make_message())
        await sender.close()
    assert len(server.messages) == 2


async def test_many_messages_share_few_connections() -> None:
    server, _ = moody_server(chain(repeat(ACCEPT)))
    async with server:
        sender = EmailSender(server.url, sender=SENDER)
        for _ in range(5):
            await sender.send(make_message())
        assert server.connections == 1
        await sender.close()


async def test_an_unfit_message_never_reaches_the_server() -> None:
    server, mood = moody_server()
    async with server:
        sender = EmailSender(server.url, sender=SENDER)
        with pytest.raises(MessageUnsendable):
            await sender.send(make_message(subject="a\r\nBcc: eve@example.com"))
    assert mood.seen == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1", "smtp://", "127.0.0.1:25"])
def test_an_address_that_is_not_smtp_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(InvalidInput):
        EmailSender(url, sender=SENDER)


async def test_a_password_is_never_sent_in_the_clear_to_another_machine() -> None:
    assert EmailSender("smtp://u:p@mail.example.com", sender=SENDER).must_encrypt
    assert EmailSender("smtp://u:p@192.0.2.1", sender=SENDER).must_encrypt
    assert not EmailSender("smtp://u:p@127.0.0.1", sender=SENDER).must_encrypt
    assert not EmailSender("smtps://u:p@mail.example.com", sender=SENDER).must_encrypt
