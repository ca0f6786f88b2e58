"""One owner: starting, stopping, starting again, and what can be in the way."""

import os
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import NullPool, create_engine, text

from embedded.binaries import installed_binaries
from embedded.servers import EmbeddedServers, temporary_servers
from engine.errors import EmbeddedServerFailed

pytestmark = pytest.mark.integration

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")


def test_rows_and_keys_survive_a_stop_and_a_start(home, query, is_alive):
    with EmbeddedServers.start(home) as first:
        query(first.owner_database_url, "create table visit as select 42 as number")
        with redis.Redis.from_url(first.redis_url) as client:
            client.set("visits", "7")
        first_processes = first.process_ids
    assert len(first_processes) == 2
    assert not any(is_alive(pid) for pid in first_processes)

    with EmbeddedServers.start(home) as second:
        assert query(second.owner_database_url, "select number from visit") == [(42,)]
        with redis.Redis.from_url(second.redis_url) as client:
            assert client.get("visits") == b"7"
        assert second.data_dir == home / "servers"


def test_sqlalchemy_understands_both_addresses(home):
    with EmbeddedServers.start(home) as servers:
        roles = []
        for url in (servers.owner_database_url, servers.app_database_url):
            engine = create_engine(url, poolclass=NullPool)
            with engine.connect() as connection:
                roles.append(
                    connection.execute(text("select current_user, current_database()")).one()
                )
            engine.dispose()
    assert roles == [("keepwell_owner", "keepwell"), ("keepwell", "keepwell")]


def test_no_role_of_the_product_can_get_around_row_level_security(home, query):
    with EmbeddedServers.start(home) as servers:
        roles = query(
            servers.app_database_url,
            "select rolname, rolcanlogin, rolcreaterole, rolsuper or rolbypassrls or rolcreatedb"
            " or rolreplication from pg_roles where rolname like 'keepwell%' order by rolname",
        )
    assert roles == [
        ("keepwell", True, False, False),
        ("keepwell_app", False, False, False),
        ("keepwell_owner", True, True, False),
    ]


def test_rights_given_by_hand_are_taken_back_at_the_next_start(home, query):
    with EmbeddedServers.start(home) as servers:
        superuser = servers.app_database_url.replace("//keepwell@", "//postgres@")
        query(superuser, "alter role keepwell bypassrls superuser")
    with EmbeddedServers.start(home) as servers:
        rights = "select rolsuper, rolbypassrls from pg_roles where rolname = 'keepwell'"
        assert query(servers.app_database_url, rights) == [(False, False)]


def test_the_owner_role_grants_to_the_app_role_and_the_app_sees_only_that(home, query):
    with EmbeddedServers.start(home) as servers:
        owner, app = servers.owner_database_url, servers.app_database_url
        query(owner, "create schema crm")
        query(owner, "create table crm.contact as select 1 as id")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(app, "select id from crm.contact")
        query(owner, "grant usage on schema crm to keepwell_app")
        query(owner, "grant select on crm.contact to keepwell_app")
        assert query(app, "select id from crm.contact") == [(1,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(app, "create table public.mine (id int)")
        query(owner, "create role keepwell_reader nologin")
        query(owner, "grant keepwell_app to keepwell_reader")


def test_the_database_keeps_utc_and_utf8_and_is_crash_safe(home, query):
    with EmbeddedServers.start(home) as servers:
        settings = query(
            servers.app_database_url,
            "select current_setting('timezone'), current_setting('server_encoding'),"
            " current_setting('fsync'), current_setting('listen_addresses'), upper('é')",
        )
    assert settings == [("UTC", "UTF8", "on", "", "É")]


def test_stopping_twice_leaves_nothing_behind(home, is_alive):
    servers = EmbeddedServers.start(home)
    servers.stop()
    servers.stop()
    assert not any(is_alive(pid) for pid in servers.process_ids)
    assert not servers.socket_dir.exists()
    assert not (servers.data_dir / "postgres" / "postmaster.pid").exists()


def test_directories_that_were_there_keep_their_modes(home):
    home.mkdir(mode=0o755)
    before = [stat.S_IMODE(path.stat().st_mode) for path in (home, *home.parents)]
    with EmbeddedServers.start(home) as servers:
        inside = {
            name: stat.S_IMODE((servers.data_dir / name).stat().st_mode)
            for name in ("postgres", "valkey", "run")
        }
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home, *home.parents)] == before
    assert inside == {"postgres": 0o700, "valkey": 0o700, "run": 0o700}
    assert stat.S_IMODE((home / "postgres.log").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["long/" * 30 + "home", "a home, with ünusual % signs"])
def test_a_home_that_no_socket_could_live_in_works(home, query, name):
    with EmbeddedServers.start(home / name) as servers:
        assert query(servers.app_database_url, "select 1") == [(1,)]
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.ping()
        assert not servers.socket_dir.is_relative_to(home)
    assert not servers.socket_dir.exists()


