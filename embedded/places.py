"""Where the servers keep data and sockets, and the small file in the home that says so.

    <home>/servers.lock     held by the process that owns the servers
    <home>/servers.json     says where the data and the sockets are
    <home>/postgres.log, valkey.log
    <data>/postgres, valkey, run (sockets), bin-* (copied programs, only if needed)

`<data>` is `<home>/servers` where the servers' account can go through the home, which is always
so for an ordinary user. Root's own home is closed to that account; then `<data>` is
`/var/lib/keepwell/<hash of home>`. Permissions of directories that were there before are never
changed.
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from embedded.account import Account
from engine.errors import EmbeddedServerFailed

_SYSTEM_DATA = Path("/var/lib/keepwell")
_STATE_FILE = "servers.json"

# A socket's whole path has to fit into 108 bytes (unix(7)); 100 leaves room for `.lock`.
_SOCKET_PATH_BYTES = 100
_LONGEST_SOCKET_NAME = ".s.PGSQL.5432"

# Everything else would need escaping in at least one of: a SQLAlchemy URL, a Redis URL (whose
# readers disagree about it), and PostgreSQL's comma-separated list of socket directories.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


@dataclass(frozen=True, slots=True)
class ServerState:
    """What one process tells another about the servers of a home.

    Attributes:
        data_dir: absolute, or relative to the home so that a home may be moved.
        socket_dir: absolute.
        ready: whether the servers accept work.
        has_redis: whether Valkey runs beside PostgreSQL.
        lasting: whether the owner is a service, which ends when a person ends it.
    """

    data_dir: str
    socket_dir: str
    ready: bool
    has_redis: bool
    lasting: bool = False


def default_home(environ: Mapping[str, str]) -> Path:
    """`KEEPWELL_HOME` if it is set and not empty, else `~/.local/share/keepwell`."""
    chosen = environ.get("KEEPWELL_HOME", "")
    user_home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    if not chosen:
        return user_home / ".local" / "share" / "keepwell"
    if chosen == "~" or chosen.startswith("~/"):
        return user_home / chosen[2:]
    return Path(chosen)


def prepared_home(home: Path) -> Path:
    """The absolute home, made if it is missing.

    A new home is closed to others; root's is open to go through, not to list, so that the
    servers' account reaches its data.

    Raises:
        EmbeddedServerFailed: it can't be made, or this process may not write to it.
    """
    home = home.expanduser().resolve()
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        _make_directory(home, 0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise EmbeddedServerFailed(
            f"The directory {home} for the embedded servers can't be made: {error.strerror}.",
            hint="Set KEEPWELL_HOME to a directory you can write to.",
        ) from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise EmbeddedServerFailed(
            f"The directory {home} for the embedded servers is not writable.",
            hint="Set KEEPWELL_HOME to a directory you can write to.",
        )
    return home


def existing_data_dir(home: Path) -> Path | None:
    """Where the data of this home are, or None before the first start.

    Raises:
        EmbeddedServerFailed: there were data and they are gone; an empty database in their place
            would hide the loss.
    """
    state = read_state(home)
    if state is None:
        candidates = (home / "servers", _system_data_dir(home))
        return next((path for path in candidates if (path / "postgres").is_dir()), None)
    data_dir = home / state.data_dir
    if not data_dir.is_dir():
        raise EmbeddedServerFailed(
            f"The embedded database of {home} was in {data_dir}, which does not exist.",
            hint=f"Restore it, or delete {home / _STATE_FILE} to begin with an empty database.",
        )
    return data_dir


def new_data_dir(home: Path, account: Account) -> Path:
    """A directory for the data which the servers' account can reach.

    Raises:
        EmbeddedServerFailed: neither the home nor /var/lib/keepwell will do.
    """
    inside_home = account.can_enter(home)
    data_dir = home / "servers" if inside_home else _system_data_dir(home)
    try:
        if not inside_home:
            _make_directory(_SYSTEM_DATA, 0o711)
        _make_directory(data_dir, 0o711 if account.switch else 0o700)
    except OSError as error:
        raise EmbeddedServerFailed(
            f"The directory {data_dir} for the embedded database can't be made: {error.strerror}.",
            hint=f"Set KEEPWELL_HOME to a directory which the account `{account.name}` can reach.",
        ) from error
    return data_dir


def checked_data_dir(data_dir: Path, account: Account) -> Path:
    """`data_dir` itself.

    Raises:
        EmbeddedServerFailed: the servers' account can't reach it.
    """
    if not account.can_enter(data_dir):
        raise EmbeddedServerFailed(
            f"The account `{account.name}` of the embedded servers can't reach {data_dir}.",
            hint="Open the directories above it to that account, or set KEEPWELL_HOME to another.",
        )
    return data_dir


def socket_dir_for(data_dir: Path, account: Account) -> Path:
    """A directory for the sockets, closed to all others, with a path short enough for a socket.

    Raises:
        EmbeddedServerFailed: none of the possible places will do, or the directory exists and is
            not the account's own.
    """
    short_name = "keepwell-" + _digest(data_dir)
    candidates = (
        data_dir / "run",
        Path(tempfile.gettempdir()).resolve() / short_name,
        Path("/tmp") / short_name,  # noqa: S108 - checked to be ours by private_directory
    )
    for path in candidates:
        if _fits_a_socket(path) and account.can_enter(path.parent):
            return private_directory(path, account)
    tried = ", ".join(map(str, candidates))
    raise EmbeddedServerFailed(
        f"There is no place for the sockets of the embedded servers; tried {tried}.",
        hint="Set TMPDIR or KEEPWELL_HOME to a directory with a short path.",
    )


def private_directory(path: Path, account: Account) -> Path:
    """`path` as a directory of mode 0700 that belongs to the account, made if missing.

    Raises:
        EmbeddedServerFailed: it exists as something else: a link, another's, or open to others.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
        if not private or found.st_uid != account.uid:
            raise EmbeddedServerFailed(
                f"{path} exists and is not a private directory of `{account.name}`; "
                "the embedded servers do not use it.",
                hint="See who made it, and remove it or set KEEPWELL_HOME to another directory.",
            ) from None
    else:
        if account.switch:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    return path


def read_state(home: Path) -> ServerState | None:
    """What the last owner wrote, or None before the first start.

    Raises:
        EmbeddedServerFailed: the file is there and can't be read.
    """
    path = home / _STATE_FILE
    try:
        return ServerState(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise EmbeddedServerFailed(
            f"{path}, which says where the embedded database is, can't be read: {error}.",
            hint='Correct it; "data_dir" is the directory that contains `postgres`.',
        ) from error


def write_state(home: Path, state: ServerState) -> None:
    """Replace the file in one step, so that a reader sees the old or the new one."""
    draft = home / f"{_STATE_FILE}.new"
    draft.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    draft.replace(home / _STATE_FILE)


def stored_form(data_dir: Path, home: Path) -> str:
    """`data_dir` as `ServerState` keeps it: relative where it lies inside the home."""
    return str(data_dir.relative_to(home) if data_dir.is_relative_to(home) else data_dir)


def _make_directory(path: Path, mode: int) -> None:
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        path.chmod(mode)  # mkdir's mode would be cut by the umask


def _fits_a_socket(directory: Path) -> bool:
    length_bytes = len(os.fsencode(directory / _LONGEST_SOCKET_NAME))
    return length_bytes < _SOCKET_PATH_BYTES and bool(_PLAIN_PATH.fullmatch(str(directory)))


def _system_data_dir(home: Path) -> Path:
    return _SYSTEM_DATA / _digest(home)


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
