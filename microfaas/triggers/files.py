"""A file as an object of a bucket: whether it is one, whether it is complete, what names its state.

Theory of operation of `being_written`: the kernel grants a read lease on a file only while
nobody has it open for writing, and refuses it with EAGAIN otherwise. Asking for one, and giving
it back at once, is thus an exact test that costs microseconds. It needs to own the file or
CAP_LEASE, and a local file system; elsewhere the answer is "cannot tell".
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from hashlib import md5

from microfaas.payloads import s3
from microfaas.store.objects import Stamp

# Inode numbers are unsigned, SQLite's integers are not; the lower bits tell as much.
_INODE_BITS = (1 << 63) - 1

_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class Refused(Exception):
    """Something is there that must not be taken for an object; the text says why."""


def look(root: str, key: str) -> os.stat_result | None:
    """What is at `key`, when it is a file inside the real path `root`. Raises Refused."""
    path = os.path.join(root, key)
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            _check_inside(root, os.path.realpath(path))
            status = os.stat(path)
        elif "/" in key:
            _check_inside(root, os.path.realpath(os.path.dirname(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Refused(f"cannot be looked at: {error.strerror}") from error
    return status if stat.S_ISREG(status.st_mode) else None


def stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino & _INODE_BITS)


def being_written(path: str) -> bool | None:
    """Whether anybody has the file open for writing; None where that cannot be told."""
    try:
        file = os.open(path, _OPEN_FLAGS)
    except OSError:
        return None
    try:
        # Should a writer come in this very moment, the kernel tells us by a signal, which would
        # be a deadly SIGIO unless it is one that is ignored.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(file)
    return False


def etag(path: str, seen: Stamp) -> str:
    """The content's MD5, as S3 has it; past the size of one part a tag of size and time."""
    if seen.size <= s3.ETAG_PART_BYTES:
        try:
            with open(path, "rb") as file:
                return md5(file.read(seen.size), usedforsecurity=False).hexdigest()
        except OSError:
            pass  # not ours to read, but still there
    return s3.multipart_etag(seen.size, seen.mtime_ns)


def walk(root: str, folder: str) -> Iterator[tuple[str, Stamp | None] | OSError]:
    """Every file and link below `folder` ("" or "a/b/"); a link has no stamp of its own.

    A directory that cannot be read is yielded as its error, and the walk goes on.
    """
    folders = [folder]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as found:
                for entry in found:
                    key = folder + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(key + "/")
                    elif entry.is_symlink():
                        yield key, None
                    elif entry.is_file(follow_symlinks=False):
                        yield from _stamped(key, entry)
        except (FileNotFoundError, NotADirectoryError):
            continue  # gone again
        except OSError as error:
            yield error


def _stamped(key: str, entry: os.DirEntry[str]) -> Iterator[tuple[str, Stamp]]:
    try:
        yield key, stamp(entry.stat(follow_symlinks=False))
    except FileNotFoundError:
        return


def missing(root: str, keys: list[str]) -> list[str]:
    """Those of the keys at which nothing is."""
    return [key for key in keys if not os.path.lexists(os.path.join(root, key))]


def _check_inside(root: str, path: str) -> None:
    if path != root and not path.startswith(root.rstrip("/") + "/"):
        raise Refused(f"leads to {path}, outside the bucket")
