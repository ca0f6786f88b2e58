"""The one place where our errors become HTTP: status, problem document (RFC 9457), headers."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from engine import errors
from engine.errors import InvalidFile, InvalidInput, KeepwellError, RateLimited
from rules.durable import MatcherFailed
from store.idempotency import IdempotencyKeyReused

log = logging.getLogger("keepwell.api")

NOT_FOUND = HTTPStatus.NOT_FOUND
PROBLEM_TYPE = "urn:keepwell:problem:"
PROBLEM_MEDIA_TYPE = "application/problem+json"
RETRY_UNAVAILABLE_SECONDS = 5

# what a client may do about an outage does not depend on which of our servers is away
_UNAVAILABLE_DETAIL = "A server that this request needs can't be reached; nothing was changed."
_FAULT_DETAIL = "The request failed on our side; nothing was changed."


class MalformedJson(InvalidInput):
    """The body is not one UTF-8 JSON document with unique keys."""

    code = "malformed_json"


class MalformedRequest(InvalidInput):
    """The request's framing is ambiguous."""

    code = "malformed_request"


class HeadersTooLarge(InvalidInput):
    code = "headers_too_large"


class RequestTooSlow(InvalidInput):
    """The body did not arrive in time."""

    code = "request_too_slow"


class InvalidFields(InvalidInput):
    """The document is JSON but not what the call takes.

    Attributes:
        faults: (JSON pointer, what is wrong), all of them, in the document's order.
    """

    code = "invalid_fields"

    def __init__(self, faults: Sequence[tuple[str, str]], *, hint: str = "") -> None:
        super().__init__("The request has fields that can't be accepted.", hint=hint)
        self.faults = tuple(faults)


# The nearest entry of a class or its bases holds. A test walks all subclasses and demands one
# below KeepwellError itself.
STATUS: Mapping[type[KeepwellError], HTTPStatus] = {
    KeepwellError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    MalformedJson: HTTPStatus.BAD_REQUEST,
    MalformedRequest: HTTPStatus.BAD_REQUEST,
    RequestTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    HeadersTooLarge: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    InvalidFields: HTTPStatus.UNPROCESSABLE_ENTITY,
    IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PayloadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.NotAllowed: HTTPStatus.FORBIDDEN,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ProviderRefused: HTTPStatus.BAD_GATEWAY,
    errors.SchemaMismatch: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ModelUnusable: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StateUnusable: HTTPStatus.INTERNAL_SERVER_ERROR,
    MatcherFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.TooFewData: HTTPStatus.CONFLICT,
}

_CODES_BY_STATUS = {404: "route_not_found", 405: "method_not_allowed"}


def status_of(error: type[KeepwellError]) -> HTTPStatus:
    """Return the status of the nearest listed class."""
    return next(STATUS[kind] for kind in error.__mro__ if kind in STATUS)


def answer_error(error: KeepwellError) -> Response:
    """Return the response that one of our errors deserves."""
    status = status_of(type(error))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # the message may name hosts and tables: for the log, not for the client
        log.error("%s: %s", error.code, error.message)
    return _respond(problem_document(error), _headers(error, status))


def problem_document(error: KeepwellError) -> dict[str, Any]:
    """Return the problem document of one of our errors."""
    status = status_of(type(error))
    document = _document(status, error.code, _detail(error, status))
    # a hint may tell what is unknown from what is another tenant's, or where our servers are
    if error.hint and status < HTTPStatus.INTERNAL_SERVER_ERROR and status is not NOT_FOUND:
        document["hint"] = error.hint
    faults = _faults(error)
    if faults:
        document["errors"] = faults
    return document


def unexpected_problem() -> Response:
    """Return the answer to a fault of ours: it says nothing about the cause."""
    return _respond(
        _document(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", _FAULT_DETAIL), {}
    )


def invalid_fields(faults: Sequence[Any], *, place_begins: int = 0) -> InvalidFields:
    """Return the error of pydantic's faults; values are not repeated, they may be personal."""
    return InvalidFields(
        [(_pointer(fault["loc"][place_begins:]), str(fault["msg"])) for fault in faults]
    )


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    @app.exception_handler(KeepwellError)
    async def ours(_request: Request, error: KeepwellError) -> Response:
        return answer_error(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        # the first step of FastAPI's places is body, path, query or header
        return answer_error(invalid_fields(error.errors(), place_begins=1))

    @app.exception_handler(HTTPException)
    async def framework(_request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        code = _CODES_BY_STATUS.get(status.value, "http_error")
        return _respond(_document(status, code, f"{status.phrase}."), error.headers or {})


def _document(status: HTTPStatus, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": PROBLEM_TYPE + code,
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
    }


def _respond(document: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    return Response(
        orjson.dumps(document),
        status_code=document["status"],
        media_type=PROBLEM_MEDIA_TYPE,
        headers=dict(headers),
    )


def _detail(error: KeepwellError, status: HTTPStatus) -> str:
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return _UNAVAILABLE_DETAIL
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _FAULT_DETAIL
    if status is NOT_FOUND:
        # the same bytes for what does not exist and for what is another tenant's
        return f"There is no such {error.code.removesuffix('_not_found').replace('_', ' ')}."
    return error.message


def _faults(error: KeepwellError) -> list[dict[str, Any]]:
    if isinstance(error, InvalidFields):
        return [{"pointer": pointer, "detail": detail} for pointer, detail in error.faults]
    if isinstance(error, InvalidFile):
        return [
            {
                "code": finding.code,
                "detail": finding.message,
                "file": finding.file,
                "line": finding.line,
                "column": finding.column,
                "hint": finding.hint,
            }
            for finding in error.findings
        ]
    return []


def _headers(error: KeepwellError, status: HTTPStatus) -> dict[str, str]:
    if isinstance(error, RateLimited):
        return {"Retry-After": str(error.retry_after_seconds)}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_UNAVAILABLE_SECONDS)}
    if status is HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": 'Bearer realm="keepwell"'}
    if status in {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT}:
        return {"Connection": "close"}  # the rest of the body will not be read
    return {}


def _pointer(place: Sequence[int | str]) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place)
    return "".join(f"/{step}" for step in steps)
