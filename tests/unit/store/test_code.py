"""Snapshots of code: what is copied, what is refused, what is shared."""

from __future__ import annotations

import os
import stat
import threading
import zipfile
from pathlib import Path

import pytest

from microfaas.errors import ConfigError, MachineError
from microfaas.store import archive, code
from microfaas.store.code import CodeStore


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "lib").mkdir(parents=True)
    (folder / "app.py").write_text("def handler(): ...")
    (folder / "lib" / "tool").write_text("#!/bin/sh")
    (folder / "lib" / "tool").chmod(0o4755)
    os.utime(folder / "app.py", (1_600_000_000, 1_600_000_000))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> CodeStore:
    return CodeStore(str(tmp_path / "code"))


def tree(folder: str) -> set[str]:
    return {
        os.path.relpath(os.path.join(place, name), folder)
        for place, folders, names in os.walk(folder)
        for name in folders + names
    }


def test_a_folder_is_copied_with_modes_and_times(store: CodeStore, source: Path) -> None:
    folder, digest = store.snapshot(str(source))
    assert os.path.basename(folder) == digest[:16]
    assert tree(folder) == {"app.py", "lib", "lib/tool"}
    assert os.stat(f"{folder}/app.py").st_mtime == 1_600_000_000
    assert stat.S_IMODE(os.stat(f"{folder}/lib/tool").st_mode) == 0o755
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o755


def test_the_same_code_is_one_copy_and_an_edit_is_another(store: CodeStore, source: Path) -> None:
    first = store.snapshot(str(source))
    os.utime(source / "app.py")
    assert store.snapshot(str(source)) == first
    (source / "app.py").chmod(0o700)
    second = store.snapshot(str(source))
    assert second != first
    (source / "app.py").write_text("other")
    assert store.snapshot(str(source)) not in (first, second)
    assert Path(first[0], "app.py").read_text() == "def handler(): ..."


def test_moving_bytes_between_name_and_content_is_another_code(
    store: CodeStore, tmp_path: Path
) -> None:
    digests = set()
    for name, content in (("ab", "c"), ("a", "bc")):
        folder = tmp_path / f"x{name}"
        folder.mkdir()
        (folder / name).write_text(content)
        digests.add(store.snapshot(str(folder))[1])
    assert len(digests) == 2


def test_what_is_no_code_stays_out(store: CodeStore, source: Path) -> None:
    for name in (".git", "lib/__pycache__", "venv", ".microfaas", "inbox", "myenv"):
        (source / name).mkdir()
        (source / name / "x").touch()
    (source / "myenv" / "pyvenv.cfg").touch()
    os.mkfifo(source / "pipe")
    folder, _ = store.snapshot(str(source), {str(source / "inbox")})
    assert tree(folder) == {"app.py", "lib", "lib/tool"}


def test_copies_inside_the_code_are_not_copied_in_turn(source: Path) -> None:
    store = CodeStore(str(source / "data" / "code"))
    first, _ = store.snapshot(str(source))
    assert tree(first) == {"app.py", "lib", "lib/tool", "data"}
    assert store.snapshot(str(source))[0] == first


def test_links_inside_lead_into_the_copy(store: CodeStore, source: Path) -> None:
    (source / "lib" / "up").symlink_to("../app.py")
    (source / "absolute").symlink_to(source / "lib")
    folder, _ = store.snapshot(str(source))
    assert os.readlink(f"{folder}/lib/up") == "../app.py"
    assert os.path.realpath(f"{folder}/absolute") == os.path.realpath(f"{folder}/lib")


def test_links_outside_are_refused_all_at_once(store: CodeStore, source: Path) -> None:
    (source / "passwd").symlink_to("/etc/passwd")
    (source / "lib" / "parent").symlink_to("../..")
    with pytest.raises(ConfigError) as caught:
        store.snapshot(str(source))
    assert [problem.where for problem in caught.value.problems] == ["passwd", "lib/parent"]
    assert "outside the code" in str(caught.value)


