"""Routes whose body is read by `strict_json` instead of FastAPI's lenient reader."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.strict_json import read_json


class _ReadRequest(Request):
    """A request whose document is already read."""

    document: object = None

    async def json(self) -> object:
        return self.document


class StrictRoute(APIRoute):
    """Reads the body before FastAPI does, since errors raised inside its reader lose their kind."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def read_first(request: Request) -> Response:
            raw = await request.body()
            if not raw:
                return await handle(request)
            read = _ReadRequest(request.scope, request.receive)
            read._body = raw  # noqa: SLF001 - so that the idempotency digest needs no second read
            read.document = read_json(raw)
            return await handle(read)

        return read_first
