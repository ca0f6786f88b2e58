"""Messages from templates: subject, text and HTML, from declared facts alone.

Templates lie in `templates/<pack>/<template>/<variant>.<channel>.j2`. An e-mail's file starts with
`Subject: …` and a blank line; everything else is body.
"""

import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from content.facts import FACTS, checked_facts
from content.own_texts import PREFIX, own_texts
from content.syntax import Compiled, compiled
from engine.errors import Finding, InvalidInput, InvalidTemplate, NotFound

CHANNELS = ("email", "sms", "call_task")

# One SMS in the GSM alphabet; also the limit for health-care texts (FCC, 47 CFR 64.1200(a)(9)(iv)).
SMS_CHARACTERS = 160
SUBJECT_CHARACTERS = 120
BODY_BYTES = 20_000

_TEMPLATES = Path(__file__).parent / "templates"
_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LINK = re.compile(r"https://[^\s<>\"']+[^\s<>\"'.,;:!?)]")
_PARAGRAPH_STYLE = "margin:0 0 1em;font:16px/1.5 sans-serif;color:#222"


class TemplateNotFound(NotFound):
    code = "template_not_found"


class TextRefused(InvalidInput):
    """A finished text breaks a limit of its channel: too long, empty, or a subject of two lines."""

    code = "text_refused"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message's content, not yet signed by the sender (see `identity.py`).

    Attributes:
        subject: e-mails only, one line.
        text: plain text.
        html: the same text as HTML; e-mails only.
        template_digest: SHA-256 of the template file; "" for text that came from no template.
    """

    subject: str | None
    text: str
    html: str | None
    template_digest: str = ""


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A checked template of one channel; tenants' own ones are made by `message_template`."""

    file: str
    channel: str
    subject: Compiled | None
    body: Compiled
    digest: str

    def fill(self, facts: Mapping[str, str]) -> Rendered:
        """The message for these facts; see `render` for the errors."""
        values = checked_facts(facts)
        text = _tidy(self.body.fill(values))
        if self.channel == "sms" and len(text) > SMS_CHARACTERS and "first_name" in values:
            # A long name is the usual cause; a greeting without it is better than no message.
            values = {name: value for name, value in values.items() if name != "first_name"}
            text = _tidy(self.body.fill(values))
        subject = self.subject.fill(values).strip() if self.subject else None
        check_limits(self.channel, subject, text)
        markup = html_of(text) if self.channel == "email" else None
        return Rendered(subject, text, markup, self.digest)


def render(template: str, variant: str, channel: str, facts: Mapping[str, str]) -> Rendered:
    """The message of a shipped template.

    Args:
        template: e.g. "healthcare/no-show-rescue".
        variant: e.g. "friendly"; see `list_variants`.
        channel: email, sms or call_task.
        facts: values by the names in `facts.FACTS`; empty ones count as not given, and a first
            name that is not just a name is left out.

    Raises:
        TemplateNotFound: there is no such file.
        InvalidFact: a value can't stand in a message.
        MissingFact: the template needs a fact that was not given.
        TextRefused: the result is too long for the channel, empty, or its subject has two lines.
    """
    return _load(template, variant, channel).fill(facts)


