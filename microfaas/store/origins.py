"""What copies of code were made of, remembered over a restart: what has not changed since is not
unpacked and hashed again for each of a thousand versions before anybody is served.

A note lies beside its copy: what the copy was made of, its hash, and what the kernel said of its
entries. It is written when the copy has had time to reach the disk. Should the copy be damaged all
the same, whoever runs it finds out, and the note goes.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from microfaas.store import tree

SUFFIX = ".made-of"
# The kernel writes what is older than half a minute.
ON_DISK_S = 120.0


class Note(msgspec.Struct, frozen=True):
    """`stamp` is of the copy's entries, in hex digits."""

    key: str
    sha256: str
    stamp: str


class _Made(NamedTuple):
    """A copy without a note, and since when it is there."""

    key: str
    sha256: str
    at_s: float


class Origins:
    """Of the copies in a folder, by their names there. Methods block, and may be called from
    several threads."""

    def __init__(self, root_dir: str) -> None:
        self._root = root_dir
        self._lock = threading.Lock()
        self._noted: dict[str, tuple[str, Note]] | None = None  # by keys
        self._made: dict[str, _Made] = {}

    def known(self, key: str) -> tuple[str, str] | None:
        """The copy that was made of this, if it is as it was: its folder and its SHA-256."""
        with self._lock:
            if self._noted is None:
                self._noted = self._read()
            found = self._noted.get(key)
        if found is None:
            return None
        directory, note = os.path.join(self._root, found[0]), found[1]
        try:
            sound = tree.stamp(directory).digest.hex() == note.stamp
        except OSError:
            sound = False
        return (directory, note.sha256) if sound else None

    def remember(self, key: str, directory: str, sha256: str) -> None:
        """A copy was made of this."""
        with self._lock:
            self._made[os.path.basename(directory)] = _Made(key, sha256, time.monotonic())

    def note(self, names: Collection[str], on_disk_s: float = ON_DISK_S) -> None:
        """Of these, which stay, write down what has been there for so long."""
        before_s = time.monotonic() - on_disk_s
        with self._lock:
            self._made = {name: made for name, made in self._made.items() if name in names}
            due = {name: made for name, made in self._made.items() if made.at_s <= before_s}
            for name in due:
                del self._made[name]
        for name, made in due.items():
            with contextlib.suppress(OSError):
                self._write(name, made)

    def forget(self, name: str) -> None:
        """The copy is not what it was made as."""
        with self._lock, contextlib.suppress(FileNotFoundError):
            self._made.pop(name, None)
            noted = (self._noted or {}).items()
            self._noted = {key: found for key, found in noted if found[0] != name}
            os.unlink(os.path.join(self._root, name + SUFFIX))

    def _write(self, name: str, made: _Made) -> None:
        path = os.path.join(self._root, name)
        stamp = tree.stamp(path).digest.hex()
        with open(path + SUFFIX, "wb") as file:
            file.write(msgspec.json.encode(Note(made.key, made.sha256, stamp)))

    def _read(self) -> dict[str, tuple[str, Note]]:
        found = {}
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._root):
                if entry.name.endswith(SUFFIX):
                    # One that was torn by a power cut is as good as none.
                    with contextlib.suppress(OSError, msgspec.DecodeError):
                        with open(entry.path, "rb") as file:
                            note = msgspec.json.decode(file.read(), type=Note)
                        found[note.key] = entry.name.removesuffix(SUFFIX), note
        return found


def key_of(archive: str) -> str:
    """An archive as it is now. Raises OSError."""
    status = os.stat(archive)
    facts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return f"{os.path.abspath(archive)} {facts}"
