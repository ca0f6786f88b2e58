"""Listens for what `store.sends.notify_wake` says, on a connection of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import orjson
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from engine.errors import DatabaseUnavailable
from engine.ids import TenantId
from store.sends import WAKE_CHANNEL


@dataclass(frozen=True, slots=True)
class Wake:
    """Somebody committed work for this tenant; kind: deliver, learn or check."""

    tenant_id: TenantId
    kind: str


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[AsyncIterator[Wake]]:
    """Listen from entry on; iterate over what arrives. What nobody can read is passed over.

    `url` is SQLAlchemy's. The connection must reach PostgreSQL itself: a pooler that hands out
    connections per transaction loses notifications.

    Raises:
        DatabaseUnavailable: no connection, or it broke while waiting.
    """
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection = await psycopg.AsyncConnection.connect(plain, autocommit=True)
        async with connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(WAKE_CHANNEL)))
            yield _wakes(connection)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"Listening for work ended: {error}.") from error


async def _wakes(connection: psycopg.AsyncConnection) -> AsyncIterator[Wake]:
    async for notice in connection.notifies():
        try:
            said = orjson.loads(notice.payload)
            wake = Wake(TenantId(UUID(str(said["tenant"]))), str(said["kind"]))
        except (ValueError, KeyError, TypeError):
            continue
        yield wake