def list_variants(template: str, channel: str) -> tuple[str, ...]:
    """Names of a template's variants for a channel, sorted; empty if it has none."""
    if template.startswith(PREFIX):
        return tuple(sorted(v for known, v in own_texts(template) if known == channel))
    folder = _folder(template)
    if folder is None or channel not in CHANNELS:
        return ()
    suffix = f".{channel}.j2"
    return tuple(sorted(path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}")))


def list_templates() -> tuple[str, ...]:
    """Names of all shipped templates, `<pack>/<template>`, sorted."""
    return tuple(sorted(path.relative_to(_TEMPLATES).as_posix() for path in _TEMPLATES.glob("*/*")))


def message_template(source: str, *, file: str, channel: str) -> MessageTemplate:
    """Check and compile the text of a template file.

    Raises:
        InvalidTemplate: with all faults of the part that is wrong; staff-only facts are unknown
            names outside call tasks.
    """
    names = [name for name, fact in FACTS.items() if channel == "call_task" or not fact.staff_only]
    digest = hashlib.sha256(source.encode()).hexdigest()
    subject, body, body_line = None, source, 1
    if channel == "email":
        head, _, body = source.partition("\n\n")
        if not head.startswith("Subject: ") or "\n" in head:
            raise InvalidTemplate(
                f"{file}:1: an e-mail starts with one line 'Subject: …' and a blank line.",
                [Finding("T106", "no subject line", file, 1, text=head.split("\n")[0])],
                hint="Subject: Your next visit",
            )
        subject = compiled(head.removeprefix("Subject: "), file=file, names=names)
        body_line = 3
    return MessageTemplate(
        file, channel, subject, compiled(body, file=file, names=names, first_line=body_line), digest
    )


def html_of(text: str) -> str:
    """Plain text as HTML: everything escaped, a paragraph per block, https addresses as links."""
    paragraphs = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [_linked(line) for line in block.split("\n")]
        paragraphs.append(f'<p style="{_PARAGRAPH_STYLE}">{"<br>".join(lines)}</p>')
    return "\n".join(paragraphs)


def check_limits(channel: str, subject: str | None, text: str) -> None:
    """Refuse a text its channel can't carry.

    Raises:
        TextRefused: empty; an SMS above 160 characters; an e-mail above 20 KB; a subject above 120
            characters or with a line break (which would let text become a mail header).
    """
    if not text:
        raise TextRefused("The message is empty.", hint="Write a body.")
    if subject is not None and (re.search(r"[\r\n\x00]", subject) or not subject):
        raise TextRefused("The subject is not one line of text.", hint="Write it in one line.")
    if subject is not None and len(subject) > SUBJECT_CHARACTERS:
        raise TextRefused(
            f"The subject has {len(subject)} characters.", hint=f"At most {SUBJECT_CHARACTERS}."
        )
    if channel == "sms" and len(text) > SMS_CHARACTERS:
        raise TextRefused(
            f"The SMS has {len(text)} characters.",
            hint=f"At most {SMS_CHARACTERS}; shorten the practice's name or the text.",
        )
    if len(text.encode()) > BODY_BYTES:
        raise TextRefused("The message is too long.", hint=f"At most {BODY_BYTES} bytes.")


def _tidy(text: str) -> str:
    """Without trailing spaces and without the extra blank lines of conditions that were false."""
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip()


def _linked(line: str) -> str:
    parts, end = [], 0
    for match in _LINK.finditer(line):
        address = html.escape(match.group())
        parts += [html.escape(line[end : match.start()]), f'<a href="{address}">{address}</a>']
        end = match.end()
    return "".join([*parts, html.escape(line[end:])])


def _folder(template: str) -> Path | None:
    names = template.split("/")
    if len(names) != 2 or not all(_SAFE_NAME.fullmatch(name) for name in names):
        return None
    folder = _TEMPLATES.joinpath(*names)
    return folder if folder.is_dir() else None


@cache
def _load(template: str, variant: str, channel: str) -> MessageTemplate:
    if variant not in list_variants(template, channel):
        known = list_variants(template, channel)
        raise TemplateNotFound(
            f"There is no template {template}/{variant}.{channel}.j2.",
            hint=f"Variants for {channel}: {', '.join(known) or 'none'}.",
        )
    if template.startswith(PREFIX):
        own = own_texts(template)[channel, variant]
        return message_template(own, file=f"{template}/{variant}.{channel}", channel=channel)
    path = _TEMPLATES / template / f"{variant}.{channel}.j2"
    file = path.relative_to(_TEMPLATES).as_posix()
    return message_template(path.read_text(encoding="utf-8"), file=file, channel=channel)
