"""Issue, list, revoke and check API keys.

A key reads `kw_live_<22: tenant><8: id>_<43: secret>`, all in base 62. The tenant stands in the key
because row-level security lets nobody look for a key across tenants.
"""

import hashlib
import hmac
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput, NotAuthenticated, NotFound
from engine.ids import TenantId
from store.api_keys import KeyRow, NewKey, add_key, find_usable_key, list_key_rows, mark_revoked

ADMIN = "admin"  # includes all others
SCOPES = (
    "decisions:write",
    "decisions:read",
    "events:write",
    "contacts:read",
    "health:write",
    "rules:read",
    "rules:write",
    "approvals:read",
    "approvals:write",
    ADMIN,
)

_PREFIX = "kw_live_"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_TENANT_LENGTH = 22  # 62**22 > 2**128
_ID_LENGTH = 8
_SECRET_LENGTH = 43  # 62**43 > 2**256
_PUBLIC_LENGTH = len(_PREFIX) + _TENANT_LENGTH + _ID_LENGTH
_KEY_LENGTH = _PUBLIC_LENGTH + 1 + _SECRET_LENGTH
_NO_SECRET = hashlib.sha256(b"no key has this secret").digest()


class KeyNotFound(NotFound):
    """The tenant has no key with this id."""

    code = "key_not_found"


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A well-formed key as a caller sent it; nothing about it is proven."""

    tenant_id: TenantId
    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key; `key` is the whole of it and can't be had again.

    Attributes:
        id: the part before the secret; names the key to `revoke_key`.
    """

    id: str
    key: str = field(repr=False)
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None


def read_key(presented: str) -> PresentedKey | None:
    """Take a whole key apart; None if it is not well-formed."""
    if len(presented) != _KEY_LENGTH or presented[_PUBLIC_LENGTH] != "_":
        return None
    try:
        tenant_id, key_id = read_key_id(presented[:_PUBLIC_LENGTH])
    except InvalidInput:
        return None
    return PresentedKey(tenant_id, key_id, presented[_PUBLIC_LENGTH + 1 :])


def read_key_id(public: str) -> tuple[TenantId, str]:
    """Return the tenant and the stored id from a key's public part (a whole key will do).

    Raises:
        InvalidInput: it is not the beginning of one of our keys.
    """
    rest = public.removeprefix(_PREFIX)[: _TENANT_LENGTH + _ID_LENGTH]
    number = 0
    for digit in rest[:_TENANT_LENGTH]:
        number = number * 62 + _VALUES.get(digit, 1 << 200)
    well_formed = (
        public.startswith(_PREFIX)
        and len(rest) == _TENANT_LENGTH + _ID_LENGTH
        and number < 1 << 128
        and all(digit in _VALUES for digit in rest)
    )
    if not well_formed:
        raise InvalidInput(
            "This is not the id of an API key.",
            hint="Take it from 'keepwell keys list': it begins with kw_live_.",
        )
    return TenantId(UUID(int=number)), rest[_TENANT_LENGTH:]


async def check_key(connection: AsyncConnection, presented: PresentedKey) -> frozenset[str]:
    """Return the scopes of a key; the transaction must carry the tenant that the key names.

    Raises:
        NotAuthenticated: unknown, revoked, expired or another secret: the same for all.
    """
    found = await find_usable_key(connection, presented.tenant_id, presented.id)
    stored, scopes = found or (_NO_SECRET, frozenset())
    if not hmac.compare_digest(_sha256(presented.secret), stored):
        raise NotAuthenticated("The API key is missing, unknown, revoked or expired.")
    return scopes


async def create_key(
    connection: AsyncConnection,
    tenant_id: TenantId,
    *,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
) -> IssuedKey:
    """Issue a key; this is the only time its secret is known.

    Raises:
        InvalidInput: a scope is unknown or none is given, or the name is empty or too long.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        fault = f"There is no scope {', '.join(unknown)}." if unknown else "A key needs a scope."
        raise InvalidInput(fault, hint=f"Scopes: {', '.join(SCOPES)}.")
    if not 0 < len(name.strip()) <= 100:
        raise InvalidInput("A key needs a name of 1 to 100 characters.")
    key_id, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    ordered = tuple(scope for scope in SCOPES if scope in scopes)
    new = NewKey(key_id, name.strip(), ordered, expires_at, _sha256(secret))
    await add_key(connection, tenant_id, new)
    public = _public(tenant_id, key_id)
    return IssuedKey(public, f"{public}_{secret}", new.name, ordered, expires_at)


async def list_keys(connection: AsyncConnection, tenant_id: TenantId) -> list[KeyRow]:
    """List all keys, revoked ones too, oldest first; `id` is the public part of each."""
    rows = await list_key_rows(connection, tenant_id)
    return [replace(row, id=_public(tenant_id, row.id)) for row in rows]


async def revoke_key(connection: AsyncConnection, tenant_id: TenantId, key_id: str) -> None:
    """Revoke a key (its eight characters); the next request with it is refused.

    Raises:
        KeyNotFound: the tenant has no such key.
    """
    if not await mark_revoked(connection, tenant_id, key_id):
        raise KeyNotFound("There is no such API key.", hint="See 'keepwell keys list'.")


def _public(tenant_id: TenantId, key_id: str) -> str:
    number, digits = tenant_id.int, ""
    for _ in range(_TENANT_LENGTH):
        number, value = divmod(number, 62)
        digits = _DIGITS[value] + digits
    return f"{_PREFIX}{digits}{key_id}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(length))


def _sha256(secret: str) -> bytes:
    # 256 random bits need no slow hash
    return hashlib.sha256(secret.encode()).digest()
