"""Users of functions' own: which, and becoming one."""

from __future__ import annotations

import errno
import os

import pytest
from child import ROOT, UID, as_root, run
from hypothesis import given
from hypothesis import strategies as st

from microfaas.linux import syscalls as sys
from microfaas.linux import users
from microfaas.linux.users import UID_BASE, UID_RANGE, uid_of

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-_0123456789", min_size=1, max_size=64)


@given(NAMES, st.text(max_size=20))
def test_a_uid_is_always_the_same_and_in_range(name: str, data_dir: str) -> None:
    uid = uid_of(name, data_dir)
    assert uid == uid_of(name, data_dir)
    assert UID_BASE <= uid < UID_BASE + UID_RANGE


@given(st.lists(NAMES, unique=True, max_size=50))
def test_functions_differ(names: list[str]) -> None:
    taken: list[int] = []
    for name in names:
        taken.append(uid_of(name, "/data", taken))
    assert len(set(taken)) == len(names)


def test_servers_differ() -> None:
    assert uid_of("f", "/a") != uid_of("f", "/b")


def test_where_two_collide_the_next_free_one_is_taken() -> None:
    uid = uid_of("f", "/data")
    assert uid_of("f", "/data", [uid]) == uid + 1
    assert uid_of("f", "/data", [uid, uid + 1]) == uid + 2


def test_after_the_last_one_comes_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "UID_RANGE", 2)
    first = uid_of("f", "/data")
    second = uid_of("f", "/data", [first])
    assert {first, second} == {UID_BASE, UID_BASE + 1}


def test_no_id_is_a_systems() -> None:
    """Neither a person's, nor a container's or systemd's (up to 0x6fffffff), nor negative."""
    assert UID_BASE > 0x6FFFFFFF
    assert UID_BASE + UID_RANGE < 0x7FFFFFFF


@as_root
def test_who_has_become_somebody_stays_so() -> None:
    def act() -> object:
        users.become(UID)
        for back in (os.setuid, os.setgid):
            with pytest.raises(PermissionError):
                back(0)
        return os.getresuid(), os.getresgid(), os.getgroups()

    assert run(act) == ((UID,) * 3, (UID,) * 3, [])


def test_in_a_user_namespace_one_stays_who_one_is() -> None:
    def act() -> object:
        uid, gid = os.geteuid(), os.getegid()
        directory = users.open_process()
        sys.unshare(sys.CLONE_NEWUSER)
        users.map_one(directory, uid, gid)
        os.close(directory)
        assert (os.geteuid(), os.getegid()) == (uid, gid)
        with pytest.raises(PermissionError):
            os.setgroups([])
        try:
            return os.setresuid(uid + 1, uid + 1, uid + 1)
        except OSError as error:
            return error.errno

    assert run(act) == errno.EINVAL


def test_files_of_others_belong_to_nobody_there() -> None:
    def act() -> int:
        uid, gid = (UID, UID) if ROOT else (os.geteuid(), os.getegid())
        if ROOT:
            users.become(UID)
            # What has changed its user may not write to its own files in /proc.
            sys.prctl(sys.PR_SET_DUMPABLE, 1)
        directory = users.open_process()
        sys.unshare(sys.CLONE_NEWUSER)
        users.map_one(directory, uid, gid)
        return os.stat("/").st_uid

    assert run(act) == 65534


def test_the_directory_in_proc_is_closed_for_programs() -> None:
    directory = users.open_process()
    assert not os.get_inheritable(directory)
    assert "Name:" in os.read(os.open("status", os.O_RDONLY, dir_fd=directory), 4096).decode()
    os.close(directory)


@as_root
def test_others_cannot_be_signalled() -> None:
    def act() -> None:
        users.become(UID)
        with pytest.raises(PermissionError):
            os.kill(os.getppid(), 0)

    run(act)