def test_the_number_of_a_dead_server_may_belong_to_another_program(home, query):
    with EmbeddedServers.start(home) as servers:
        cluster = servers.data_dir / "postgres"
    server_uid = cluster.stat().st_uid
    other = subprocess.Popen(
        ["sleep", "600"], cwd="/", user=server_uid if os.geteuid() == 0 else None
    )
    try:
        (cluster / "postmaster.pid").write_text(f"{other.pid}\n{cluster}\n1700000000\n5432\n")
        with EmbeddedServers.start(home) as servers:
            assert query(servers.app_database_url, "select 1") == [(1,)]
        assert other.poll() is None, "the other program is not ours to end"
    finally:
        other.kill()
        other.wait()


def test_an_interrupted_first_start_is_begun_again(home, query):
    abandoned = home / "servers" / "postgres.new-abandoned"
    abandoned.mkdir(parents=True)
    (abandoned / "PG_VERSION").write_text("18\n")
    (home / "servers").chmod(0o711)
    home.chmod(0o711)
    with EmbeddedServers.start(home) as servers:
        assert query(servers.app_database_url, "select 1") == [(1,)]
    assert not abandoned.exists()


def test_without_valkey_the_database_serves_and_one_line_says_so(home, query, caplog):
    for valkey_server in (None, Path("/bin/false")):
        caplog.clear()
        binaries = replace(installed_binaries(), valkey_server=valkey_server)
        with EmbeddedServers.start(home, binaries=binaries) as servers:
            assert servers.redis_url is None
            assert query(servers.app_database_url, "select 1") == [(1,)]
            assert len(servers.process_ids) == 1
        assert [record.message.split(";")[0] for record in caplog.records] == [
            "Running without Redis"
        ]


def test_a_database_that_can_not_start_says_why_and_frees_the_home(home, query):
    with EmbeddedServers.start(home) as servers:
        broken = servers.data_dir / "postgres" / "postgresql.auto.conf"
    broken.write_text("work_mem = 'plenty'\n")
    with pytest.raises(EmbeddedServerFailed, match="work_mem") as failure:
        EmbeddedServers.start(home)
    assert str(home / "postgres.log") in failure.value.hint
    broken.write_text("")
    with EmbeddedServers.start(home) as servers:
        assert servers.owns_servers
        assert query(servers.app_database_url, "select 1") == [(1,)]


def test_lost_data_are_reported_and_not_replaced_by_an_empty_database(home):
    with EmbeddedServers.start(home) as servers:
        data_dir = servers.data_dir
    shutil.rmtree(data_dir)
    with pytest.raises(EmbeddedServerFailed, match="does not exist"):
        EmbeddedServers.start(home)


def test_a_moved_home_takes_its_data_along(home, query):
    with EmbeddedServers.start(home) as servers:
        query(servers.owner_database_url, "create table visit as select 42 as number")
    moved = home.rename(home.with_name("moved"))
    with EmbeddedServers.start(moved) as servers:
        assert query(servers.owner_database_url, "select number from visit") == [(42,)]


def test_temporary_servers_leave_no_file(query, is_alive):
    with temporary_servers() as servers:
        query(servers.owner_database_url, "create table visit (id int)")
        assert servers.redis_url is not None
    assert not servers.home.exists()
    assert not servers.data_dir.exists()
    assert not any(is_alive(pid) for pid in servers.process_ids)


@needs_root
def test_data_of_a_home_closed_to_the_server_account_lie_where_the_home_says(home, query):
    parent = home.parent
    parent.chmod(0o700)
    data_dir = None
    try:
        with EmbeddedServers.start(home) as servers:
            data_dir = servers.data_dir
            query(servers.owner_database_url, "create table visit as select 42 as number")
        assert data_dir.parent == Path("/var/lib/keepwell")
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700
        parent.chmod(0o711)  # the data stay where they are
        with EmbeddedServers.start(home) as servers:
            assert servers.data_dir == data_dir
            assert query(servers.owner_database_url, "select number from visit") == [(42,)]
    finally:
        if data_dir is not None:
            shutil.rmtree(data_dir)
            with suppress(OSError):  # other homes may have their data there
                data_dir.parent.rmdir()


@needs_root
def test_programs_out_of_the_server_accounts_reach_are_copied(home, query):
    installed = installed_binaries()
    closed = home.parent / "closed"
    closed.mkdir(mode=0o700)
    package = installed.postgres_install.parent
    for directory in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(directory, closed / directory.name, symlinks=True)
    binaries = replace(
        installed,
        postgres_install=closed / package.name / installed.postgres_install.name,
        valkey_server=Path(shutil.copy2(installed.valkey_server, closed)),
    )
    for _ in range(2):
        with EmbeddedServers.start(home, binaries=binaries) as servers:
            assert query(servers.app_database_url, "select 1") == [(1,)]
            assert servers.redis_url is not None
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert sorted(path.name for path in servers.data_dir.glob("bin-*")) == [
        f"bin-postgres-{installed.postgres_version}",
        "bin-valkey-server",
    ]
