"""Snapshots of code: what is copied, what is refused, what is shared."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from microfaas.errors import ConfigError, MachineError
from microfaas.store import archive, origins, tree
from microfaas.store.code import CodeStore, touched_since
from microfaas.store.tree import Entry


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "lib").mkdir(parents=True)
    (folder / "app.py").write_text("def handler(): ...")
    (folder / "lib" / "tool").write_text("#!/bin/sh")
    (folder / "lib" / "tool").chmod(0o755)
    os.utime(folder / "app.py", (1_600_000_000, 1_600_000_000))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> CodeStore:
    return CodeStore(str(tmp_path / "code"))


def mode(*parts: str) -> int:
    return stat.S_IMODE(os.stat(os.path.join(*parts)).st_mode)


def names(folder: str) -> set[str]:
    return {
        os.path.relpath(os.path.join(place, name), folder)
        for place, folders, names in os.walk(folder)
        for name in folders + names
    }


def test_a_folder_is_copied_with_modes_and_times(store: CodeStore, source: Path) -> None:
    folder, digest = store.snapshot(str(source))
    assert os.path.basename(folder) == digest[:16]
    assert names(folder) == {"app.py", "lib", "lib/tool"}
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
    assert names(folder) == {"app.py", "lib", "lib/tool"}


def test_copies_inside_the_code_are_not_copied_in_turn(source: Path) -> None:
    store = CodeStore(str(source / "data" / "code"))
    first, _ = store.snapshot(str(source))
    assert names(first) == {"app.py", "lib", "lib/tool", "data"}
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
    assert not (tmp_path / "code").exists()


FAULTS = {
    "setuid": (0o4755, "has a setuid"),
    "setgid": (0o2755, "has a setuid, setgid"),
    "sticky": (0o1644, "or sticky bit"),
}


@pytest.mark.parametrize(("mode", "text"), FAULTS.values(), ids=FAULTS.keys())
def test_a_file_that_lends_rights_is_refused(
    store: CodeStore, source: Path, mode: int, text: str
) -> None:
    (source / "lib" / "tool").chmod(mode)
    with pytest.raises(ConfigError, match=f"lib/tool: .*{text}"):
        store.snapshot(str(source))
    assert os.listdir(source.parent / "code") == []


def test_a_folder_that_new_files_take_their_group_from_is_plain_in_the_copy(
    store: CodeStore, source: Path
) -> None:
    (source / "lib").chmod(0o2775)
    folder, _ = store.snapshot(str(source))
    assert mode(folder, "lib") == 0o755


def test_a_device_is_refused(store: CodeStore, source: Path, monkeypatch: Any) -> None:
    walk = tree.walk

    def with_a_device(*arguments: Any) -> Iterator[Entry]:
        yield from walk(*arguments)
        yield Entry("/dev/null", "null", os.stat("/dev/null"))

    monkeypatch.setattr(tree, "walk", with_a_device)
    with pytest.raises(ConfigError, match="null: is a device"):
        store.snapshot(str(source))


def test_folders_in_folders_end_somewhere(store: CodeStore, source: Path) -> None:
    (source / "/".join("a" * 64)).mkdir(parents=True)
    store.snapshot(str(source))
    (source / "/".join("a" * 65)).mkdir(parents=True)
    with pytest.raises(ConfigError, match="lies in more than 64 folders"):
        store.snapshot(str(source))


class TestVerify:
    @pytest.fixture
    def copy(self, store: CodeStore, source: Path) -> tuple[str, str]:
        folder, sha256 = store.snapshot(str(source))
        store.verify(folder, sha256)
        return folder, sha256

    CHANGES: ClassVar[dict[str, Callable[[str], object]]] = {
        "a byte": lambda folder: Path(folder, "app.py").write_text("def handler(): ,,,"),
        "a mode": lambda folder: Path(folder, "app.py").chmod(0o755),
        "a new file": lambda folder: Path(folder, "sitecustomize.py").touch(),
        "a new folder": lambda folder: Path(folder, "lib", "json").mkdir(),
        "a removed file": lambda folder: Path(folder, "lib", "tool").unlink(),
        "a moved file": lambda folder: os.rename(f"{folder}/app.py", f"{folder}/app2.py"),
    }

    @pytest.mark.parametrize("settled", [0, 10**18], ids=["remembered", "new"])
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
    def test_any_change_is_found_though_times_are_put_back(
        self,
        store: CodeStore,
        copy: tuple[str, str],
        monkeypatch: pytest.MonkeyPatch,
        change: Callable[[str], object],
        settled: int,
    ) -> None:
        folder, sha256 = copy
        monkeypatch.setattr(tree, "SETTLED_NS", settled)
        store.verify(folder, sha256)
        places = [folder, f"{folder}/lib", f"{folder}/app.py"]
        before = [os.stat(place) for place in places]
        change(folder)
        for place, status in zip(places, before, strict=True):
            if os.path.exists(place):
                os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(MachineError, match=f"cannot run the code in {folder}: it was altered"):
            store.verify(folder, sha256)

    def test_what_has_not_changed_is_not_read_again(
        self, store: CodeStore, copy: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hashed: list[str] = []
        digest = tree.digest
        monkeypatch.setattr(tree, "digest", lambda f: (hashed.append(f), digest(f))[1])
        store.verify(*copy)
        assert len(hashed) == 1, "it was made just now, when the clock's step might hide a change"
        monkeypatch.setattr(tree, "SETTLED_NS", 0)
        for _ in range(3):
            store.verify(*copy)
        assert len(hashed) == 2
        os.utime(f"{copy[0]}/app.py")
        for _ in range(3):
            store.verify(*copy)
        assert len(hashed) == 3

    def test_another_hash_is_not_taken_for_the_remembered_one(
        self, store: CodeStore, copy: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tree, "SETTLED_NS", 0)
        store.verify(*copy)
        with pytest.raises(MachineError, match="altered"):
            store.verify(copy[0], "0" * 64)

    def test_a_copy_that_is_gone_is_named(self, store: CodeStore, copy: tuple[str, str]) -> None:
        store.prune([])
        with pytest.raises(MachineError, match=f"{copy[0]}: No such file"):
            store.verify(*copy)

    def test_a_damaged_copy_is_made_anew(
        self, store: CodeStore, source: Path, copy: tuple[str, str]
    ) -> None:
        Path(copy[0], "app.py").write_text("def hander(): ...")
        assert store.snapshot(str(source)) == copy
        store.verify(*copy)
        store.prune([copy[0]])
        assert os.listdir(os.path.dirname(copy[0])) == [os.path.basename(copy[0])]


def test_copies_are_for_microfaas_alone_but_each_can_be_read_by_anybody(
    store: CodeStore, source: Path
) -> None:
    (source / "app.py").chmod(0o600)
    (source / "lib" / "tool").chmod(0o777)
    (source / "lib").chmod(0o700)
    before = os.umask(0o077)
    folder, _ = store.snapshot(str(source))
    os.umask(before)
    assert mode(os.path.dirname(folder)) == 0o700
    assert [mode(folder, name) for name in ("", "lib")] == [0o755, 0o755]
    assert [mode(folder, name) for name in ("app.py", "lib/tool")] == [0o644, 0o755]


def test_what_was_touched_is_told_from_what_was_not(tmp_path: Path) -> None:
    (tmp_path / "code" / "data").mkdir(parents=True)
    (tmp_path / "code" / "inner").mkdir()
    (tmp_path / "code" / "inner" / "app.py").touch()
    source, exclude = str(tmp_path / "code"), [str(tmp_path / "code" / "data")]
    newest_ns = max(path.stat().st_ctime_ns for path in (tmp_path / "code").rglob("*"))
    newest_ns = max(newest_ns, (tmp_path / "code").stat().st_ctime_ns)
    assert touched_since(source, exclude, newest_ns)
    assert not touched_since(source, exclude, newest_ns + 1)
    while (tmp_path / "code" / "data").stat().st_ctime_ns <= newest_ns:
        (tmp_path / "code" / "data" / "unheard").write_text("1")
        (tmp_path / "code" / "data" / "unheard").unlink()
    assert not touched_since(source, exclude, newest_ns + 1)
    (tmp_path / "code" / "inner" / "app.py").write_text("1")
    assert touched_since(source, exclude, newest_ns + 1)
    archive = tmp_path / "code.zip"
    archive.touch()
    assert touched_since(str(archive), (), archive.stat().st_ctime_ns)
    assert not touched_since(str(archive), (), archive.stat().st_ctime_ns + 1)


class TestOrigins:
    """What is remembered of copies over a restart."""

    @pytest.fixture
    def package(self, tmp_path: Path) -> str:
        path = tmp_path / "package.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("app.py", "one = 1")
        return str(path)

    @pytest.fixture
    def unpacked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        unpack, seen = archive.unpack, []

        def noted(source: str, target: str) -> None:
            seen.append(source)
            unpack(source, target)

        monkeypatch.setattr(archive, "unpack", noted)
        return seen

    def restarted(self, store: CodeStore, tmp_path: Path, *copies: str) -> CodeStore:
        store.origins.note([os.path.basename(copy) for copy in copies], on_disk_s=0)
        return CodeStore(str(tmp_path / "code"))

    def test_what_has_not_changed_is_not_unpacked_again(
        self, store: CodeStore, package: str, tmp_path: Path, unpacked: list[str]
    ) -> None:
        first = store.snapshot(package)
        again = self.restarted(store, tmp_path, first[0])
        again.prune([first[0]])
        assert again.snapshot(package) == first
        assert len(unpacked) == 1
        again.verify(*first)
        again.prune([])
        assert os.listdir(tmp_path / "code") == []

    @pytest.mark.parametrize("what", ["package", "copy", "note", "gone"])
    def test_what_has_changed_is(
        self, store: CodeStore, package: str, tmp_path: Path, unpacked: list[str], what: str
    ) -> None:
        first = store.snapshot(package)
        again = self.restarted(store, tmp_path, first[0])
        if what == "package":
            os.utime(package)
        elif what == "copy":
            (Path(first[0]) / "app.py").write_text("two = 2")
        elif what == "note":
            Path(first[0] + origins.SUFFIX).write_text("{")
        else:
            shutil.rmtree(first[0])
        assert again.snapshot(package) == first
        assert len(unpacked) == 2
        assert (Path(first[0]) / "app.py").read_text() == "one = 1"

    def test_what_may_not_be_on_the_disk_yet_is_not_noted(
        self, store: CodeStore, package: str, tmp_path: Path, unpacked: list[str]
    ) -> None:
        first = store.snapshot(package)
        store.prune([first[0]])
        assert CodeStore(str(tmp_path / "code")).snapshot(package) == first
        assert len(unpacked) == 2

    def test_what_is_found_to_be_damaged_is_made_again(
        self, store: CodeStore, package: str, tmp_path: Path, unpacked: list[str]
    ) -> None:
        first = store.snapshot(package)
        again = self.restarted(store, tmp_path, first[0])
        assert again.snapshot(package) == first
        with pytest.raises(MachineError, match="altered or damaged"):
            again.verify(first[0], "0" * 64)
        for each in (again, CodeStore(str(tmp_path / "code"))):
            assert each.snapshot(package) == first
        assert len(unpacked) == 3
