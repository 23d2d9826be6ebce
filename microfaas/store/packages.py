"""Deployment packages: .zip files as they were uploaded, each by the SHA-256 of its bytes.

Code that came through the API has no folder on this machine to be copied from again, so its
package is what a restart relies on: it is on disk for good before `put` returns.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Collection

from microfaas.errors import MachineError
from microfaas.store import tree

# So long what was put may be on its way to be used, however much of it there is.
ARRIVING_S = 60.0

_PART = ".new-"
_SUFFIX = ".zip"
# The oldest that a .zip can say: two packages of the same folder are the same bytes.
_WHEN = (1980, 1, 1, 0, 0, 0)


class Packages:
    """All methods block; they may be called from several threads."""

    def __init__(self, root_dir: str) -> None:
        self._root = root_dir
        # What is wanted again must not be removed in the same moment.
        self._looking = threading.Lock()

    def path(self, sha256: str) -> str:
        """Where a package is, or would be."""
        return os.path.join(self._root, sha256 + _SUFFIX)

    def put(self, data: bytes) -> str:
        """Keep a package; its SHA-256 in hex digits. Raises MachineError."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        try:
            if self._wanted_again(path):
                return sha256
            os.makedirs(self._root, mode=0o700, exist_ok=True)
            fd, part = tempfile.mkstemp(prefix=_PART, dir=self._root)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(part, path)
            except BaseException:
                os.unlink(part)
                raise
            self._sync()
        except OSError as error:
            raise MachineError(f"cannot keep a package in {self._root}: {error.strerror}") from None
        return sha256

    def put_folder(self, folder: str) -> str:
        """Keep a copy of code, as `CodeStore` has it. Raises MachineError."""
        return self.put(zipped(folder))

    def read(self, sha256: str) -> bytes:
        """A package's bytes. Raises MachineError."""
        try:
            with open(self.path(sha256), "rb") as file:
                return file.read()
        except OSError as error:
            path = self.path(sha256)
            raise MachineError(f"cannot read the package {path}: {error.strerror}") from None

    def prune(
        self, keep: Collection[str], unwanted_s: float = 0.0, bytes_max: int = sys.maxsize
    ) -> None:
        """Remove those whose hash is not among `keep`, and what a crash left half-written, once
        nobody has put them for so long; and beyond so many bytes after a minute."""
        now_s, left = time.time(), 0
        for moment_s, size, path in self._unwanted(keep):
            left += size
            age_s = unwanted_s if left <= bytes_max else min(unwanted_s, ARRIVING_S)
            if moment_s <= now_s - age_s:
                self._remove(path, now_s - age_s)

    def _unwanted(self, keep: Collection[str]) -> list[tuple[float, int, str]]:
        """When they were last put, their sizes and paths; the newest first."""
        names = {sha256 + _SUFFIX for sha256 in keep}
        found = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._root):
                if entry.name not in names:
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, entry.path))
        return sorted(found, reverse=True)

    def _remove(self, path: str, before_s: float) -> None:
        with self._looking, contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_mtime <= before_s:
                os.unlink(path)

    def _wanted_again(self, path: str) -> bool:
        """Whether a package is there; then it stays for now, even if nothing is made of it."""
        with self._looking:
            try:
                os.utime(path)
            except FileNotFoundError:
                return False
            return True

    def _sync(self) -> None:
        """Names last only once their folder is on disk."""
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def zipped(folder: str) -> bytes:
    """A folder of code as a .zip, the same bytes for the same content. Raises MachineError."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in tree.walk(folder):
            mode = entry.status.st_mode
            info = zipfile.ZipInfo(entry.name + "/" * stat.S_ISDIR(mode), _WHEN)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, _content(entry.path, mode))
    return buffer.getvalue()


def _content(path: str, mode: int) -> bytes:
    if stat.S_ISDIR(mode):
        return b""
    if stat.S_ISLNK(mode):
        return os.fsencode(os.readlink(path))
    with open(path, "rb") as file:
        return file.read()
