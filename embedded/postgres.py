"""PostgreSQL: make the cluster, start it, and see that the database and its roles are there."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psycopg

from embedded.account import Account
from embedded.binaries import Binaries
from embedded.child import ENVIRONMENT, Child, end_with_parent, start_child, wait_until_unused
from engine.errors import EmbeddedServerFailed

DATABASE: Final = "keepwell"
OWNER_ROLE: Final = "keepwell_owner"
APP_ROLE: Final = "keepwell"
APP_GROUP: Final = "keepwell_app"

# Fast shutdown; then without a checkpoint, which the next start makes up for; then by force.
ENDING: Final = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))

# For a laptop with 8 GB on which the database is one of many programs.
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # compiling costs more than it saves on short queries
}
# Only for data that nobody will miss.
_THROWAWAY_SETTINGS: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}

_INITDB_SECONDS = 120
_POLL_SECONDS = 0.02


def start_postgres(
    binaries: Binaries,
    account: Account,
    data_dir: Path,
    socket_dir: Path,
    *,
    log: Path,
    durable: bool,
) -> Child:
    """A PostgreSQL that was told to start; it may still recover from a crash.

    Raises:
        EmbeddedServerFailed: the cluster can't be made, or an earlier server does not end.
    """
    cluster = data_dir / "postgres"
    if not cluster.is_dir():
        _make_cluster(binaries, account, cluster, durable=durable)
    _clear_leftovers(cluster, socket_dir)
    settings = _SETTINGS | {"unix_socket_directories": str(socket_dir)}
    if not durable:
        settings |= _THROWAWAY_SETTINGS
    command: list[str | Path] = [binaries.postgres, "-D", cluster]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return start_child(
        "PostgreSQL",
        command,
        account=account,
        directory=cluster,
        log=log,
        end_signal=signal.SIGINT,
    )


def wait_for_postgres(postgres: Child, socket_dir: Path, *, wait_seconds: float) -> None:
    """Return when a connection was made and the database and its roles are as they should be.

    Raises:
        EmbeddedServerFailed: the server ended, or accepts no connection within `wait_seconds`.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            with _superuser(socket_dir) as connection:
                _ensure_database(connection)
            return
        except psycopg.Error as error:
            if postgres.has_ended():
                raise postgres.failure("ended while starting") from error
            # Anything but "can't connect yet" will not get better by waiting.
            if not isinstance(error, psycopg.OperationalError) or time.monotonic() > deadline:
                raise postgres.failure(f"is not ready after a start: {error}") from error
        time.sleep(_POLL_SECONDS)


def database_url(role: str, socket_dir: Path) -> str:
    """In SQLAlchemy's form, over the socket; without a password, the directory is the lock."""
    return f"postgresql+psycopg://{role}@/{DATABASE}?host={socket_dir}"


def accepts_app(socket_dir: Path) -> bool:
    """Whether the product's role can connect to the database."""
    try:
        psycopg.connect(
            host=str(socket_dir), user=APP_ROLE, dbname=DATABASE, connect_timeout=5
        ).close()
    except psycopg.OperationalError:
        return False
    return True


def _make_cluster(binaries: Binaries, account: Account, cluster: Path, *, durable: bool) -> None:
    for abandoned in cluster.parent.glob(f"{cluster.name}.new-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    # Made under another name, so that an interrupted initdb is never taken for a cluster.
    draft = Path(tempfile.mkdtemp(prefix=f"{cluster.name}.new-", dir=cluster.parent))
    if account.switch:
        os.chown(draft, account.uid, account.gid)
    # PostgreSQL's own C.UTF-8, which sorts the same with every C library.
    options = [
        "--username=postgres",
        "--auth-local=trust",
        "--auth-host=reject",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
    ]
    if not durable:
        options.append("--no-sync")
    try:
        outcome = subprocess.run(
            [binaries.initdb, "-D", draft, *options],
            user=account.popen_user,
            group=account.popen_group,
            extra_groups=account.popen_extra_groups,
            cwd=draft,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_INITDB_SECONDS,
            check=False,
            preexec_fn=end_with_parent(signal.SIGKILL),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedServerFailed(
            f"The embedded database can't be made in {cluster}: {error}",
            hint="Set KEEPWELL_DATABASE_URL to a PostgreSQL server of your own.",
        ) from error
    if outcome.returncode != 0:
        raise EmbeddedServerFailed(
            f"initdb failed in {cluster} (code {outcome.returncode}): "
            f"{outcome.stderr.strip()[-1_000:]}",
            hint="Set KEEPWELL_DATABASE_URL to a PostgreSQL server of your own.",
        )
    draft.rename(cluster)


def _clear_leftovers(cluster: Path, socket_dir: Path) -> None:
    """Remove what a server that was killed left behind, once it is certain that none runs.

    PostgreSQL does so itself, except when the number of the dead process has meanwhile gone to
    another program, as after a reboot or in a new container: then it refuses to start for good.
    """
    pid_file = cluster / "postmaster.pid"

    def ask_to_end(at_work: set[int]) -> None:
        # Only the main process: the same signal means other things to its children.
        with suppress(OSError, ValueError, IndexError):
            main_pid = int(pid_file.read_text(encoding="ascii").splitlines()[0])
            if main_pid in at_work:
                os.kill(main_pid, signal.SIGINT)

    wait_until_unused(cluster, "postgres", ask_to_end, wait_seconds=ENDING[0][1])
    for leftover in (
        pid_file,
        socket_dir / ".s.PGSQL.5432",
        socket_dir / ".s.PGSQL.5432.lock",
    ):
        leftover.unlink(missing_ok=True)


def _superuser(socket_dir: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=str(socket_dir),
        user="postgres",
        dbname="postgres",
        autocommit=True,
        connect_timeout=10,
    )


def _ensure_database(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Make what is missing and take back what should not be; the same at every start."""
    known = {
        name
        for (name,) in connection.execute(
            "select rolname from pg_roles where rolname = any(%s)",
            [[OWNER_ROLE, APP_GROUP, APP_ROLE]],
        )
    }
    with connection.transaction():
        for role, attributes in (
            (APP_GROUP, "nologin nocreaterole"),
            (APP_ROLE, "login nocreaterole"),
            (OWNER_ROLE, "login createrole"),
        ):
            verb = "alter" if role in known else "create"
            connection.execute(
                f"{verb} role {role} with {attributes} "
                "nosuperuser nobypassrls nocreatedb noreplication"
            )
        connection.execute(f"grant {APP_GROUP} to {APP_ROLE}")
        # Without inherit: what the group may do must not widen what the owner sees.
        connection.execute(
            f"grant {APP_GROUP} to {OWNER_ROLE} with admin true, inherit false, set true"
        )
    exists = connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchone()
    if exists is None:
        connection.execute(
            f"create database {DATABASE} owner {OWNER_ROLE} encoding 'UTF8' template template0"
        )
    else:
        connection.execute(f"alter database {DATABASE} owner to {OWNER_ROLE}")
