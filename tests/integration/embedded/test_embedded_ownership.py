"""Several processes, and owners that end badly."""

import os
import pwd
import threading

import pytest

from embedded.servers import EmbeddedServers
from engine.errors import EmbeddedServerFailed

pytestmark = pytest.mark.integration

OWNER = """
import json, sys
from pathlib import Path
from embedded.servers import EmbeddedServers
servers = EmbeddedServers.start(Path(sys.argv[1]))
print(json.dumps({"pids": servers.process_ids, "owns": servers.owns_servers}), flush=True)
sys.stdin.read()
"""

FORKING_OWNER = """
import json, os, signal, sys
from pathlib import Path
from embedded.servers import EmbeddedServers
servers = EmbeddedServers.start(Path(sys.argv[1]))
has_stopped, stopped = os.pipe()
fork = os.fork()
if fork == 0:
    servers.stop()
    os.write(stopped, b"1")
    signal.pause()
os.read(has_stopped, 1)
print(json.dumps({"pids": servers.process_ids, "fork": fork}), flush=True)
sys.stdin.read()
"""

SERVICE = """
import json, logging, sys
from pathlib import Path
from embedded.servers import EmbeddedServers
class Told(logging.Handler):
    def emit(self, record):
        print(json.dumps({"told": record.getMessage()}), flush=True)
logging.getLogger("embedded.servers").addHandler(Told())
servers = EmbeddedServers.start(Path(sys.argv[1]), lasting=True)
print(json.dumps({"pids": servers.process_ids, "owns": servers.owns_servers}), flush=True)
sys.stdin.read()
"""

# What a later import would need is imported as root: the interpreter may live in root's home.
ORDINARY_USER = """
import json, os, sys
from pathlib import Path
import psycopg
from embedded.binaries import installed_binaries
from embedded.servers import EmbeddedServers
installed_binaries()
try:
    psycopg.connect("host=/nowhere")
except psycopg.OperationalError:
    pass
os.setgroups([])
os.setgid(int(sys.argv[3]))
os.setuid(int(sys.argv[2]))
home = Path(sys.argv[1])
counts = []
for _ in range(2):
    with EmbeddedServers.start(home) as servers:
        url = servers.owner_database_url.replace("postgresql+psycopg", "postgresql")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table if not exists visit (id int)")
            connection.execute("insert into visit values (1)")
            counts.append(connection.execute("select count(*) from visit").fetchone()[0])
print(json.dumps({
    "counts": counts,
    "redis": servers.redis_url is not None,
    "owners": sorted({path.stat().st_uid for path in home.rglob("*")}),
    "data_dir": str(servers.data_dir),
}), flush=True)
"""


def test_servers_end_with_an_owner_that_is_killed_and_committed_rows_stay(
    home, run_script, query, wait_until, is_alive
):
    owner = run_script(OWNER, home)
    url = EmbeddedServers.start(home).owner_database_url
    query(url, "create table visit as select 42 as number")
    assert all(is_alive(pid) for pid in owner.said["pids"])

    owner.kill()

    wait_until(lambda: not any(is_alive(pid) for pid in owner.said["pids"]))
    with EmbeddedServers.start(home) as servers:
        assert servers.owns_servers
        assert query(servers.owner_database_url, "select number from visit") == [(42,)]


def test_a_start_right_after_the_owner_was_killed_waits_for_its_servers(home, run_script, query):
    for _ in range(3):
        owner = run_script(OWNER, home)
        owner.kill()
        with EmbeddedServers.start(home) as servers:
            assert servers.owns_servers
            assert query(servers.app_database_url, "select 1") == [(1,)]
            assert servers.redis_url is not None


def test_a_service_does_not_rely_on_the_servers_of_a_command_that_will_end(home, run_script, query):
    command = run_script(OWNER, home)
    service = run_script(SERVICE, home)
    assert "waits for another command to end" in service.said["told"]

    command.process.stdin.close()
    command.process.wait(30)
    assert service.ready().said["owns"]

    second = EmbeddedServers.start(home, lasting=True)  # a worker beside the API
    assert not second.owns_servers
    assert query(second.app_database_url, "select 1") == [(1,)]


def test_a_second_process_uses_the_running_servers_and_does_not_end_them(
    home, run_script, query, is_alive
):
    owner = run_script(OWNER, home)
    assert owner.said["owns"]
    with EmbeddedServers.start(home) as servers:
        assert not servers.owns_servers
        assert servers.process_ids == ()
        assert servers.redis_url is not None
        assert query(servers.app_database_url, "select 1") == [(1,)]
    assert all(is_alive(pid) for pid in owner.said["pids"])
    assert query(servers.app_database_url, "select 1") == [(1,)]


def test_processes_that_start_together_share_one_pair_of_servers(home, begin_script):
    scripts = [begin_script(OWNER, home) for _ in range(3)]
    said = [script.ready().said for script in scripts]
    assert sorted(one["owns"] for one in said) == [False, False, True]


def test_a_database_process_that_is_killed_recovers_at_the_next_start(
    home, query, wait_until, is_alive
):
    with EmbeddedServers.start(home) as servers:
        query(servers.owner_database_url, "create table visit as select 42 as number")
        postgres_pid = servers.process_ids[0]
        os.kill(postgres_pid, 9)
        wait_until(lambda: not is_alive(postgres_pid))
    with EmbeddedServers.start(home) as servers:
        assert query(servers.owner_database_url, "select number from visit") == [(42,)]


def test_a_fork_of_the_owner_neither_ends_the_servers_nor_keeps_the_home(home, run_script, query):
    owner = run_script(FORKING_OWNER, home)
    try:
        with EmbeddedServers.start(home) as attached:
            assert not attached.owns_servers
            assert query(attached.app_database_url, "select 1") == [(1,)]
        owner.kill()
        with EmbeddedServers.start(home) as servers:
            assert servers.owns_servers
    finally:
        os.kill(owner.said["fork"], 9)


def test_only_the_main_thread_may_become_the_owner(home):
    failures = []

    def start() -> None:
        try:
            EmbeddedServers.start(home).stop()
        except EmbeddedServerFailed as failure:
            failures.append(failure)

    thread = threading.Thread(target=start, name="side")
    thread.start()
    thread.join()
    assert "main thread" in failures[0].message
    with EmbeddedServers.start(home) as servers:
        assert servers.owns_servers


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_an_ordinary_user_runs_everything_below_the_home(home, run_script):
    nobody = pwd.getpwnam("nobody")
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    script = run_script(ORDINARY_USER, home, nobody.pw_uid, nobody.pw_gid)
    assert script.said == {
        "counts": [1, 2],
        "redis": True,
        "owners": [nobody.pw_uid],
        "data_dir": str(home / "servers"),
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_root_uses_the_servers_of_an_ordinary_user_as_that_user(home, run_script, query):
    nobody = pwd.getpwnam("nobody")
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    run_script(ORDINARY_USER, home, nobody.pw_uid, nobody.pw_gid).process.wait(30)
    with EmbeddedServers.start(home) as servers:
        assert query(servers.owner_database_url, "select count(*) from visit") == [(2,)]
        assert (servers.data_dir / "postgres" / "postmaster.pid").stat().st_uid == nobody.pw_uid
