"""Functions' code: immutable copies, addressed by what is in them.

Theory of operation. A version runs from its own copy, so that an edit cannot change what is
already running. The copy is made beside its final place and renamed into it: whoever sees
`<root>/<sha256[:16]>` sees all of it. The name is a hash over paths, modes and contents, hence
the same code from two functions, or copied twice, shares one copy. Nothing is synced to disk: a
copy that a power cut tears is made anew, since the server takes new ones when it starts.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from microfaas.errors import ConfigError, MachineError, Problem
from microfaas.store import archive

EXCLUDED_NAMES = frozenset(
    (".git", ".hg", ".svn", "__pycache__", ".venv", "venv", ".microfaas"),
)
# Every virtual environment has one, whatever its folder is called.
ENVIRONMENT_MARK = "pyvenv.cfg"
COPY_BYTES = 1024 * 1024
# Bits of the hash in a folder's name: 64, far from any collision among a machine's versions.
NAME_DIGITS = 16

_PART = ".new-"

Excluded = Callable[[os.DirEntry[str]], bool]


class Entry(NamedTuple):
    """Something in a code folder: a folder, a file or a link."""

    path: str
    name: str
    status: os.stat_result


class CodeStore:
    """The copies live under `root_dir`, which is made when the first one is."""

    def __init__(self, root_dir: str) -> None:
        self._root = root_dir
        self._lock = threading.Lock()
        self._growing: set[str] = set()

    def snapshot(self, source: str, exclude: Collection[str] = ()) -> tuple[str, str]:
        """Copy a folder or .zip; returns the copy's folder and the SHA-256 of what is in it.

        `exclude` holds absolute paths inside the folder that are not code. Blocking; may be
        called from several threads. Raises ConfigError for code that cannot be taken.
        """
        with self._new_part() as part:
            try:
                if os.path.isdir(source):
                    # Should the copies lie inside the code, they must not be copied in turn.
                    _copy_folder(source, part, {*exclude, os.path.abspath(self._root)})
                else:
                    archive.unpack(source, part)
                digest = _digest(part)
                os.chmod(part, 0o755)
                return self._place(part, digest), digest
            except OSError as error:
                raise _explain(error, source, self._root) from error

    def prune(self, keep: Collection[str]) -> None:
        """Remove the copies whose folder is not among `keep`, and what a crash left half-made."""
        with contextlib.suppress(FileNotFoundError):
            names = set(os.listdir(self._root))
            with self._lock:
                names -= {os.path.basename(path) for path in (*keep, *self._growing)}
            for name in names:
                shutil.rmtree(os.path.join(self._root, name), ignore_errors=True)

    @contextlib.contextmanager
    def _new_part(self) -> Iterator[str]:
        try:
            os.makedirs(self._root, exist_ok=True)
            # Known before it exists, or `prune` could take it for a crash's remains.
            with self._lock:
                part = tempfile.mkdtemp(prefix=_PART, dir=self._root)
                self._growing.add(part)
        except OSError as error:
            raise MachineError(f"cannot write {self._root}: {error.strerror}") from error
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)
            with self._lock:
                self._growing.discard(part)

    def _place(self, part: str, digest: str) -> str:
        final = os.path.join(self._root, digest[:NAME_DIGITS])
        try:
            os.rename(part, final)
        except OSError as error:
            # Another one with the same content was first, now or long ago; the part is dropped.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        return final


def fingerprint(source: str, exclude: Collection[str] = ()) -> str:
    """Changes when any file's path, size, time or mode does; far cheaper than a snapshot."""
    seen = hashlib.sha256()
    if os.path.isdir(source):
        for entry in _walk(source, _not_code(exclude)):
            seen.update(_row(entry.name, entry.status))
    else:
        seen.update(_row(os.path.basename(source), os.stat(source)))
    return seen.hexdigest()


