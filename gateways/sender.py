"""What every channel can do: hand one message to a provider and say what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from engine.errors import ProviderRefused, ProviderUnavailable, Unavailable
from engine.ids import SendId


@dataclass(frozen=True, slots=True)
class Message:
    """One message, rendered once; every attempt sends the same bytes.

    Attributes:
        send_id: names the message at the provider: Message-ID or idempotency key.
        recipient: e-mail address or telephone number.
        text: plain text; the whole of an SMS.
        written_at: aware; the Date of an e-mail.
        subject: of an e-mail; '' elsewhere.
        html: second form of an e-mail's text, None if there is none.
        sender: address or number it comes from; None is the channel's own.
        headers: further headers of an e-mail, e.g. List-Unsubscribe.
    """

    send_id: SendId
    recipient: str
    text: str
    written_at: datetime
    subject: str = ""
    html: str | None = None
    sender: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider has accepted the message.

    Attributes:
        provider_id: how the provider names it in what it reports later.
    """

    provider_id: str


class ProviderBusy(ProviderUnavailable):
    """Nothing was accepted, and the provider said when to come back."""

    code = "provider_busy"

    def __init__(self, message: str, *, retry_after_seconds: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class AcceptanceUnknown(Unavailable):
    """The message went out and no answer came: the provider may have accepted it."""

    code = "acceptance_unknown"


class MessageUnsendable(ProviderRefused):
    """The message itself is unfit for the channel, e.g. a line break in a header."""

    code = "message_unsendable"


class Sender(Protocol):
    """A channel's way out.

    Attributes:
        key_lifetime: how long the provider drops repeats of one send id; None if it never does.
    """

    key_lifetime: timedelta | None

    async def send(self, message: Message) -> Receipt:
        """Hand the message over; return once the provider has accepted it.

        Raises:
            ProviderUnavailable: nothing was accepted; a later attempt may succeed.
            AcceptanceUnknown: no way to tell whether it was accepted.
            ProviderRefused: refused for good.
        """
        ...

    async def close(self) -> None:
        """End the connections; the sender is not used again."""
        ...
