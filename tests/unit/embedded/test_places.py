import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.account import Account, server_account
from embedded.places import (
    ServerState,
    default_home,
    existing_data_dir,
    prepared_home,
    private_directory,
    read_state,
    socket_dir_for,
    stored_form,
    write_state,
)
from engine.errors import EmbeddedServerFailed

ME = Account("me", os.geteuid(), os.getegid(), switch=False)
STATE = ServerState("servers", "/tmp/sockets", ready=True, has_redis=False)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/ann"}, "/home/ann/.local/share/keepwell"),
        ({"HOME": "/home/ann", "KEEPWELL_HOME": ""}, "/home/ann/.local/share/keepwell"),
        ({"HOME": "/home/ann", "KEEPWELL_HOME": "/data"}, "/data"),
        ({"HOME": "/home/ann", "KEEPWELL_HOME": "~/kw"}, "/home/ann/kw"),
        ({"HOME": "/home/ann", "KEEPWELL_HOME": "~"}, "/home/ann"),
    ],
)
def test_the_home_is_chosen_by_the_environment(environ, expected):
    assert default_home(environ) == Path(expected)


def test_a_new_home_is_closed_and_an_existing_one_keeps_its_mode(tmp_path):
    new = prepared_home(tmp_path / "a" / "b")
    assert new.stat().st_mode & 0o066 == 0
    existing = tmp_path / "existing"
    existing.mkdir()
    existing.chmod(0o750)
    assert prepared_home(existing).stat().st_mode & 0o777 == 0o750


def test_a_file_in_the_place_of_the_home_is_refused(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(EmbeddedServerFailed, match="can't be made"):
        prepared_home(tmp_path / "home")


def test_what_the_owner_writes_the_next_process_reads(tmp_path):
    assert read_state(tmp_path) is None
    write_state(tmp_path, STATE)
    assert read_state(tmp_path) == STATE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"data_dir": "servers"}'])
def test_an_unreadable_note_is_an_error_and_not_an_empty_home(tmp_path, text):
    (tmp_path / "servers.json").write_text(text)
    with pytest.raises(EmbeddedServerFailed, match=r"servers\.json"):
        read_state(tmp_path)


def test_data_inside_the_home_are_noted_relative_to_it(tmp_path):
    assert stored_form(tmp_path / "servers", tmp_path) == "servers"
    assert stored_form(Path("/var/lib/keepwell/x"), tmp_path) == "/var/lib/keepwell/x"


def test_data_are_found_even_if_the_note_is_gone(tmp_path):
    assert existing_data_dir(tmp_path) is None
    (tmp_path / "servers" / "postgres").mkdir(parents=True)
    assert existing_data_dir(tmp_path) == tmp_path / "servers"


def test_sockets_lie_with_the_data_where_the_path_is_short_and_plain(tmp_path):
    short = tmp_path / "d"
    short.mkdir()
    assert socket_dir_for(short, ME) == short / "run"


@given(name=st.text(alphabet=string.ascii_letters + " ,%&?#ü'\"", min_size=1, max_size=120))
def test_a_socket_path_is_always_short_and_needs_no_escaping(name, tmp_path_factory):
    data_dir = tmp_path_factory.getbasetemp() / name
    data_dir.mkdir(exist_ok=True)
    socket_dir = socket_dir_for(data_dir, ME)
    socket_dir.rmdir()
    assert len(os.fsencode(socket_dir / ".s.PGSQL.5432")) < 100
    assert set(str(socket_dir)) <= set(string.ascii_letters + string.digits + "/._-")


def test_a_directory_that_others_could_have_prepared_is_refused(tmp_path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(private_directory(tmp_path / "mine", ME))
    file = tmp_path / "file"
    file.write_text("")
    for path in (open_to_all, link, file):
        with pytest.raises(EmbeddedServerFailed, match="not a private directory"):
            private_directory(path, ME)
    stranger = Account("stranger", ME.uid + 1, ME.gid, switch=False)
    with pytest.raises(EmbeddedServerFailed, match="not a private directory"):
        private_directory(tmp_path / "mine", stranger)
    assert private_directory(tmp_path / "mine", ME) == tmp_path / "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root changes to the owner of the data")
def test_an_ordinary_user_does_not_touch_data_of_another():
    with pytest.raises(EmbeddedServerFailed, match="belongs to user id"):
        server_account(os.geteuid() + 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the servers as itself")
def test_root_never_runs_the_servers_as_root():
    assert server_account(None).uid != 0
    assert server_account(0).uid != 0
    assert server_account(65534).uid == 65534
    with pytest.raises(EmbeddedServerFailed, match="no account here"):
        server_account(4_000_000_000)
