"""A live CRM on a host platform, in a database of its own, and what pg_dump says of it."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, cast
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from embedded.binaries import installed_binaries
from store.crm_contract import CRM_TABLES

HERE = Path(__file__).parent
CRM_SQL = HERE.parents[2] / "migrations" / "sql" / "0001_crm.sql"
NORTH = UUID("aaaaaaaa-0000-4000-8000-00000000000a")
SOUTH = UUID("bbbbbbbb-0000-4000-8000-00000000000b")
ANN_OF_NORTH = UUID("aaaaaaaa-0000-4000-8000-000000000001")
BOB_OF_SOUTH = UUID("bbbbbbbb-0000-4000-8000-000000000002")

# one object as pg_dump writes it: '-- Name: ...; Type: ...' and its statements
_OBJECT = re.compile(r"^-- Name: (?P<name>.*?); Schema: (?P<schema>.*?);.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """One database of the embedded server."""

    socket_dir: Path
    name: str

    def url(self, role: str) -> str:
        return f"postgresql+psycopg://{role}@/{self.name}?host={self.socket_dir}"

    def connect(self, role: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=str(self.socket_dir), user=role, dbname=self.name, autocommit=True
        )

    @contextmanager
    def signed_in(self, user: UUID) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """As the host platform runs a user's queries; kept on leaving."""
        with self.connect() as connection, connection.transaction():
            connection.execute("SET LOCAL ROLE signed_in")
            connection.execute("SELECT set_config('request.jwt.claim.sub', %s, true)", [str(user)])
            yield connection

    def run(self, statements: str, role: str = "postgres") -> None:
        with self.connect(role) as connection:
            connection.execute(cast("LiteralString", statements))

    def rows(self, query: str, role: str = "postgres") -> list[tuple[Any, ...]]:
        with self.connect(role) as connection:
            return connection.execute(cast("LiteralString", query)).fetchall()

    def tool(self, program: str, *options: str, stdin: str | None = None) -> str:
        """The output of a PostgreSQL program on this database."""
        done = subprocess.run(
            [
                installed_binaries().postgres_install / "bin" / program,
                *("--host", self.socket_dir, "--username", "postgres", "--dbname", self.name),
                *options,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def new_place(socket_dir: Path, owner: str) -> Place:
    """An empty database of this owner."""
    place = Place(socket_dir, f"t_{uuid4().hex[:12]}")
    with Place(socket_dir, "postgres").connect() as connection:
        for role, rights in (("crm_owner", "LOGIN CREATEROLE"), ("signed_in", "NOLOGIN")):
            known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
            if known.fetchone() is None:
                connection.execute(cast("LiteralString", f"CREATE ROLE {role} {rights}"))
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(
                sql.Identifier(place.name), sql.Identifier(owner)
            )
        )
    return place


def drop_place(place: Place) -> None:
    with Place(place.socket_dir, "postgres").connect() as connection:
        connection.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(place.name))
        )


def install_host_crm(place: Place) -> None:
    """The CRM as it lives on its host platform, with the rows of two tenants."""
    place.run((HERE / "host_auth.sql").read_text(encoding="utf-8"))
    own_ids = (
        "CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql VOLATILE "
        "AS 'SELECT gen_random_uuid()';"
    )
    tables = CRM_SQL.read_text(encoding="utf-8").replace("gen_random_uuid()", "uuid_generate_v4()")
    platform = (HERE / "host_platform.sql").read_text(encoding="utf-8")
    place.run(f"{own_ids}\n{tables}\n{platform}", role="crm_owner")
    place.run((HERE / "host_rows.sql").read_text(encoding="utf-8"))


def dumped_objects(place: Place) -> dict[str, set[str]]:
    """Every object of the database with its statements, as pg_dump writes them.

    Keys read like 'public crm_contacts Type: TABLE'.
    """
    text, _, _ = place.tool("pg_dump", "--schema-only").partition("-- PostgreSQL database dump com")
    marks = list(_OBJECT.finditer(text))
    found: dict[str, set[str]] = {}
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        body = text[mark.end() : following.start() if following else len(text)]
        statements = {s.strip() for s in re.split(r";\n", body) if s.strip(" -\n")}
        key = f"{mark['schema']} {mark['name']}"
        found.setdefault(key, set()).update(statements)
    return found


def dumped_rows(place: Place) -> str:
    """The rows of the CRM's tables, as pg_dump writes them."""
    tables = [f"--table=public.{name}" for name in CRM_TABLES]
    text = place.tool("pg_dump", "--data-only", "--inserts", *tables)
    return "\n".join(sorted(line for line in text.splitlines() if line.startswith("INSERT")))
