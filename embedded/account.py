"""Which operating-system account the servers run as; PostgreSQL refuses to run as root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EmbeddedServerFailed

# Tried in this order; no account is ever added to the system. `postgres` first, because other
# programs run as `nobody` too and could read what belongs to it.
_UNPRIVILEGED_NAMES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An existing account.

    Attributes:
        switch: whether this process is root and has to change to the account.
    """

    name: str
    uid: int
    gid: int
    switch: bool

    @property
    def popen_user(self) -> int | None:
        return self.uid if self.switch else None

    @property
    def popen_group(self) -> int | None:
        return self.gid if self.switch else None

    @property
    def popen_extra_groups(self) -> list[int] | None:
        return [] if self.switch else None

    def can_enter(self, path: Path) -> bool:
        """Whether the account may execute the file, or go through the directory, at `path`."""
        if not self.switch:
            return os.access(path, os.X_OK)
        # Asked of the kernel as that account: mode bits alone miss ACLs and mount options.
        outcome = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$0"', str(path)],
            user=self.popen_user,
            group=self.popen_group,
            extra_groups=self.popen_extra_groups,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return outcome.returncode == 0


def server_account(data_owner_uid: int | None) -> Account:
    """The account to run the servers as.

    An ordinary user is that account. Root changes to the owner of the data there already is, else
    to `postgres`, else to `nobody`.

    Args:
        data_owner_uid: owner of an existing database directory; None before the first start.

    Raises:
        EmbeddedServerFailed: the data belong to someone else, or root finds no account to use.
    """
    uid = os.geteuid()
    if uid != 0:
        if data_owner_uid not in {None, uid}:
            raise EmbeddedServerFailed(
                f"The embedded database belongs to user id {data_owner_uid}, "
                f"and this process runs as user id {uid}.",
                hint="Run the command as that user, or set KEEPWELL_HOME to a directory of yours.",
            )
        return Account(_name_of(uid), uid, os.getegid(), switch=False)
    if data_owner_uid:
        return _account(data_owner_uid)
    for name in _UNPRIVILEGED_NAMES:
        try:
            return _account(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    raise EmbeddedServerFailed(
        "PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to use.",
        hint="Run the command as an ordinary user, or set KEEPWELL_DATABASE_URL to a server.",
    )


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedServerFailed(
            f"The embedded database belongs to user id {uid}, which has no account here.",
            hint="Give the data to an existing account, or set KEEPWELL_DATABASE_URL to a server.",
        ) from None
    return Account(entry.pw_name, uid, entry.pw_gid, switch=True)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
