"""Folders of code: what is in them, a hash over all of it, and a stamp that changes when it does.

Theory of operation. Hashing hundreds of megabytes whenever a zygote starts would cost seconds on
a small machine, so a tree that was hashed once is only looked at again: its stamp has every
entry's inode, mode, owner, size, and both times. The one that counts is ctime. Every change to a
file's bytes, mode, owner or links sets it to the clock, and no system call sets it to anything
else: to forge it one must set the clock, or write to the disk beneath the file system, and both
take root. (Memory mapped for writing sets it once for a while of writes; to have it, the file was
opened for writing, which functions are not allowed to.) The clock behind ctime goes in steps of
some milliseconds, so a tree that changed only just now may change again without a trace: its stamp
is not `settled`, and not to be relied on.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

# Far more than a step of the clock that file systems use.
SETTLED_NS = 1_000_000_000

# Whoever runs a function must be able to read its code, and nobody else to change it.
FOLDER_MODE = 0o755
# Bits that lend a file's reader somebody's rights. On a folder they only say whose new files are.
SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
# Folders within folders; what walks a tree, to remove it too, may do so by recursion.
DEPTH_MAX = 64

Excluded = Callable[[os.DirEntry[str]], bool]


class Entry(NamedTuple):
    """Something in a code folder: a folder, a file or a link."""

    path: str
    name: str
    status: os.stat_result


class Stamp(NamedTuple):
    """Two equal ones, the first of them settled: nothing in the tree has changed in between."""

    digest: bytes
    settled: bool


def file_mode(mode: int) -> int:
    """The mode that a copy of a file has."""
    return mode & FOLDER_MODE | 0o444


def walk(source: str, excluded: Excluded | None = None) -> Iterator[Entry]:
    """What is in a folder, folders before their content, in the order of names."""
    folders = [source]
    prefix = len(os.path.join(source, ""))
    while folders:
        with os.scandir(folders.pop()) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        inner = []
        for entry in entries:
            if excluded is not None and excluded(entry):
                continue
            status = entry.stat(follow_symlinks=False)
            yield Entry(entry.path, entry.path[prefix:], status)
            if stat.S_ISDIR(status.st_mode):
                inner.append(entry.path)
        folders += reversed(inner)


def digest(folder: str) -> str:
    """A SHA-256 over the paths, modes and contents, the same wherever the folder lies."""
    whole = hashlib.sha256()
    for entry in walk(folder):
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


def stamp(folder: str) -> Stamp:
    """What the kernel says of every entry; far cheaper than `digest`."""
    seen = hashlib.sha256()
    newest_ns = 0
    for name, status in _all(folder):
        seen.update(f"{name}\0{_facts(status)}\0".encode("utf-8", "surrogateescape"))
        newest_ns = max(newest_ns, status.st_ctime_ns)
    return Stamp(seen.digest(), newest_ns < time.time_ns() - SETTLED_NS)


def _all(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    yield "", os.lstat(folder)
    for entry in walk(folder):
        yield entry.name, entry.status


def _facts(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
