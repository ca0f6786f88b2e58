"""Bring a database to the newest schema, or say how far it is."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from engine.errors import DatabaseUnavailable, KeepwellError, Unavailable
from store.crm_access import OwnerLacksRight

_LOCK_TIMEOUT = "55P03"  # SQLSTATE lock_not_available
_NO_RIGHT = "42501"  # SQLSTATE insufficient_privilege
LOCK = 0x6B656570_77656C6C  # 'keepwell': two upgrades at once wait for each other


class TablesBusy(Unavailable):
    """Somebody holds a lock on the CRM's tables for too long; the upgrade gave way."""

    code = "tables_busy"


def _scripts() -> Path:
    in_repository = Path(__file__).parent.parent / "migrations"
    installed = Path(sys.prefix) / "share" / "keepwell" / "migrations"
    return in_repository if in_repository.exists() else installed


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    config.attributes["connection"] = connection
    return config


def upgrade(owner_url: str) -> list[str]:
    """Apply what is missing in one transaction; return the revisions applied, oldest first.

    `owner_url` connects as the owner of the database objects, never as the application's role.

    Raises:
        DatabaseUnavailable: no connection.
        SchemaMismatch: an adopted CRM is not as expected; nothing was changed.
        TablesBusy: a lock was not given within 10 seconds; nothing was changed.
        OwnerLacksRight: the role is not the tables' owner, or may not create a schema or role;
            nothing was changed.
    """
    engine = create_engine(owner_url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            connection.execute(text("SET LOCAL lock_timeout = '10 s'"))
            if connection.scalar(text("SELECT to_regnamespace('keepwell') IS NULL")):
                connection.execute(text("CREATE SCHEMA keepwell"))
            before = _applied(connection)
            command.upgrade(_config(connection), "head")
            after = _applied(connection)
    except DBAPIError as error:
        told = _told(error)
        if told is None:
            raise
        raise told from error
    finally:
        engine.dispose()
    return [revision for revision in _ordered() if revision in after - before]


def _told(error: DBAPIError) -> KeepwellError | None:
    """What a person can do something about; None for anything else, which is a fault of ours."""
    state = getattr(error.orig, "sqlstate", None)
    if state == _LOCK_TIMEOUT:
        return TablesBusy(
            "The upgrade waited 10 seconds for a lock on the CRM's tables and gave way.",
            hint="Nothing was changed. Run it again when no long transaction is open.",
        )
    if state == _NO_RIGHT:
        return OwnerLacksRight(
            f"The role of the upgrade lacks a right: {error.orig}.",
            hint="Nothing was changed. It has to own the CRM's tables and may create a schema.",
        )
    if isinstance(error, OperationalError):
        return DatabaseUnavailable(
            f"PostgreSQL refused the connection for the upgrade: {error.orig}.",
            hint="Check KEEPWELL_OWNER_DATABASE_URL and that the server runs.",
        )
    return None


def pending(connection: Connection) -> list[str]:
    """List the revisions that this database lacks, oldest first."""
    applied = _applied(connection)
    return [revision for revision in _ordered() if revision not in applied]


def _ordered() -> list[str]:
    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def _applied(connection: Connection) -> set[str]:
    if connection.execute(text("SELECT to_regclass('keepwell.schema_version')")).scalar() is None:
        return set()
    context = MigrationContext.configure(
        connection, opts={"version_table": "schema_version", "version_table_schema": "keepwell"}
    )
    heads = context.get_current_heads()
    ordered = _ordered()
    reached = max((ordered.index(head) for head in heads), default=-1)
    return set(ordered[: reached + 1])
