"""`microfaas secrets`: values go in by stdin or unseen, and nothing brings them out again."""

from __future__ import annotations

import json
import os
import pty
from pathlib import Path

import pytest
from cli_world import PROGRAM, ROOT, run

from microfaas.store.db import Database
from microfaas.store.machine_key import MachineKey
from microfaas.store.secrets import SecretStore

VALUE = "correct horse"


def stored(name: str, data: str = ".microfaas") -> bytes | None:
    database = Database.reader(f"{data}/microfaas.db")
    try:
        return SecretStore(database, MachineKey.load(f"{data}/machine.key")).find(name)
    finally:
        database.close()


def test_set_takes_every_byte_of_stdin() -> None:
    result = run("secrets", "set", "db", stdin=b"\x00\xff\n")
    assert (result.exit_code, result.stdout) == (0, "")
    assert stored("db") == b"\x00\xff\n"


def test_set_uses_the_data_directory_it_is_told() -> None:
    assert run("secrets", "set", "db", "--data", "elsewhere", stdin=b"x").exit_code == 0
    assert stored("db", "elsewhere") == b"x"


def test_set_works_beside_a_server() -> None:
    server = Database(".microfaas/microfaas.db")
    server.open()
    try:
        assert run("secrets", "set", "db", stdin=VALUE.encode()).exit_code == 0
        key = MachineKey.load(".microfaas/machine.key")
        assert SecretStore(server, key).find("db") == VALUE.encode()
    finally:
        server.close()


def test_set_asks_on_a_terminal_and_shows_nothing() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(PROGRAM[0], [*PROGRAM, "secrets", "set", "db"])
    shown = b""
    for question in (b"Value of db: ", b"confirmation: "):
        while question not in shown:
            shown += os.read(terminal, 1024)
        os.write(terminal, VALUE.encode() + b"\n")
    while b"is stored" not in shown:
        shown += os.read(terminal, 1024)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert VALUE.encode() not in shown
    assert stored("db") == VALUE.encode()


def test_set_refuses_a_value_among_the_arguments_without_repeating_it() -> None:
    result = run("secrets", "set", "db", VALUE)
    assert result.exit_code == 2
    assert "stdin" in result.stderr
    assert VALUE not in result.output
    assert not Path(".microfaas").exists()


@pytest.mark.parametrize("value", [b"", b"x" * 70_000])
def test_set_refuses_what_no_function_could_be_given(value: bytes) -> None:
    result = run("secrets", "set", "db", stdin=value)
    assert result.exit_code == 100
    assert "cannot store the secret db" in result.stderr


def test_list_has_names_and_dates_only() -> None:
    for name in ("b", "a"):
        run("secrets", "set", name, stdin=VALUE.encode())
    result = run("secrets", "list")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["SECRET", "a", "b"]
    listed = json.loads(run("secrets", "list", "--json").stdout)["secrets"]
    assert [[*row] for row in listed] == [["name", "set_at"]] * 2
    assert VALUE not in result.output


def test_list_without_a_store_is_temporary() -> None:
    assert run("secrets", "list").exit_code == 111


def test_rm_forgets_it() -> None:
    run("secrets", "set", "db", stdin=b"x")
    assert run("secrets", "rm", "db").exit_code == 0
    assert stored("db") is None
    result = run("secrets", "rm", "db")
    assert (result.exit_code, result.stdout) == (100, "")
    assert "there is none of that name" in result.stderr


def test_rm_makes_no_data_directory() -> None:
    assert run("secrets", "rm", "db").exit_code == 100
    assert not Path(".microfaas").exists()
