"""How a log file is known again after it was moved: by its first bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence

import msgspec

KNOWN_BY_BYTES = 256


class Start(msgspec.Struct, frozen=True, array_like=True):
    """How a file begins: so many bytes, and their digest."""

    length: int = 0
    digest: bytes = b""


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Up to where everything has been read. `cutting`: within a line that was cut; `left_ns`: when
    the file was written last that was read before this one, of which nothing was yet."""

    inode: int = 0
    offset: int = 0
    start: Start = Start()
    cutting: bool = False
    done: tuple[Start, ...] = ()
    left_ns: int = 0


def start_of(file: int, length: int) -> Start:
    """How a file begins; shorter than that, it begins otherwise."""
    if not length:
        return Start()
    data = os.pread(file, length, 0)
    return Start(len(data), hashlib.sha256(data).digest()[:16])


def opened(path: str) -> int | None:
    """None when there is no such file. Raises OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.EINVAL, "it is not a regular file", path)


def opened_at(path: str, position: Position) -> int | None:
    """The file, if it is what was read up to the position."""
    try:
        file = opened(path)
    except OSError:
        return None
    if file is not None and not _continues(file, position):
        os.close(file)
        return None
    return file


def _continues(file: int, position: Position) -> bool:
    status = os.fstat(file)
    if not position.start.length:
        return status.st_ino == position.inode
    fits = status.st_size >= position.offset
    return fits and start_of(file, position.start.length) == position.start


def is_any(file: int, starts: Sequence[Start]) -> bool:
    """Whether it is one of the files that begin so. A short one is known only as a whole."""
    size = os.fstat(file).st_size
    return any(
        start.length
        and start.length in (KNOWN_BY_BYTES, size)
        and start_of(file, start.length) == start
        for start in starts
    )


def number_of(path: str) -> int:
    """Of a numbered rotation, where the higher one is older; 0 of another."""
    digits = path.rpartition(".")[2]
    return int(digits) if digits.isdecimal() and len(digits) < 5 else 0


def identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
