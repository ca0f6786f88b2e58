"""The finished message for one decision: a guarded draft where one is wanted, else the template."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from content.brief import PLACEHOLDER, Brief
from content.draft import Draft, Fallback, ModelSettings, draft
from content.facts import checked_facts
from content.guards import reasons_against
from content.identity import Sender, Signed, signed
from content.render import Rendered, TextRefused, check_limits, html_of, render

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """What is to be said to whom.

    Attributes:
        template, variant, channel: as chosen; the template serves whenever a draft does not.
        facts: values by name; the sender's name and phone are added.
        sender: the tenant's identity.
        unsubscribe_url: made for this message; needed for e-mails.
        brief: asks for a draft; None for call tasks, for tenants without a model and for contacts
            who refuse AI-written messages.
    """

    template: str
    variant: str
    channel: str
    facts: Mapping[str, str]
    sender: Sender
    unsubscribe_url: str | None = None
    brief: Brief | None = None


@dataclass(frozen=True, slots=True)
class Composed:
    """A message that can leave, and how it came about.

    Attributes:
        message: subject, text, html, headers.
        source: who worded it.
        fallback_reason: why the template served though a draft was wanted: a code of
            `draft.Fallback`, `guard:<codes>` or `draft_does_not_fit`; None otherwise.
        model: that wrote the draft, used or not; None if none was obtained.
        prompt_digest: SHA-256 of the prompt; None if no draft was wanted.
        tokens: spent on the draft, used or not.
    """

    message: Signed
    source: Literal["llm", "template"]
    fallback_reason: str | None = None
    model: str | None = None
    prompt_digest: str | None = None
    tokens: int = 0


async def compose(
    request: MessageRequest,
    *,
    settings: ModelSettings | None = None,
    deadline_seconds: float = 3.0,
    client: "AsyncOpenAI | None" = None,
) -> Composed:
    """The message; a draft only if settings and a brief are given and every guard is passed.

    Args:
        request: what is to be said.
        settings: the model to ask; None if there is none.
        deadline_seconds: longest wait for the model.
        client: from `draft.open_client`, to keep connections open.

    Raises:
        TemplateNotFound, InvalidFact, MissingFact, TextRefused, InvalidSender: the template can't
            serve either; nothing may be sent.
    """
    facts = {
        "practice_name": request.sender.name,
        "practice_phone": request.sender.phone,
        **request.facts,
    }
    brief = request.brief
    if settings is None or brief is None or brief.channel != request.channel:
        return Composed(_from_template(request, facts), "template")
    written = await draft(
        brief, settings=settings, deadline_seconds=deadline_seconds, client=client
    )
    if isinstance(written, Fallback):
        return Composed(
            _from_template(request, facts),
            "template",
            fallback_reason=written.reason,
            prompt_digest=written.prompt_digest,
        )
    message, reason = _from_draft(request, facts, brief, written)
    return Composed(
        message or _from_template(request, facts),
        "llm" if message else "template",
        fallback_reason=reason,
        model=written.model,
        prompt_digest=written.prompt_digest,
        tokens=written.tokens,
    )


def _from_template(request: MessageRequest, facts: Mapping[str, str]) -> Signed:
    rendered = render(request.template, request.variant, request.channel, facts)
    return signed(rendered, request.channel, request.sender, request.unsubscribe_url)


def _from_draft(
    request: MessageRequest, facts: Mapping[str, str], brief: Brief, written: Draft
) -> tuple[Signed | None, str | None]:
    """The signed draft, or None and the reason it can't be used."""
    reasons = reasons_against(written.subject, written.body, brief)
    if reasons:
        return None, f"guard:{','.join(reasons)}"
    values = checked_facts(facts)
    wanted = set(PLACEHOLDER.findall(f"{written.subject or ''}{written.body}"))
    if not wanted <= values.keys():
        return None, "draft_does_not_fit"
    subject = _filled(written.subject, values) if written.subject is not None else None
    text = _filled(written.body, values)
    markup = html_of(text) if request.channel == "email" else None
    try:
        check_limits(request.channel, subject, text)
        rendered = Rendered(subject, text, markup)
        return signed(rendered, request.channel, request.sender, request.unsubscribe_url), None
    except TextRefused:
        return None, "draft_does_not_fit"


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with placeholders replaced in one pass; values are never read as templates."""
    return PLACEHOLDER.sub(lambda match: values[match.group(1)], text).strip()
