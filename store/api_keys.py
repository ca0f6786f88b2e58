"""API keys: who may call as this tenant, and for what. Secrets are stored as SHA-256 only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key as stored.

    Attributes:
        id: eight characters, unique within the tenant.
        expires_at: UTC; None means it does not expire.
        revoked_at: UTC; None means it was not revoked.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """One key to store; of its secret only the SHA-256."""

    id: str
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    secret_sha256: bytes


_FIND_USABLE = text(
    "SELECT secret_sha256, scopes FROM keepwell.api_keys "
    "WHERE tenant_id = :tenant_id AND id = :id AND revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > keepwell.clock())"
)


async def find_usable_key(
    connection: AsyncConnection, tenant_id: TenantId, key_id: str
) -> tuple[bytes, frozenset[str]] | None:
    """Return (SHA-256 of the secret, scopes); None if unknown, revoked or expired alike."""
    result = await connection.execute(_FIND_USABLE, {"tenant_id": tenant_id, "id": key_id})
    row = result.first()
    return None if row is None else (bytes(row[0]), frozenset(row[1]))


async def add_key(connection: AsyncConnection, tenant_id: TenantId, key: NewKey) -> None:
    """Add a key."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.api_keys "
            "(tenant_id, id, name, secret_sha256, scopes, expires_at) "
            "VALUES (:tenant_id, :id, :name, :secret_sha256, :scopes, :expires_at)"
        ),
        {
            "tenant_id": tenant_id,
            "id": key.id,
            "name": key.name,
            "secret_sha256": key.secret_sha256,
            "scopes": list(key.scopes),
            "expires_at": key.expires_at,
        },
    )


async def list_key_rows(connection: AsyncConnection, tenant_id: TenantId) -> Sequence[KeyRow]:
    """List all keys of the tenant, revoked ones too, oldest first."""
    rows = await connection.execute(
        text(
            "SELECT id, name, scopes, created_at, expires_at, revoked_at FROM keepwell.api_keys "
            "WHERE tenant_id = :tenant_id ORDER BY created_at, id"
        ),
        {"tenant_id": tenant_id},
    )
    return [KeyRow(row[0], row[1], tuple(row[2]), row[3], row[4], row[5]) for row in rows]


async def mark_revoked(connection: AsyncConnection, tenant_id: TenantId, key_id: str) -> bool:
    """Revoke a key; an earlier revocation stands. Return False if there is no such key."""
    result = await connection.execute(
        text(
            "UPDATE keepwell.api_keys SET revoked_at = coalesce(revoked_at, keepwell.clock()) "
            "WHERE tenant_id = :tenant_id AND id = :id"
        ),
        {"tenant_id": tenant_id, "id": key_id},
    )
    return result.rowcount == 1
