"""What routes are given: the caller's transaction, after key, scope and rate limit are checked."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Request
from sqlalchemy.ext.asyncio import AsyncConnection

from api.rate_limit import RateLimit
from engine.errors import ContactNotFound, NotAllowed, NotAuthenticated
from engine.ids import TenantId
from services.manage_keys import ADMIN, PresentedKey, check_key, read_key
from services.wiring import Runtime

MAX_CONTACT_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request.

    Attributes:
        connection: the request's only transaction, of the key's tenant; committed after the
            handler and before the answer, rolled back on any error.
    """

    connection: AsyncConnection
    tenant_id: TenantId


class Requires:
    """A dependency: the key must be valid and have `scope` (or admin)."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> AsyncIterator[Call]:
        """Yield the call.

        Raises:
            NotAuthenticated: no key, or one that is malformed, unknown, revoked or expired.
            NotAllowed: the key lacks the scope.
            RateLimited: the key makes too many calls.
            DatabaseUnavailable: the key can't be checked.
        """
        key, digest = _presented_key(request)
        limit: RateLimit = request.app.state.rate_limit
        limit.take(digest)
        async with _runtime(request).database.transaction(key.tenant_id) as connection:
            scopes = await check_key(connection, key)
            limit.welcome(digest)
            request.state.key_id = key.id
            if self.scope not in scopes and ADMIN not in scopes:
                raise NotAllowed(
                    f"This API key lacks the scope {self.scope}.",
                    hint="Issue a key with it: 'keepwell keys create --scope ...'.",
                )
            yield Call(connection, key.tenant_id)


# async although they wait for nothing: FastAPI runs plain functions in a thread, 0.2 ms each


async def get_runtime(request: Request) -> Runtime:
    """Return what the process was started with."""
    return _runtime(request)


async def get_now(request: Request) -> datetime:
    """Return the product's present moment, UTC."""
    return _runtime(request).clock.now()


async def read_contact(
    contact: Annotated[
        str,
        Path(
            description="Our id (UUID), or `external:` and the id of the system it came from.",
            examples=["external:4711"],
        ),
    ],
) -> str:
    """Return the contact as named in the path.

    Raises:
        ContactNotFound: no contact can have this name.
    """
    if len(contact) > MAX_CONTACT_LENGTH or not contact.isprintable():
        raise ContactNotFound("There is no such contact.")
    return contact


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def _presented_key(request: Request) -> tuple[PresentedKey, bytes]:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    key = read_key(credentials.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        raise NotAuthenticated("The API key is missing, unknown, revoked or expired.")
    return key, hashlib.sha256(credentials.strip().encode()).digest()


RuntimeOf = Annotated[Runtime, Depends(get_runtime)]
Now = Annotated[datetime, Depends(get_now)]
ContactName = Annotated[str, Depends(read_contact)]

DecidesCall = Annotated[Call, Depends(Requires("decisions:write"), scope="function")]
ReadsDecisionsCall = Annotated[Call, Depends(Requires("decisions:read"), scope="function")]
RecordsEventsCall = Annotated[Call, Depends(Requires("events:write"), scope="function")]
ReadsRulesCall = Annotated[Call, Depends(Requires("rules:read"), scope="function")]
WritesRulesCall = Annotated[Call, Depends(Requires("rules:write"), scope="function")]
ReadsContactsCall = Annotated[Call, Depends(Requires("contacts:read"), scope="function")]
ReadsApprovalsCall = Annotated[Call, Depends(Requires("approvals:read"), scope="function")]
AnswersApprovalsCall = Annotated[Call, Depends(Requires("approvals:write"), scope="function")]
WritesHealthCall = Annotated[Call, Depends(Requires("health:write"), scope="function")]
