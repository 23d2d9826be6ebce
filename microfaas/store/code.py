"""Functions' code: immutable copies, addressed by what is in them.

Theory of operation. A version runs from its own copy, so that an edit cannot change what is
already running. The copy is made beside its final place and renamed into it: whoever sees
`<root>/<sha256[:16]>` sees all of it. The name is a hash over paths, modes and contents, hence
the same code from two functions, or copied twice, shares one copy. Nothing is synced to disk: a
copy that a power cut tears no longer has its hash, and is made anew when the server starts, and
whoever is about to run one has it verified. Of archives it is remembered which copy they became.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Collection, Iterator

from microfaas.errors import ConfigError, MachineError, Problem
from microfaas.store import archive, origins, tree
from microfaas.store.origins import Origins
from microfaas.store.tree import Entry, Excluded

EXCLUDED_NAMES = frozenset(
    (".git", ".hg", ".svn", "__pycache__", ".venv", "venv", ".microfaas"),
)
# Every virtual environment has one, whatever its folder is called.
ENVIRONMENT_MARK = "pyvenv.cfg"
COPY_BYTES = 1024 * 1024
# Bits of the hash in a folder's name: 64, far from any collision among a machine's versions.
NAME_DIGITS = 16

_PART = ".new-"
_DAMAGED = "-damaged"


class CodeStore:
    """The copies live under `root_dir`, which is made when the first one is."""

    def __init__(self, root_dir: str) -> None:
        self._root = root_dir
        self._lock = threading.Lock()
        self._growing: set[str] = set()
        self._placing = threading.Lock()
        # By copy: the hash it had, and the stamp it had then.
        self._verified: dict[str, tuple[str, bytes]] = {}
        self.origins = Origins(root_dir)

    def snapshot(self, source: str, exclude: Collection[str] = ()) -> tuple[str, str]:
        """Copy a folder or .zip; returns the copy's folder and the SHA-256 of what is in it.

        `exclude` holds absolute paths inside the folder that are not code. Blocking; may be
        called from several threads. Raises ConfigError for code that cannot be taken.
        """
        if os.path.isdir(source):
            return self._copied(source, exclude)
        try:
            key = origins.key_of(source)
        except OSError as error:
            raise _explain(error, source, self._root) from error
        if (known := self.origins.known(key)) is not None:
            return known
        directory, digest = self._copied(source, exclude)
        self.origins.remember(key, directory, digest)
        return directory, digest

    def _copied(self, source: str, exclude: Collection[str]) -> tuple[str, str]:
        with self._new_part() as part:
            try:
                if os.path.isdir(source):
                    # Should the copies lie inside the code, they must not be copied in turn.
                    _copy_folder(source, part, {*exclude, os.path.abspath(self._root)})
                else:
                    archive.unpack(source, part)
                os.chmod(part, tree.FOLDER_MODE)
                digest = tree.digest(part)
                return self._place(part, digest), digest
            except OSError as error:
                raise _explain(error, source, self._root) from error

    def find(self, sha256: str) -> str | None:
        """The folder of the copy with that hash, if it is here and whole. Blocking."""
        directory = os.path.join(self._root, sha256[:NAME_DIGITS])
        return directory if self._is_sound(directory, sha256) else None

    def verify(self, directory: str, sha256: str) -> None:
        """Raises MachineError unless a copy is what `snapshot` made of it, to the last bit.

        Blocking: some milliseconds, or as long as it takes to read the copy when anything in it
        was changed or it is looked at for the first time. May be called from several threads.
        """
        try:
            if self._matches(directory, sha256):
                return
            why = "it was altered or damaged since it was made"
        except OSError as error:
            why = f"{error.filename or directory}: {error.strerror}"
        self.origins.forget(os.path.basename(directory))
        raise MachineError(
            f"cannot run the code in {directory}: {why}; "
            "change the function's code or start microfaas again to have it copied anew"
        )

    def prune(self, keep: Collection[str]) -> None:
        """Remove the copies whose folder is not among `keep`, and what a crash left half-made."""
        with contextlib.suppress(FileNotFoundError):
            names = set(os.listdir(self._root))
            with self._lock:
                kept = {os.path.basename(path) for path in (*keep, *self._growing)}
            for name in names - kept:
                if name.removesuffix(origins.SUFFIX) not in kept:
                    self._remove(os.path.join(self._root, name))
            self.origins.note(kept & names)

    def _remove(self, path: str) -> None:
        self._verified.pop(path, None)
        if path.endswith(origins.SUFFIX):
            self.origins.forget(os.path.basename(path).removesuffix(origins.SUFFIX))
        else:
            shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def _new_part(self) -> Iterator[str]:
        try:
            os.makedirs(self._root, exist_ok=True)
            # Functions see their own copy where it is mounted, and nobody else's.
            os.chmod(self._root, 0o700)
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
        with self._placing:
            if os.path.lexists(final) and not self._is_sound(final, digest):
                # A power cut or somebody has damaged it; `prune` clears away what is left of it.
                os.rename(final, f"{part}{_DAMAGED}")
            try:
                os.rename(part, final)
            except OSError as error:
                # Another one with the same content was first; the part is dropped.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        return final

    def _is_sound(self, directory: str, sha256: str) -> bool:
        try:
            return self._matches(directory, sha256)
        except OSError:
            return False

    def _matches(self, directory: str, sha256: str) -> bool:
        """Whether a copy has that hash; it is reckoned anew only when something has changed."""
        # Before the hash: what changes during the hashing is then seen the next time.
        stamp = tree.stamp(directory)
        if self._verified.get(directory) == (sha256, stamp.digest):
            return True
        if tree.digest(directory) != sha256:
            return False
        if stamp.settled:
            self._verified[directory] = (sha256, stamp.digest)
        return True


def touched_since(source: str, exclude: Collection[str], moment_ns: int) -> bool:
    """Whether anything of a folder or .zip of code has changed since then. Blocking.

    Raises OSError for what is not there.
    """
    if not os.path.isdir(source):
        return os.stat(source).st_ctime_ns >= moment_ns
    if os.stat(source).st_ctime_ns >= moment_ns:
        return True
    entries = tree.walk(source, _not_code(exclude))
    return any(entry.status.st_ctime_ns >= moment_ns for entry in entries)


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
    for entry in tree.walk(source, _not_code(exclude)):
        place = os.path.join(target, entry.name)
        if fault := _fault_of(entry):
            problems.append(Problem(entry.name, fault))
        elif stat.S_ISDIR(entry.status.st_mode):
            os.mkdir(place)
            os.chmod(place, tree.FOLDER_MODE)  # whatever the umask is
        elif stat.S_ISREG(entry.status.st_mode):
            _copy_file(entry, place)
        elif stat.S_ISLNK(entry.status.st_mode):
            _copy_link(entry, place, source, problems)
        # Sockets and pipes are no code; what runs beside the code may leave them there.
    if problems:
        raise archive.refused(source, problems)


def _fault_of(entry: Entry) -> str | None:
    mode = entry.status.st_mode
    if stat.S_ISREG(mode) and mode & tree.SPECIAL_BITS:
        return "has a setuid, setgid or sticky bit; chmod ug-s,-t it"
    if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
        return "is a device; name it in the function's devices instead"
    if entry.name.count("/") == tree.DEPTH_MAX:
        return f"lies in more than {tree.DEPTH_MAX} folders"
    return None


def _copy_file(entry: Entry, place: str) -> None:
    with open(entry.path, "rb", opener=_open_file) as source, open(place, "xb") as target:
        shutil.copyfileobj(source, target, COPY_BYTES)
        os.fchmod(target.fileno(), tree.file_mode(entry.status.st_mode))
    os.utime(place, ns=(entry.status.st_mtime_ns, entry.status.st_mtime_ns))


def _open_file(path: str, flags: int) -> int:
    """The file that was looked at, and not the link or pipe that has come into its place."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


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


def _explain(error: OSError, source: str, root: str) -> ConfigError | MachineError:
    place = str(error.filename or root)
    if place.startswith(root) or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(f"cannot write a copy of {source} to {root}: {error.strerror}")
    if isinstance(error, FileNotFoundError):
        return MachineError(f"cannot copy {source}: {place} vanished meanwhile; try again")
    return ConfigError(source, [Problem(place, error.strerror or str(error))])
