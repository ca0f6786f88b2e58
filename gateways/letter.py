"""An e-mail as bytes: the same for every attempt, with nothing smuggled into its headers."""

import re
from email.errors import HeaderParseError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from gateways.sender import Message, MessageUnsendable

# 7 bit: no relay on the way has a reason to rewrite it. 998 is the longest line allowed (RFC 5322,
# 2.1.1): at the usual 78 the library encodes a long unsubscribe address, and no mailbox provider
# decodes it there (RFC 2369 wants it literal).
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=998)
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_LOCAL_PART_BYTES = 64  # RFC 5321, 4.5.3.1.1
_ADDRESS_BYTES = 254  # RFC 5321, 4.5.3.1.3
_HEADER_NAME = re.compile(r"(List-[A-Za-z-]+|X-[A-Za-z0-9-]+|Reply-To|Feedback-ID|Auto-Submitted)")


def address_of(text: str) -> str:
    """Return the one plain address in `text`, the domain in its ASCII form.

    Raises:
        MessageUnsendable: not exactly one address that SMTP can carry.
    """
    local, _, domain = text.rpartition("@")
    try:
        address = f"{local}@{domain.encode('idna').decode()}"
        address.encode("ascii")
    except UnicodeError as error:
        raise _unusable(text) from error
    fits = len(address) <= _ADDRESS_BYTES and len(local) <= _LOCAL_PART_BYTES
    if not fits or _ADDRESS.fullmatch(address) is None:
        raise _unusable(text)
    return address


def message_id(message: Message, sender: str) -> str:
    """Return the Message-ID, `<send id@the sender's domain>`: equal for every attempt."""
    return f"<{message.send_id}@{address_of(parseaddr(sender)[1]).rpartition('@')[2]}>"


def compose(message: Message, sender: str) -> bytes:
    """Return the message in the form that DATA carries; equal arguments give equal bytes.

    `sender` is 'Name <address>' or an address.

    Raises:
        MessageUnsendable: an address, a header or the text is unfit.
    """
    letter = EmailMessage(policy=_POLICY)
    named = {
        "From": sender,
        "To": address_of(message.recipient),
        "Subject": message.subject,
        "Date": format_datetime(message.written_at),
        "Message-ID": message_id(message, sender),
    }
    for name, value in (*named.items(), *_further(message)):
        _add_header(letter, name, value)
    try:
        letter.set_content(message.text)
        if message.html is not None:
            letter.add_alternative(message.html, subtype="html")
            # the library would draw it at random
            letter.set_boundary(f"=_{message.send_id.hex}")
        return letter.as_bytes()
    except (UnicodeError, HeaderParseError) as error:
        raise MessageUnsendable(
            f"The e-mail of send {message.send_id} can't be written: {error}."
        ) from error


def _further(message: Message) -> list[tuple[str, str]]:
    for name in message.headers:
        if _HEADER_NAME.fullmatch(name) is None:
            raise MessageUnsendable(
                f"The e-mail of send {message.send_id} sets the header {name!r}.",
                hint="Content may set List-*, X-*, Reply-To, Feedback-ID and Auto-Submitted.",
            )
    return sorted(message.headers.items())


def _add_header(letter: EmailMessage, name: str, value: str) -> None:
    if any(ord(character) < ord(" ") or ord(character) == 0x7F for character in value):
        raise MessageUnsendable(
            f"The header {name} of an e-mail contains a line break or another control character.",
            hint="Take it out of the template or of the field that fills it.",
        )
    try:
        letter[name] = value
    except (ValueError, IndexError) as error:
        raise MessageUnsendable(f"The header {name} of an e-mail can't be written.") from error


def _unusable(text: str) -> MessageUnsendable:
    # the address itself stays out of messages, which end up in logs
    return MessageUnsendable(
        f"An address of {len(text)} characters is not one that SMTP can carry.",
        hint="Mend the contact's e-mail address in the CRM.",
    )
