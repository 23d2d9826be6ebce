"""Secrets: sealed in the store, read from their three sources, and shown by nobody."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from microfaas.errors import InvalidRequest, MachineError
from microfaas.model import Function, Limits, Secret
from microfaas.store import secrets
from microfaas.store.db import Database
from microfaas.store.machine_key import KEY_BYTES, MachineKey
from microfaas.store.secrets import SECRET_BYTES_MAX, SecretStore, read_secrets

VALUE = b"correct horse battery staple"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "data" / "microfaas.db"))
    database.open()
    yield database
    database.close()


@pytest.fixture
def store(db: Database) -> SecretStore:
    return SecretStore(db, MachineKey(bytes(KEY_BYTES)))


def file_with(tmp_path: Path, content: bytes, mode: int = 0o600) -> str:
    path = tmp_path / "secret.txt"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def read(secret: Secret, store: SecretStore, environ: dict[str, str] | None = None) -> bytes:
    return read_secrets([secret], store, environ or {})[secret.name]


class TestStore:
    async def test_gives_back_what_it_was_given(self, store: SecretStore) -> None:
        await store.set("db", VALUE)
        await store.set("db", b"\x00\xff\n")
        assert store.find("db") == b"\x00\xff\n"
        assert store.find("other") is None

    async def test_tells_names_and_times_only(self, db: Database, store: SecretStore) -> None:
        await store.set("b", VALUE)
        await store.set("a/x", VALUE)
        found = secrets.names(db)
        assert [secret.name for secret in found] == ["a/x", "b"]
        assert found[0]._fields == ("name", "at_ms")

    async def test_forgets(self, db: Database, store: SecretStore) -> None:
        await store.set("db", VALUE)
        assert await secrets.remove(db, "db")
        assert not await secrets.remove(db, "db")
        assert store.find("db") is None

    async def test_no_file_holds_a_secret_in_clear(
        self, db: Database, store: SecretStore, tmp_path: Path
    ) -> None:
        await store.set("db", VALUE)
        content = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
        assert b"db" in content
        assert VALUE not in content

    async def test_one_secret_cannot_be_passed_off_as_another(
        self, db: Database, store: SecretStore
    ) -> None:
        await store.set("weak", VALUE)
        sealed = db.read("secret", {"name": "weak"})[0][0]
        await db.write("set_secret", [("strong", sealed, 0)])
        with pytest.raises(MachineError, match="cannot decrypt the secret strong"):
            store.find("strong")

    async def test_another_machine_cannot_read_it(self, db: Database, store: SecretStore) -> None:
        await store.set("db", VALUE)
        other = SecretStore(db, MachineKey(b"1" * KEY_BYTES))
        with pytest.raises(MachineError, match="another machine key"):
            other.find("db")

    @pytest.mark.parametrize("name", ["", "-x", "/x", "a b", "a\n", "x" * 129, "\u00e9"])
    async def test_refuses_a_name_that_a_terminal_or_shell_would_mangle(
        self, store: SecretStore, name: str
    ) -> None:
        with pytest.raises(InvalidRequest, match="a name has"):
            await store.set(name, VALUE)

    @pytest.mark.parametrize(
        ("value", "fault"), [(b"", "empty"), (b"x" * (SECRET_BYTES_MAX + 1), "larger than 65536")]
    )
    async def test_refuses_no_value_and_too_large_a_one(
        self, store: SecretStore, value: bytes, fault: str
    ) -> None:
        with pytest.raises(InvalidRequest, match=f"cannot store the secret db: it is {fault}"):
            await store.set("db", value)


def test_a_command_and_a_server_may_both_bring_the_file_up_to_date(tmp_path: Path) -> None:
    faults: list[Exception] = []
    for number in range(10):
        at_once = threading.Barrier(4)

        def start(path: str = str(tmp_path / f"{number}.db"), line: Any = at_once) -> None:
            database = Database(path)
            line.wait()
            try:
                database.open()
                database.close()
            except Exception as error:
                faults.append(error)

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []


class TestRead:
    @pytest.mark.parametrize("content", [VALUE, VALUE + b"\n", b"\x00\xff" * 10])
    def test_a_file_is_given_as_it_is(
        self, store: SecretStore, tmp_path: Path, content: bytes
    ) -> None:
        path = file_with(tmp_path, content)
        assert read(Secret("DB", file=path), store) == content

    @pytest.mark.parametrize("ending", [b"", b"\n", b"\n\n"])
    def test_a_variable_loses_one_newline(
        self, store: SecretStore, tmp_path: Path, ending: bytes
    ) -> None:
        path = file_with(tmp_path, VALUE + ending)
        value = read(Secret("DB", file=path, in_environment=True), store)
        assert value == VALUE + ending[1:]

    def test_a_credential_comes_from_systemds_directory(
        self, store: SecretStore, tmp_path: Path
    ) -> None:
        file_with(tmp_path, VALUE)
        secret = Secret("DB", credential="secret.txt")
        assert read(secret, store, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == VALUE

    async def test_a_stored_one_comes_from_the_store(self, store: SecretStore) -> None:
        await store.set("db", VALUE)
        assert read(Secret("DB", stored="db"), store) == VALUE

    def test_all_of_a_functions_are_read(self, store: SecretStore, tmp_path: Path) -> None:
        path = file_with(tmp_path, VALUE)
        values = read_secrets([Secret("A", file=path), Secret("B", file=path)], store, {})
        assert dict(values) == {"A": VALUE, "B": VALUE}
        assert read_secrets([], store, {}) == {}

    @pytest.mark.parametrize(
        ("content", "in_environment", "fault"),
        [
            (b"", False, "it is empty"),
            (b"\n", True, "it is empty"),
            (b"x" * (SECRET_BYTES_MAX + 1), False, "it is larger than 65536 bytes"),
            (b"x" * SECRET_BYTES_MAX + b"\n", True, "it is larger than 65536 bytes"),
            (b"a\0b", True, "it has a NUL byte, which no variable can hold"),
            (b"\xff", True, "it is not UTF-8; give it as a file"),
        ],
    )
    def test_an_unfit_value_is_refused_by_name_and_source(
        self, store: SecretStore, tmp_path: Path, content: bytes, in_environment: bool, fault: str
    ) -> None:
        path = file_with(tmp_path, content)
        with pytest.raises(MachineError) as caught:
            read(Secret("DB", file=path, in_environment=in_environment), store)
        assert str(caught.value) == f"cannot use the file {path} as the secret DB: {fault}"

    def test_a_missing_file_is_named(self, store: SecretStore, tmp_path: Path) -> None:
        with pytest.raises(MachineError, match=r"the file .*/no as the secret DB: No such file"):
            read(Secret("DB", file=str(tmp_path / "no")), store)

    def test_a_pipe_or_folder_in_its_place_holds_nothing_up(
        self, store: SecretStore, tmp_path: Path
    ) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "pipe", tmp_path):
            with pytest.raises(MachineError, match=r"it is not a file|Is a directory"):
                read(Secret("DB", file=str(path)), store)

    def test_a_missing_stored_one_says_how_to_set_it(self, store: SecretStore) -> None:
        with pytest.raises(MachineError, match='use "microfaas secrets set db"'):
            read(Secret("DB", stored="db"), store)

    async def test_a_stored_one_of_another_machine_is_refused(
        self, db: Database, store: SecretStore
    ) -> None:
        await store.set("db", VALUE)
        other = SecretStore(db, MachineKey(b"1" * KEY_BYTES))
        with pytest.raises(MachineError, match=r"as the secret DB: cannot decrypt"):
            read(Secret("DB", stored="db"), other)

    def test_a_missing_credential_is_told_from_no_credentials_at_all(
        self, store: SecretStore, tmp_path: Path
    ) -> None:
        secret = Secret("DB", credential="db")
        with pytest.raises(MachineError, match='"LoadCredential=db:PATH"'):
            read(secret, store)
        with pytest.raises(MachineError, match="the credential db as the secret DB: No such file"):
            read(secret, store, {"CREDENTIALS_DIRECTORY": str(tmp_path)})

    @pytest.mark.parametrize(("mode", "warnings"), [(0o644, 1), (0o640, 0), (0o400, 0)])
    def test_a_file_that_everybody_can_read_is_warned_of(
        self,
        store: SecretStore,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        mode: int,
        warnings: int,
    ) -> None:
        path = file_with(tmp_path, VALUE, mode)
        assert read(Secret("DB", file=path), store) == VALUE
        assert [record.levelname for record in caplog.records] == ["WARNING"] * warnings
        assert VALUE.decode() not in caplog.text


def test_nothing_that_is_printed_shows_a_value(store: SecretStore, tmp_path: Path) -> None:
    secret = Secret("DB", file=file_with(tmp_path, VALUE))
    function = Function(
        name="f", runtime="python", handler="a.b", code=".", limits=Limits(), secrets=(secret,)
    )
    values = read_secrets(function.secrets, store, {})
    shown = [repr(values), str(values), f"{values}", repr(store), repr(function)]
    shown.append(msgspec.json.encode(function).decode())
    assert repr(values) == "<values of DB>"
    assert not any(VALUE.decode() in text for text in shown)
