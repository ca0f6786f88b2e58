"""The OpenAPI 3.1 document: FastAPI's, with our security, headers and problem responses."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from api.dependencies import Requires
from api.errors import PROBLEM_MEDIA_TYPE
from api.shapes import Problem

# no key needed: the unsubscribe link is its own proof, and probes have none
PUBLIC = frozenset(("/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/unsubscribe/{token}"))

API_VERSION = "1.0.0"  # of this document; grows with what clients may rely on

_SUMMARY = "Decides what to do next to keep a customer, does it, and learns from the outcome."
_DESCRIPTION = """\
Authenticate with `Authorization: Bearer kw_live_...` (issue keys with `keepwell keys create`).
Errors are RFC 9457 problem details with a stable `code`. Every POST takes an `Idempotency-Key`
where it says so: the same request is answered as before, another one with the same key is refused.
Times are ISO 8601 with Z or an offset; amounts are whole cents; shares lie in [0, 1].
"""
_ALWAYS = {
    "429": "Too many requests with this key; see Retry-After.",
    "500": "Failed on our side; nothing was changed.",
    "503": "A server we need can't be reached; nothing was changed. See Retry-After.",
}
_WITH_KEY = {"401": "No valid API key.", "403": "The key lacks the scope."}
_WITH_ID = {"404": "Unknown, or another tenant's: the same answer."}
_WITH_BODY = {
    "400": "The body is not one JSON document.",
    "408": "The body did not arrive in time.",
    "413": "The body is larger than 1 MiB.",
    "415": "The body is not application/json in UTF-8, or is compressed.",
    "422": "Fields that can't be accepted, each with its JSON pointer.",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Chosen by the client, kept for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_ONCE = {
    *("next_best_action", "record_one", "record_batch"),
    *("publish", "promote", "halt", "roll_back", "backtest", "verify"),
    *("override", "lift", "write_weights", "write_levels"),
}


def scope_of(route: APIRoute) -> str | None:
    """Return the scope that a route's key must have, None if the route needs no key."""
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, Requires):
            return dependency.call.scope
    return None


def api_routes(routes: Iterable[BaseRoute]) -> list[APIRoute]:
    """List the routes that appear in the document."""
    return [route for route in routes if isinstance(route, APIRoute)]


def add_openapi(app: FastAPI) -> None:
    """Make `app.openapi` return our document, built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build_openapi(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """Build the document."""
    document = get_openapi(
        title="Keepwell",
        version=API_VERSION,
        openapi_version="3.1.0",
        summary=_SUMMARY,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[
            {"name": "decisions", "description": "What to do next, and why."},
            {"name": "events", "description": "What happened."},
            {"name": "experiments", "description": "Trials of wordings, and what it is all worth."},
            {"name": "rules", "description": "What should happen when, and tools to write it."},
            {"name": "contacts", "description": "Who they are."},
            {"name": "health", "description": "How they fare, who may leave, and why."},
            {"name": "unsubscribe", "description": "For contacts: one click, no key."},
            {"name": "operation", "description": "For operators and load balancers."},
        ],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.setdefault(
        "Problem", Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    )
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, kw_live_..."}
    }
    for route in api_routes(app.routes):
        for method in route.methods or ():
            _complete(document["paths"][route.path_format][method.lower()], route)
    return document


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    problems = dict(_ALWAYS)
    scope = scope_of(route)
    if scope is None:
        operation["security"] = []
        problems.pop("429")
    else:
        # the scheme has no scopes of its own (it is not OAuth); OpenAPI 3.1 lets us name roles
        operation["security"] = [{"apiKey": [scope]}]
        problems |= _WITH_KEY
    if "{" in route.path:
        problems |= _WITH_ID
    if route.body_field is not None:
        problems |= _WITH_BODY
    if route.name in _ONCE:
        problems["409"] = "A request with this Idempotency-Key is under way."
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    responses = operation["responses"]
    responses.pop("422", None)
    for status, description in sorted(problems.items()):
        responses.setdefault(status, _problem(description))


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}}}
