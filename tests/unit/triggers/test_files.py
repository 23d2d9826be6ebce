"""What counts as a file of a bucket."""

from __future__ import annotations

import fcntl
import os
from hashlib import md5
from pathlib import Path

import pytest

from microfaas.payloads import s3 as payloads
from microfaas.store.objects import Stamp
from microfaas.triggers import files


def test_only_files_inside_are_objects(tmp_path: Path) -> None:
    root = os.path.realpath(tmp_path / "in")
    os.makedirs(f"{root}/d")
    Path(root, "d/file").write_text("abc")
    os.mkfifo(f"{root}/pipe")
    os.symlink("d/file", f"{root}/inside")
    os.symlink("nowhere", f"{root}/broken")
    os.symlink("/etc/passwd", f"{root}/outside")
    os.symlink("/etc", f"{root}/etc")
    os.symlink("d", f"{root}/alias")
    assert files.look(root, "d/file").st_size == 3  # type: ignore[union-attr]
    assert files.look(root, "inside").st_size == 3  # type: ignore[union-attr]
    for key in ("d", "pipe", "broken", "none", "d/file/x", "alias"):
        assert files.look(root, key) is None
    for key in ("outside", "etc", "etc/passwd"):
        with pytest.raises(files.Refused, match="outside the bucket"):
            files.look(root, key)


def test_a_neighbour_with_the_roots_name_as_prefix_is_outside(tmp_path: Path) -> None:
    root = os.path.realpath(tmp_path / "in")
    os.mkdir(root)
    (tmp_path / "inner").touch()
    os.symlink("../inner", f"{root}/link")
    with pytest.raises(files.Refused):
        files.look(root, "link")


def test_an_open_writer_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    if files.being_written(str(path)) is None:
        pytest.skip("this file system grants no leases")
    assert files.being_written(str(path)) is False
    with path.open("rb"):
        assert files.being_written(str(path)) is False
    with path.open("ab"):
        assert files.being_written(str(path)) is True
    assert files.being_written(str(path)) is False


def test_where_no_lease_is_granted_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()

    def refuse(*_: object) -> int:
        raise PermissionError(13, "no")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert files.being_written(str(tmp_path / "file")) is None
    assert files.being_written(str(tmp_path / "none")) is None


def test_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    assert files.etag(str(path), Stamp(5, 1, 1)) == md5(b"hello").hexdigest()
    assert "-" in files.etag(str(tmp_path / "none"), Stamp(5, 1, 1))
    monkeypatch.setattr(payloads, "ETAG_PART_BYTES", 4)
    assert files.etag(str(path), Stamp(5, 1, 1)).endswith("-2")


def test_a_walk_finds_files_and_links_however_deep(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").touch()
    (tmp_path / "a.txt").touch()
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    found = dict(item for item in files.walk(str(tmp_path), "") if isinstance(item, tuple))
    assert set(found) == {"a/b/c", "a.txt", "link"}
    assert found["link"] is None
    assert [key for key, _ in files.walk(str(tmp_path), "a/")] == ["a/b/c"]  # type: ignore[misc]
    assert list(files.walk(str(tmp_path), "none/")) == []
