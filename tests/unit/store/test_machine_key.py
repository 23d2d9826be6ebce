"""The machine's key: made once, kept to its owner, different for every purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from microfaas.errors import MachineError
from microfaas.store.machine_key import KEY_BYTES, MachineKey


def test_it_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "machine.key"
    first = MachineKey.load(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert MachineKey.load(str(path)).derive("x") == first.derive("x")
    assert [*tmp_path.iterdir()] == [path]


def test_each_purpose_and_subject_has_a_key_of_its_own() -> None:
    key = MachineKey(bytes(KEY_BYTES))
    made = {key.derive("a"), key.derive("b"), key.derive("a", b"x"), key.derive("a\0x")}
    assert len(made) == 4


@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 100])
def test_keys_are_derived_as_rfc_5869_says(length: int) -> None:
    key = bytes(range(KEY_BYTES))
    expected = HKDF(SHA256(), length, salt=None, info=b"microfaas\0purpose\0about").derive(key)
    assert MachineKey(key).derive("purpose", b"about", length) == expected


def test_what_is_sealed_opens_under_its_name_alone() -> None:
    key = MachineKey(bytes(KEY_BYTES))
    sealed = key.seal(b"swordfish", "db")
    assert b"swordfish" not in sealed
    assert key.seal(b"swordfish", "db") != sealed
    assert key.open(sealed, "db") == b"swordfish"
    for name, content in (("other", sealed), ("db", sealed[:-1]), ("db", b"")):
        with pytest.raises(MachineError, match="cannot decrypt"):
            key.open(content, name)
    with pytest.raises(MachineError, match="another machine key"):
        MachineKey(b"1" * KEY_BYTES).open(sealed, "db")


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [(b"short", 0o600, "32 bytes"), (bytes(KEY_BYTES), 0o644, "others can read it")],
)
def test_an_unfit_file_is_refused(tmp_path: Path, content: bytes, mode: int, fault: str) -> None:
    path = tmp_path / "machine.key"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(MachineError, match=fault):
        MachineKey.load(str(path))
