"""Who a function is told to be."""

from __future__ import annotations

import os

import pytest

from microfaas.pool import identity

UID = 0x70001234


def contents(user: int | None, hosts: str | None = None) -> dict[str, list[list[str]]]:
    """The files by path, their lines in fields."""
    made = identity.files(user, hosts)
    assert not any(file.private for file in made)
    return {
        file.path: [line.split(":") for line in file.content.decode().splitlines()] for file in made
    }


def test_it_has_a_name_a_group_and_a_home_that_can_be_written_to() -> None:
    made = contents(UID)
    root, own, nobody = made["/etc/passwd"]
    assert own == [identity.NAME, "x", str(UID), str(UID), "", "/tmp", "/sbin/nologin"]
    assert (root[0], root[2]) == ("root", "0")
    assert (nobody[0], nobody[2]) == ("nobody", "65534")
    assert made["/etc/group"] == [
        ["root", "x", "0", ""],
        [identity.NAME, "x", str(UID), ""],
        ["nobody", "x", "65534", ""],
    ]


def test_nobody_can_log_in_and_no_password_is_there() -> None:
    for line in contents(UID)["/etc/passwd"]:
        assert (line[1], line[6]) == ("x", "/sbin/nologin")


def test_without_a_user_of_its_own_it_is_who_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "getgid", lambda: 100)
    made = contents(None)
    assert made["/etc/passwd"][1][:4] == [identity.NAME, "x", "1000", "100"]
    assert made["/etc/group"][1] == [identity.NAME, "x", "100", ""]


def test_root_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(os, "getgid", lambda: 0)
    assert [line[0] for line in contents(None)["/etc/passwd"]] == ["root", "nobody"]


def test_hosts_are_those_of_its_own_network() -> None:
    assert "/etc/hosts" not in contents(UID)
    made = identity.files(UID, "127.0.0.1 localhost\n198.18.0.1 db\n")
    assert made[-1].path == "/etc/hosts"
    assert made[-1].content == b"127.0.0.1 localhost\n198.18.0.1 db\n"
