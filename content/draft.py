"""Drafts by a language model, within a deadline, never at the price of a message.

Any endpoint that speaks the chat-completions protocol serves. Whatever goes wrong there (slow,
refused, broken, empty) comes back as a reason, and the caller uses the template.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.shared_params import ResponseFormatJSONSchema

from content.brief import Brief
from content.prompt import prompt_of

# Long enough for a subject and a body of 900 characters as JSON, in any script.
_MAX_TOKENS = 900
_MAX_ANSWER = 20_000
_MAX_RETRIES = 1

# What a provider's trouble looks like, first match wins; anything else of _TROUBLE is llm_error.
# The built-in errors are what the client library trips over when an answer breaks the protocol.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "llm_timeout"),
    (openai.APITimeoutError, "llm_timeout"),
    (openai.RateLimitError, "llm_rate_limited"),
    (openai.APIConnectionError, "llm_unreachable"),
)
_TROUBLE = (
    TimeoutError, openai.OpenAIError, ValueError, TypeError, AttributeError, KeyError, IndexError,
)  # fmt: skip

_SCHEMA: ResponseFormatJSONSchema = {
    "type": "json_schema",
    "json_schema": {
        "name": "message",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"subject": {"type": ["string", "null"]}, "body": {"type": "string"}},
            "required": ["subject", "body"],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """A language model's endpoint.

    Attributes:
        base_url: of an OpenAI-compatible API, ending in /v1 as a rule.
        api_key: sent as bearer token; never shown.
        model: name the endpoint knows.
    """

    base_url: str
    api_key: str = field(repr=False)
    model: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A generated text, not yet checked: placeholders unfilled, guards not passed.

    Attributes:
        subject: None if the model gave none.
        body: text with placeholders.
        model: as the endpoint names what answered.
        prompt_digest: SHA-256 of the prompt.
        tokens: used by prompt and answer; 0 if the endpoint does not say.
    """

    subject: str | None
    body: str
    model: str
    prompt_digest: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Fallback:
    """Why there is no draft.

    Attributes:
        reason: stable code: llm_timeout, llm_rate_limited, llm_error, llm_unreachable,
            llm_refused, llm_empty, llm_truncated, llm_bad_json.
        prompt_digest: SHA-256 of the prompt that was tried.
    """

    reason: str
    prompt_digest: str


class _Unusable(Exception):
    """An answer that came but is no message; carries the reason code."""


@asynccontextmanager
async def open_client(settings: ModelSettings) -> AsyncIterator[AsyncOpenAI]:
    """A client to keep for many drafts; connections close at the end."""
    async with AsyncOpenAI(
        base_url=settings.base_url, api_key=settings.api_key, max_retries=_MAX_RETRIES
    ) as client:
        yield client


async def draft(
    brief: Brief,
    *,
    settings: ModelSettings,
    deadline_seconds: float,
    client: AsyncOpenAI | None = None,
) -> Draft | Fallback:
    """A text for the brief, or the reason there is none; never raises for the provider's troubles.

    Args:
        brief: what to write; the only thing the model is told.
        settings: which model.
        deadline_seconds: for everything, retries included.
        client: from `open_client`; without it one is opened and closed for this call.
    """
    digest = prompt_of(brief).digest
    try:
        async with asyncio.timeout(deadline_seconds):
            if client is not None:
                return await _ask(client, settings.model, brief, deadline_seconds)
            async with open_client(settings) as own:
                return await _ask(own, settings.model, brief, deadline_seconds)
    except _Unusable as error:
        return Fallback(str(error), digest)
    except _TROUBLE as error:
        reasons = (reason for kind, reason in _REASONS if isinstance(error, kind))
        return Fallback(next(reasons, "llm_error"), digest)


async def _ask(client: AsyncOpenAI, model: str, brief: Brief, deadline_seconds: float) -> Draft:
    prompt = prompt_of(brief)
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": prompt.user},
    ]
    completions = client.with_options(timeout=deadline_seconds).chat.completions
    try:
        answer = await completions.create(
            model=model, messages=messages, response_format=_SCHEMA, max_tokens=_MAX_TOKENS
        )
    except (openai.BadRequestError, openai.UnprocessableEntityError):
        # Older servers know json_object only, newer models refuse max_tokens: the common part.
        answer = await completions.create(
            model=model, messages=messages, response_format={"type": "json_object"}
        )
    subject, body = _message(answer)
    return Draft(
        subject=subject or None,
        body=body,
        model=answer.model or model,
        prompt_digest=prompt.digest,
        tokens=answer.usage.total_tokens if answer.usage else 0,
    )


def _message(answer: ChatCompletion) -> tuple[str | None, str]:
    """Subject and body of an answer; raises `_Unusable` for one without."""
    if not answer.choices:
        raise _Unusable("llm_empty")
    choice = answer.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise _Unusable("llm_refused")
    if choice.finish_reason == "length":
        raise _Unusable("llm_truncated")
    content = choice.message.content or ""
    if not content.strip():
        raise _Unusable("llm_empty")
    return _fields(content)


def _fields(content: str) -> tuple[str | None, str]:
    try:
        document = json.loads(content) if len(content) <= _MAX_ANSWER else None
    except (ValueError, RecursionError) as error:
        raise _Unusable("llm_bad_json") from error
    if not isinstance(document, dict):
        raise _Unusable("llm_bad_json")
    subject, body = document.get("subject"), document.get("body")
    if not isinstance(body, str) or not isinstance(subject, str | None):
        raise _Unusable("llm_bad_json")
    return subject, body
