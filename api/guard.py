"""The outermost layer: no request reaches a route before its headers and body are sound.

Plain ASGI, since Starlette's BaseHTTPMiddleware costs a task and two queues per request.
"""

import asyncio
import logging
import re
import traceback
from time import perf_counter
from uuid import uuid4

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import (
    HeadersTooLarge,
    MalformedRequest,
    RequestTooSlow,
    answer_error,
    unexpected_problem,
)
from api.metrics import Metrics
from engine.errors import KeepwellError, PayloadTooLarge, UnsupportedMediaType

access_log = logging.getLogger("keepwell.access")
log = logging.getLogger("keepwell.api")

MAX_BODY_BYTES = 1_048_576
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32_768
BODY_SECONDS = 15.0

# RFC 8058: mail clients post a form to the unsubscribe address
FORM_PREFIX = "/v1/unsubscribe/"
_FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data")
_JSON = (b"application/json",)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_UTF8 = (b"utf-8", b"utf8")

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000"),
)


class Guard:
    """Refuses what is too large, too slow, ambiguous or of a wrong type; logs and counts all."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, body_seconds: float = BODY_SECONDS
    ) -> None:
        self._app = app
        self._body_seconds = body_seconds
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        headers = _Headers(scope["headers"])
        answer = _Answer(send, headers.request_id)
        try:
            await self._answer(scope, headers, receive, answer)
        finally:
            self._record(scope, answer, perf_counter() - started)

    async def _answer(
        self, scope: Scope, headers: "_Headers", receive: Receive, answer: "_Answer"
    ) -> None:
        try:
            headers.check(scope["path"])
            if headers.has_body:
                receive = await _whole_body(receive, self._body_seconds)
            await self._app(scope, receive, answer.send)
        except KeepwellError as error:
            await answer_error(error)(scope, receive, answer.send)
        except Exception as error:
            # without its message: a database's error may quote a person's data
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("unexpected %s, request %s\n%s", type(error).__name__, answer.id, frames)
            if answer.status:
                raise
            await unexpected_problem()(scope, receive, answer.send)

    def _record(self, scope: Scope, answer: "_Answer", seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.record(method, route, answer.status, seconds)
        if access_log.isEnabledFor(logging.INFO):
            # the route's pattern, not the path: an external id or a token is a person's
            line = {
                "request_id": answer.id,
                "method": method,
                "route": route,
                "status": answer.status,
                "ms": round(seconds * 1000, 2),
                "key": scope.get("state", {}).get("key_id"),
            }
            access_log.info(orjson.dumps(line).decode())


class _Headers:
    """What the guard needs of the headers, gathered in one pass."""

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.request_id = ""
        self._count = len(headers)
        self._bytes = 0
        self._lengths: list[bytes] = []
        self._chunked = False
        self._type = b""
        self._encoding = b""
        for name, value in headers:
            self._bytes += len(name) + len(value)
            if name == b"content-length":
                self._lengths.append(value)
            elif name == b"content-type":
                self._type = value
            elif name == b"transfer-encoding":
                self._chunked = True
            elif name == b"content-encoding":
                self._encoding = value
            elif name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                self.request_id = value.decode()
        self.request_id = self.request_id or uuid4().hex

    @property
    def has_body(self) -> bool:
        return self._chunked or any(length != b"0" for length in self._lengths)

    def check(self, path: str) -> None:
        """Raise the refusal that these headers deserve, if any."""
        if self._count > MAX_HEADERS or self._bytes > MAX_HEADER_BYTES:
            raise HeadersTooLarge(
                f"At most {MAX_HEADERS} headers of {MAX_HEADER_BYTES:,} bytes are accepted."
            )
        if len(self._lengths) > 1 or (self._lengths and self._chunked):
            raise MalformedRequest("The length of the body is stated twice.")
        if self.has_body:
            self._check_body(_FORMS if path.startswith(FORM_PREFIX) else _JSON)

    def _check_body(self, accepted: tuple[bytes, ...]) -> None:
        length = self._lengths[0] if self._lengths else b"0"
        if not length.isdigit():
            raise MalformedRequest("Content-Length is not a number.")
        if len(length) > len(str(MAX_BODY_BYTES)) or int(length) > MAX_BODY_BYTES:
            raise _too_large()
        if self._encoding not in {b"", b"identity"}:
            raise UnsupportedMediaType(
                "A compressed body is not accepted.", hint="Send it without Content-Encoding."
            )
        kind, _, parameters = self._type.lower().partition(b";")
        charset = parameters.partition(b"charset=")[2].strip(b' "')
        if kind.strip() not in accepted or (charset and charset not in _UTF8):
            raise UnsupportedMediaType(
                "The body's Content-Type is not accepted.",
                hint=f"Send {accepted[0].decode()} in UTF-8.",
            )


class _Answer:
    """Adds our headers to the answer and remembers its status; 499 if none was given."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.id = request_id
        self._status = 0

    @property
    def status(self) -> int:
        return self._status

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = list(message.get("headers", ()))
            given = {name for name, _ in headers}
            headers.extend(header for header in SECURITY_HEADERS if header[0] not in given)
            headers.append((b"x-request-id", self.id.encode()))
            message = {**message, "headers": headers}
        await self._send(message)


async def _whole_body(receive: Receive, seconds: float) -> Receive:
    """Read the body up to the limit; return a `receive` that gives it in one piece."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                size += len(message.get("body", b""))
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    message = {"type": "http.request", "body": b"".join(parts)}
                    break
    except TimeoutError:
        raise RequestTooSlow(f"The body did not arrive within {seconds:g} s.") from None
    waiting = [message]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The body is larger than {MAX_BODY_BYTES:,} bytes.", hint="Send smaller batches."
    )
