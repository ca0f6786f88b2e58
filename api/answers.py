"""Answers: JSON bytes, once per Idempotency-Key."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response

from api.dependencies import Call
from api.errors import InvalidFields
from store.idempotency import StoredAnswer, add_answer, find_answer, lock_key

MAX_KEY_LENGTH = 255


def answer(document: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON response; serialised here, once, instead of by FastAPI's encoder."""
    return _json(_bytes(document), status)


async def answer_once(
    request: Request, call: Call, make: Callable[[], Awaitable[dict[str, Any]]], status: int = 200
) -> Response:
    """Return what `make` says; with an Idempotency-Key, what it said the first time.

    The answer is stored in the call's transaction. Errors are not stored: they changed nothing,
    so a repetition may try again.

    Raises:
        IdempotencyConflict: a request with this key is under way.
        IdempotencyKeyReused: the key was used with another request.
        InvalidFields: the key is empty, too long or not plain text.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return answer(await make(), status)
    if not (0 < len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise InvalidFields(
            [("", f"Idempotency-Key: 1 to {MAX_KEY_LENGTH} printable ASCII characters.")]
        )
    digest = await _digest(request)
    await lock_key(call.connection, call.tenant_id, key)
    stored = await find_answer(call.connection, call.tenant_id, key, digest)
    if stored is not None:
        return _json(stored.body, stored.status, {"Idempotency-Replayed": "true"})
    new = StoredAnswer(status, _bytes(await make()))
    await add_answer(call.connection, call.tenant_id, key, digest, new)
    return _json(new.body, status)


async def _digest(request: Request) -> bytes:
    target = f"{request.method} {request.url.path}\n".encode()
    return hashlib.sha256(target + await request.body()).digest()


def _bytes(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, default=_plain)


def _plain(value: object) -> object:
    """A named tuple by its names; orjson writes nothing else that it does not know."""
    named = getattr(value, "_asdict", None)
    if named is None:
        raise TypeError(type(value).__name__)
    return named()


def _json(body: bytes, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status_code=status, media_type="application/json", headers=headers)
