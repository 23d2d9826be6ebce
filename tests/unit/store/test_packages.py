"""Deployment packages on disk."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from microfaas.errors import MachineError
from microfaas.store import archive
from microfaas.store.packages import Packages


def test_a_package_is_kept_by_its_hash(tmp_path: Path) -> None:
    packages = Packages(str(tmp_path / "packages"))
    sha256 = packages.put(b"some bytes")
    assert sha256 == hashlib.sha256(b"some bytes").hexdigest()
    assert packages.read(sha256) == b"some bytes"
    assert packages.put(b"some bytes") == sha256
    assert os.listdir(tmp_path / "packages") == [f"{sha256}.zip"]


def test_nothing_is_left_of_one_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = Packages(str(tmp_path))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match="No space left on device"):
        packages.put(b"some bytes")
    assert os.listdir(tmp_path) == []


def test_what_is_unknown_and_half_written_is_removed(tmp_path: Path) -> None:
    packages = Packages(str(tmp_path))
    kept, gone = packages.put(b"one"), packages.put(b"two")
    (tmp_path / ".new-1234").write_bytes(b"half")
    packages.prune([kept])
    assert packages.read(kept) == b"one"
    assert os.listdir(tmp_path) == [f"{kept}.zip"]
    with pytest.raises(MachineError, match="No such file"):
        packages.read(gone)


def test_of_what_is_not_wanted_only_so_much_stays(tmp_path: Path) -> None:
    packages = Packages(str(tmp_path))
    kept, *rest = [packages.put(bytes(100 + n)) for n in range(5)]
    for age_s, sha256 in enumerate(rest):
        moment_s = time.time() - 100 - age_s
        os.utime(packages.path(sha256), (moment_s, moment_s))
    arriving = packages.put(bytes(1000))
    packages.prune([kept], 3600, 1250)
    left = {kept, arriving, *rest[:2]}
    assert set(os.listdir(tmp_path)) == {f"{sha256}.zip" for sha256 in left}
    packages.prune([kept], 3600, 0)
    assert set(os.listdir(tmp_path)) == {f"{sha256}.zip" for sha256 in (kept, arriving)}


def test_what_was_put_a_moment_ago_is_left_for_a_while(tmp_path: Path) -> None:
    packages = Packages(str(tmp_path))
    old, wanted = packages.put(b"one"), packages.put(b"two")
    for sha256 in (old, wanted):
        os.utime(packages.path(sha256), (1, 1))
    assert packages.put(b"two") == wanted
    packages.prune([], 3600)
    assert os.listdir(tmp_path) == [f"{wanted}.zip"]


def test_a_folder_becomes_the_same_package_each_time(tmp_path: Path) -> None:
    source = tmp_path / "code"
    (source / "inner").mkdir(parents=True)
    (source / "app.py").write_text("pass\n")
    (source / "inner" / "tool").write_text("#!/bin/sh\n")
    (source / "inner" / "tool").chmod(0o755)
    (source / "link").symlink_to("app.py")
    (source / "up").symlink_to("inner")
    packages = Packages(str(tmp_path / "packages"))
    first = packages.put_folder(str(source))
    os.utime(source / "app.py", (1, 1))
    assert packages.put_folder(str(source)) == first
    with zipfile.ZipFile(BytesIO(packages.read(first))) as made:
        assert made.testzip() is None
        assert made.read("link") == b"app.py"
    target = tmp_path / "unpacked"
    target.mkdir()
    archive.unpack(packages.path(first), str(target))
    assert os.access(target / "inner" / "tool", os.X_OK)
    assert not os.access(target / "app.py", os.X_OK)
    assert (os.readlink(target / "link"), os.readlink(target / "up")) == ("app.py", "inner")


def test_what_is_wanted_again_in_that_moment_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = Packages(str(tmp_path))
    sha256 = packages.put(b"some bytes")
    os.utime(packages.path(sha256), (0, 0))
    unlink = os.unlink

    def put_meanwhile(path: str) -> None:
        putting = threading.Thread(target=packages.put, args=(b"some bytes",))
        putting.start()
        putting.join(0.2)
        unlink(path)
        waiting.append(putting)

    waiting: list[threading.Thread] = []
    monkeypatch.setattr(os, "unlink", put_meanwhile)
    packages.prune([], unwanted_s=60)
    for putting in waiting:
        putting.join()
    assert len(waiting) == 1
    assert packages.read(sha256) == b"some bytes"
