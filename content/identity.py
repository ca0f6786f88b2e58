"""Who sends it and how to stop it: put into every message by code, never left to an author.

CAN-SPAM asks for the sender's identity, a postal address and a working opt-out (16 CFR 316.5,
15 USC 7704(a)); large mailbox providers ask for one-click unsubscribe headers (RFC 8058).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from content.render import Rendered, check_limits, html_of
from engine.errors import InvalidInput

# Never 'Reply CANCEL': carriers treat CANCEL as an opt-out, and people mean their appointment.
SMS_OPT_OUT = "Reply STOP to opt out"

_LINE_BREAK = re.compile(r"[\r\n\x00]")
# Printable ASCII without the angle brackets that end the header's value. Plain http is for one's
# own machine only, where a demonstration runs without a certificate.
_UNSUBSCRIBE = re.compile(r"(?:https://|http://(?:localhost|127\.0\.0\.1)(?=[:/]))[!-;=?-~]{1,900}")


class InvalidSender(InvalidInput):
    """A tenant's sender settings lack what the law asks for, or can't stand in a header."""

    code = "invalid_sender"


@dataclass(frozen=True, slots=True)
class Sender:
    """A tenant's identity in messages.

    Attributes:
        name: as recipients know the business.
        postal_address: one line.
        phone: to call back.

    Raises:
        InvalidSender: a value is empty or holds a line break.
    """

    name: str
    postal_address: str
    phone: str

    def __post_init__(self) -> None:
        for field_name in ("name", "postal_address", "phone"):
            value = getattr(self, field_name)
            if not value.strip() or _LINE_BREAK.search(value):
                raise InvalidSender(
                    f"The sender's {field_name} is empty or has more than one line.",
                    hint="Fill in the sender settings of the tenant; each is one line.",
                )


@dataclass(frozen=True, slots=True)
class Signed:
    """A message that can leave.

    Attributes:
        headers: to be added to an e-mail; empty for other channels.
        The rest as in `Rendered`.
    """

    subject: str | None
    text: str
    html: str | None
    template_digest: str
    headers: Mapping[str, str] = field(default_factory=dict)


def signed(rendered: Rendered, channel: str, sender: Sender, unsubscribe_url: str | None) -> Signed:
    """The message with what its channel must carry.

    E-mail: name, address, phone and an unsubscribe line, and the headers of RFC 8058. SMS: the
    sender's name and the opt-out words, if the text lacks them. Call tasks stay as they are.

    Args:
        rendered: the content.
        channel: email, sms or call_task.
        sender: the tenant's identity.
        unsubscribe_url: https, opaque and made for this message; needed for e-mails only.

    Raises:
        InvalidSender: an e-mail without an https unsubscribe address.
        TextRefused: the result is too long for its channel.
    """
    text, markup, headers = rendered.text, rendered.html, {}
    if channel == "email":
        headers = unsubscribe_headers(unsubscribe_url or "")
        text = f"{_named(text, sender)}\n{_footer(sender, unsubscribe_url or '')}"
        markup = html_of(text)
    elif channel == "sms":
        text = _signed_sms(text, sender)
    check_limits(channel, rendered.subject, text)
    return Signed(rendered.subject, text, markup, rendered.template_digest, headers)


def unsubscribe_headers(unsubscribe_url: str) -> dict[str, str]:
    """Header values for one-click unsubscribe (RFC 8058, section 3.1).

    Raises:
        InvalidSender: the address is not https (http is for one's own machine), or can't
            stand in a header.
    """
    if not _UNSUBSCRIBE.fullmatch(unsubscribe_url):
        raise InvalidSender(
            "An e-mail needs an https address to unsubscribe.",
            hint="Set the public address of the API, from which the links are made.",
        )
    return {
        "List-Unsubscribe": f"<{unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _named(text: str, sender: Sender) -> str:
    """The text with the sender's name as last line; most templates end with it."""
    signed_off = text.rstrip().rpartition("\n")[2] == sender.name
    return text.rstrip() if signed_off else f"{text}\n\n{sender.name}"


def _footer(sender: Sender, unsubscribe_url: str) -> str:
    return f"{sender.postal_address}\n{sender.phone}\n\nUnsubscribe: {unsubscribe_url}"


def _signed_sms(text: str, sender: Sender) -> str:
    if sender.name.casefold() not in text.casefold():
        text = f"{sender.name}: {text}"
    if SMS_OPT_OUT.casefold() not in text.casefold():
        text = f"{text.rstrip()} {SMS_OPT_OUT}"
    return text