def test_copies_at_once_agree(store: CodeStore, source: Path) -> None:
    made: list[tuple[str, str]] = []
    threads = [
        threading.Thread(target=lambda: made.append(store.snapshot(str(source)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert os.listdir(os.path.dirname(made[0][0])) == [os.path.basename(made[0][0])]


def test_prune_keeps_what_it_is_told_to(store: CodeStore, source: Path) -> None:
    store.prune(set())
    old, _ = store.snapshot(str(source))
    (source / "app.py").write_text("new")
    new, _ = store.snapshot(str(source))
    os.mkdir(f"{os.path.dirname(old)}/.new-crashed")
    store.prune({new})
    assert os.listdir(os.path.dirname(new)) == [os.path.basename(new)]


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot write"):
        CodeStore(str(tmp_path / "file" / "code")).snapshot(str(source))


def test_a_vanished_source_leaves_nothing_behind(store: CodeStore, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="vanished"):
        store.snapshot(str(tmp_path / "no.zip"))
    assert os.listdir(tmp_path / "code") == []


def test_a_fingerprint_follows_edits_only(source: Path) -> None:
    first = code.fingerprint(str(source))
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "app.pyc").touch()
    assert code.fingerprint(str(source)) == first
    (source / "app.py").write_text("changed")
    assert code.fingerprint(str(source)) != first


def packed(tmp_path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> str:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return str(path)


def info(name: str, mode: int) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6))
    made.external_attr = mode << 16
    return made


def test_a_zip_is_unpacked(store: CodeStore, tmp_path: Path) -> None:
    path = packed(
        tmp_path,
        (info("app.py", 0o100640), b"x"),
        (info("lib/", 0o40755), b""),
        (info("lib/bin/run", 0o104755), b"y"),
        ("venv/kept.py", b"z"),
    )
    folder, digest = store.snapshot(path)
    assert tree(folder) == {"app.py", "lib", "lib/bin", "lib/bin/run", "venv", "venv/kept.py"}
    assert stat.S_IMODE(os.stat(f"{folder}/app.py").st_mode) == 0o644
    assert stat.S_IMODE(os.stat(f"{folder}/lib/bin/run").st_mode) == 0o755
    assert os.stat(f"{folder}/app.py").st_mtime == 1577934246
    other = packed(tmp_path, ("app.py", b"x"), ("venv/kept.py", b"other"))
    assert store.snapshot(other)[1] != digest


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("/etc/passwd", "inside the archive"),
        ("../x", "inside the archive"),
        ("a/../../x", "inside the archive"),
        ("..\\x", "inside the archive"),
        (info("link", 0o120777), "symbolic link"),
        (info("device", 0o020666), "neither a file nor a folder"),
    ],
)
def test_a_hostile_entry_is_refused(
    store: CodeStore, tmp_path: Path, entry: str | zipfile.ZipInfo, text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        store.snapshot(packed(tmp_path, (entry, b"/etc")))
    assert os.listdir(tmp_path / "code") == []


def test_a_zip_of_one_name_twice_is_refused(store: CodeStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than once"):
        store.snapshot(packed(tmp_path, ("a", b""), ("a/b", b"")))


def test_a_zip_too_large_unpacked_is_refused_in_lambdas_words(
    store: CodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path, ("zeros", b"\0" * 100_000))
    monkeypatch.setattr(archive, "UNPACKED_BYTES_MAX", 100_000)
    with pytest.raises(ConfigError, match="Unzipped size must be smaller than 100000 bytes"):
        store.snapshot(path)
    monkeypatch.setattr(archive, "ENTRIES_MAX", 0)
    with pytest.raises(ConfigError, match="at most 0 entries"):
        store.snapshot(path)


def test_a_broken_zip_is_refused(store: CodeStore, tmp_path: Path) -> None:
    path = packed(tmp_path, ("a", b"abc" * 1000))
    content = bytearray(Path(path).read_bytes())
    content[35:40] = b"xxxxx"
    Path(path).write_bytes(content)
    with pytest.raises(ConfigError, match="not a sound"):
        store.snapshot(path)
    Path(path).write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="not a sound"):
        store.snapshot(path)
