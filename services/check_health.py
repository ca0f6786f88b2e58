"""Is everything there, and as it must be? For `doctor` and the readiness probe."""

import asyncio
import platform
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Literal
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import DatabaseUnavailable
from services.settings import Settings
from services.wiring import Runtime
from store.catalogue import (
    get_server,
    list_pending_migrations,
    list_unprotected_crm_tables,
    list_unprotected_tables,
)

State = Literal["ok", "warning", "failed", "unreachable"]

OLDEST_POSTGRES = 15  # the oldest that the tests run on
MAX_CLOCK_DIFFERENCE_SECONDS = 2.0
CONNECT_SECONDS = 3.0
LIBRARIES = (
    "arq",
    "durable_rules",
    "fastapi",
    "lightgbm",
    "mabwiser",
    "numpy",
    "openai",
    "polars",
    "psycopg",
    "pydantic",
    "sqlalchemy",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        state: ok; warning: works, but look at it; failed: must be mended; unreachable: no answer.
        detail: what was found; names no host.
        hint: what to do about it; empty if nothing.
    """

    name: str
    state: State
    detail: str
    hint: str = ""


async def check_ready(runtime: Runtime) -> list[Check]:
    """Look at what every request needs: the database and its schema."""
    return await _with_database(runtime, _migrations)


async def check_health(runtime: Runtime) -> list[Check]:
    """Look at everything; a server that does not answer is a finding, never an exception."""
    parts = await asyncio.gather(
        _with_database(runtime, _server, _migrations, _row_security, _crm_row_security),
        _redis(runtime.redis_url),
        _smtp(runtime.settings.smtp_url, named="smtp_url" in runtime.settings.model_fields_set),
    )
    return [*_versions(), _secret(runtime), *parts[0], parts[1], parts[2]]


def _versions() -> list[Check]:
    found = ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)
    missing = [name for name in LIBRARIES if _version(name) == "missing"]
    return [
        Check("python", "ok", platform.python_version()),
        Check(
            "libraries",
            "failed" if missing else "ok",
            found,
            f"Install {', '.join(missing)}." if missing else "",
        ),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _secret(runtime: Runtime) -> Check:
    # with the published default anybody could sign unsubscribe links
    default = Settings.model_fields["secret"].default
    if runtime.embedded or runtime.settings.secret != default:
        return Check("secret", "ok", "Fit for where this runs.")
    hint = "Set KEEPWELL_SECRET to at least 32 random characters, and keep it: links depend on it."
    return Check("secret", "failed", "Unsubscribe links are signed with the default.", hint)


async def _with_database(
    runtime: Runtime, *looks: Callable[[AsyncConnection], Awaitable[list[Check]]]
) -> list[Check]:
    checks: list[Check] = []
    try:
        async with runtime.database.without_tenant() as connection:
            checks.append(Check("postgresql", "ok", "Answers."))
            for look in looks:
                checks += await look(connection)
    except DatabaseUnavailable:
        hint = "Check KEEPWELL_DATABASE_URL and that the server runs."
        return [Check("postgresql", "unreachable", "PostgreSQL does not answer.", hint)]
    except DBAPIError as error:
        # an empty or foreign database: what is missing is for the log of the server
        detail = f"PostgreSQL refused a question: {type(error.orig).__name__}."
        return [Check("postgresql", "failed", detail, "Run 'keepwell db upgrade'.")]
    return checks


async def _server(connection: AsyncConnection) -> list[Check]:
    asked_at = datetime.now(UTC)
    server = await get_server(connection)
    heard_at = datetime.now(UTC)
    middle = asked_at + (heard_at - asked_at) / 2
    apart_seconds = abs((server.told_at - middle).total_seconds())
    return [
        Check(
            "postgresql version",
            "ok" if server.major >= OLDEST_POSTGRES else "failed",
            server.version,
            "" if server.major >= OLDEST_POSTGRES else f"Upgrade to {OLDEST_POSTGRES} or later.",
        ),
        Check(
            "database role",
            "failed" if server.excess else "ok",
            f"{server.role}: {', '.join(server.excess) or 'bound by row-level security'}.",
            "Connect as a member of keepwell_app alone." if server.excess else "",
        ),
        Check(
            "clock",
            "ok" if apart_seconds <= MAX_CLOCK_DIFFERENCE_SECONDS else "failed",
            f"{apart_seconds:.3f} s from the database's.",
            "" if apart_seconds <= MAX_CLOCK_DIFFERENCE_SECONDS else "Run NTP on both machines.",
        ),
    ]


async def _migrations(connection: AsyncConnection) -> list[Check]:
    missing = await list_pending_migrations(connection)
    if not missing:
        return [Check("migrations", "ok", "None is pending.")]
    detail = f"Pending: {', '.join(missing)}."
    return [Check("migrations", "failed", detail, "Run 'keepwell db upgrade'.")]


async def _row_security(connection: AsyncConnection) -> list[Check]:
    open_tables = await list_unprotected_tables(connection)
    if not open_tables:
        return [Check("row-level security", "ok", "On and forced for every table of ours.")]
    detail = f"Off or not forced: {', '.join(open_tables)}."
    hint = "ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY."
    return [Check("row-level security", "failed", detail, hint)]


async def _crm_row_security(connection: AsyncConnection) -> list[Check]:
    open_tables = await list_unprotected_crm_tables(connection)
    if not open_tables:
        return [Check("row-level security of the CRM", "ok", "On for every table.")]
    detail = f"Off for {', '.join(open_tables)}: tenants are kept apart by our queries alone."
    hint = "If the CRM allows it, enable row-level security on them; our policies are in place."
    return [Check("row-level security of the CRM", "warning", detail, hint)]


async def _redis(url: str | None) -> Check:
    if url is None:
        return Check("redis", "ok", "None is configured; workers poll.")
    client: Redis = Redis.from_url(
        url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS
    )
    try:
        facts = await client.info("server")
    except (RedisError, OSError) as error:
        detail = f"No answer ({type(error).__name__}); workers poll meanwhile."
        return Check("redis", "unreachable", detail, "Check KEEPWELL_REDIS_URL.")
    finally:
        await client.aclose()
    return Check("redis", "ok", f"Answers, version {facts.get('redis_version', 'unknown')}.")


async def _smtp(url: str, *, named: bool) -> Check:
    """A server that nobody named need not be there: then nothing is broken yet."""
    parts = urlsplit(url)
    secure = parts.scheme == "smtps"
    port = parts.port or (465 if secure else 25)
    hint = "Check KEEPWELL_SMTP_URL; no e-mail leaves until it answers."
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                parts.hostname, port, ssl=True if secure else None
            )
            try:
                greeting = await reader.readline()
                writer.write(b"QUIT\r\n")
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        told = f"No answer ({type(error).__name__})."
        return Check("smtp", "unreachable" if named else "warning", told, hint)
    if not greeting.startswith(b"220"):
        return Check("smtp", "failed", "What answers there does not speak SMTP.", hint)
    return Check("smtp", "ok", "Answers.")