def _row(name: str, status: os.stat_result) -> bytes:
    # A folder's own size and time say nothing that its entries do not, and move by themselves.
    folder = stat.S_ISDIR(status.st_mode)
    size, mtime_ns = (0, 0) if folder else (status.st_size, status.st_mtime_ns)
    return b"%s\0%d %d %d\0" % (os.fsencode(name), status.st_mode, size, mtime_ns)


def _walk(source: str, excluded: Excluded | None) -> Iterator[Entry]:
    """What is in a folder, folders before their content, in the order of names."""
    folders = [source]
    while folders:
        with os.scandir(folders.pop()) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        inner = []
        for entry in entries:
            if excluded is not None and excluded(entry):
                continue
            status = entry.stat(follow_symlinks=False)
            yield Entry(entry.path, os.path.relpath(entry.path, source), status)
            if stat.S_ISDIR(status.st_mode):
                inner.append(entry.path)
        folders += reversed(inner)


def _not_code(exclude: Collection[str]) -> Excluded:
    paths = frozenset(exclude)

    def excluded(entry: os.DirEntry[str]) -> bool:
        if entry.name in EXCLUDED_NAMES or os.path.abspath(entry.path) in paths:
            return True
        return entry.is_dir(follow_symlinks=False) and os.path.exists(
            os.path.join(entry.path, ENVIRONMENT_MARK)
        )

    return excluded


def _copy_folder(source: str, target: str, exclude: Collection[str]) -> None:
    problems: list[Problem] = []
    for entry in _walk(source, _not_code(exclude)):
        place = os.path.join(target, entry.name)
        kind = stat.S_IFMT(entry.status.st_mode)
        if kind == stat.S_IFDIR:
            os.mkdir(place, stat.S_IMODE(entry.status.st_mode) & 0o777 | 0o700)
        elif kind == stat.S_IFREG:
            _copy_file(entry, place)
        elif kind == stat.S_IFLNK:
            _copy_link(entry, place, source, problems)
        # Sockets, pipes and devices are no code; what runs beside the code may leave them there.
    if problems:
        raise ConfigError(source, problems)


def _copy_file(entry: Entry, place: str) -> None:
    with open(entry.path, "rb") as source, open(place, "xb") as target:
        shutil.copyfileobj(source, target, COPY_BYTES)
        os.fchmod(target.fileno(), stat.S_IMODE(entry.status.st_mode) & 0o777)
    os.utime(place, ns=(entry.status.st_mtime_ns, entry.status.st_mtime_ns))


def _copy_link(entry: Entry, place: str, source: str, problems: list[Problem]) -> None:
    target = os.path.realpath(entry.path)
    inside = os.path.relpath(target, os.path.realpath(source))
    if inside == ".." or inside.startswith("../"):
        problems.append(
            Problem(entry.name, f"links to {target}, outside the code; copy it into the folder")
        )
        return
    # Relative, so that it leads to the copy and not back to the original.
    os.symlink(os.path.relpath(inside, os.path.dirname(entry.name)), place)


def _digest(folder: str) -> str:
    """A hash over the paths, modes and contents, the same wherever the folder lies."""
    whole = hashlib.sha256()
    for entry in _walk(folder, None):
        mode = entry.status.st_mode
        if stat.S_ISREG(mode):
            with open(entry.path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
        elif stat.S_ISLNK(mode):
            content = os.fsencode(os.readlink(entry.path))
        else:
            content = b""
        name = os.fsencode(entry.name)
        whole.update(b"%d %d %d\0%s%s" % (mode, len(name), len(content), name, content))
    return whole.hexdigest()


def _explain(error: OSError, source: str, root: str) -> ConfigError | MachineError:
    place = str(error.filename or root)
    if place.startswith(root) or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(f"cannot write a copy of {source} to {root}: {error.strerror}")
    if isinstance(error, FileNotFoundError):
        return MachineError(f"cannot copy {source}: {place} vanished meanwhile; try again")
    return ConfigError(source, [Problem(place, error.strerror or str(error))])
