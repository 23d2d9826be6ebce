"""Logs: one rotated file per function with a reader that can follow it, and microfaas's own.

Theory of operation. `LogFile.write` is on the path of every line a function prints, so it only
appends to a list; `flush` turns the list into one write. Before each flush the path is looked at:
that finds a file which somebody deleted, moved or emptied, and gives its size for the rotation.
A line that cannot be written is dropped and its bytes are counted, for a full disk must stop
neither the function nor the server; once writing works again, a notice in the log says how much
is missing.

A reader tells files by their inode, as rotation only renames them: when the path leads to another
file, the old one is read to its end, then those that came after it, in order.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import logging
import os
import re
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import NamedTuple

# Flushed early beyond this, so that a burst of lines is not kept in memory.
BUFFER_BYTES_MAX = 256 * 1024
BLOCK_BYTES = 64 * 1024
POLL_S = 0.1
# The platform's own lines in a function's log stand under this instance id.
PLATFORM_ID = "00000000"

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_ENTRY = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([0-9a-f]{8})\t(.*)", re.DOTALL)
_LEVEL_COLORS = MappingProxyType({"debug": "2", "warning": "33", "error": "31", "critical": "31"})

_log = logging.getLogger("microfaas.log")


@functools.lru_cache(maxsize=4)
def _second(epoch_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))


def stamp(epoch_s: float) -> str:
    """A moment as log lines have it: UTC, ISO 8601, milliseconds."""
    second, ms = divmod(int(epoch_s * 1000), 1000)
    return f"{_second(second)}.{ms:03d}Z"


def path_of(data_dir: str, function: str) -> str:
    """Where a function's log is."""
    return os.path.join(data_dir, "logs", f"{function}.log")


class LogFile:
    """A function's log: PATH, and its `files_max` predecessors PATH.1 (the newest) and on."""

    def __init__(self, path: str, bytes_max: int, files_max: int, mode: int = 0o640) -> None:
        self.path = path
        self._mode = mode
        self.dropped_bytes = 0
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._lines: list[bytes] = []
        self._bytes = 0
        self._fd = -1
        self._torn = False
        self._why = ""

    def write(self, data: bytes) -> None:
        """Take whole lines. They reach the file with the next `flush`."""
        self._lines.append(data)
        self._bytes += len(data)
        if self._bytes >= BUFFER_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Bring what was written to the file. Never raises: what cannot be written is counted."""
        if not self._lines and not self.dropped_bytes:
            return
        data = b"".join(self._lines)
        self._lines.clear()
        self._bytes = 0
        notice = self._notice()
        try:
            self._reopen(len(notice) + len(data))
            written = os.write(self._fd, notice + data)
        except OSError as error:
            self._drop(len(data), error.strerror or str(error))
        else:
            self._account(written, notice, data)

    def close(self) -> None:
        """Flush and let go of the file; writing again opens it again."""
        self.flush()
        self._close()

    def _reopen(self, more_bytes: int) -> None:
        """Have the file open that is at the path, with room for so many bytes."""
        size = self._size()
        if size and size + more_bytes > self._bytes_max:
            self._close()
            self._rotate()
        if self._fd < 0:
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            self._fd = os.open(self.path, _FLAGS, self._mode)

    def _size(self) -> int:
        """The size of the file at the path; closes ours when it is another one by now."""
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            self._close()
            return 0
        if self._fd >= 0 and not os.path.samestat(there, os.fstat(self._fd)):
            self._close()
        return there.st_size

    def _rotate(self) -> None:
        number = self._files_max
        # The setting may have been higher once.
        while _unlinked(f"{self.path}.{number + 1}"):
            number += 1
        for number in range(self._files_max - 1, 0, -1):
            if os.path.exists(f"{self.path}.{number}"):
                os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.replace(self.path, f"{self.path}.1")

    def _account(self, written: int, notice: bytes, data: bytes) -> None:
        """A full disk takes a part of a write before it refuses the next."""
        self._torn = 0 < written < len(notice) + len(data)
        if written < len(notice):
            self._drop(len(data), "the disk is full")
            return
        self.dropped_bytes = 0
        self._why = ""
        if self._torn:
            self._drop(len(data) - (written - len(notice)), "the disk is full")

    def _drop(self, count: int, why: str) -> None:
        self.dropped_bytes += count
        if why != self._why:
            _log.error("cannot write %s: %s; lines are lost until it works again", self.path, why)
        self._why = why

    def _notice(self) -> bytes:
        if not self.dropped_bytes:
            return b""
        text = f"microfaas lost {self.dropped_bytes} bytes of this log: {self._why}"
        line = f"{stamp(time.time())} {PLATFORM_ID}\t{text}\n".encode()
        return b"\n" + line if self._torn else line

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _unlinked(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


class Entry(NamedTuple):
    """One line of a function's log; a line of unknown form is all text."""

    time: str
    instance: str
    text: str


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Take lines apart."""
    for line in lines:
        match = _ENTRY.fullmatch(line)
        yield Entry(match[1], match[2], match[3]) if match else Entry("", "", line)


def of_request(found: Iterable[Entry], request_id: str) -> Iterator[Entry]:
    """Only one request's entries: an instance has one at a time, between START and REPORT."""
    begin, end = f"START RequestId: {request_id} ", f"REPORT RequestId: {request_id}\t"
    running: set[str] = set()
    for entry in found:
        if entry.text.startswith(begin):
            running.add(entry.instance)
        if entry.instance in running:
            yield entry
        if entry.text.startswith(end):
            running.discard(entry.instance)


def read(path: str) -> Iterator[str]:
    """All lines that are kept, oldest first."""
    for file in reversed(list(_newest_first(path))):
        with io.BufferedReader(file) as buffered:
            for line in buffered:
                yield line.removesuffix(b"\n").decode(errors="replace")


def tail(path: str, lines: int) -> list[str]:
    """The last lines, oldest first."""
    return _past(_newest_first(path), lines)


def follow(path: str, lines: int = 0, poll_s: float = POLL_S) -> Iterator[str]:
    """The last lines, then every new one, for ever. The file need not exist yet."""
    files = _newest_first(path)
    newest = next(files, None)
    if newest is not None:
        yield from _past(itertools.chain([newest], files), lines, keep=newest)
    file = newest or _wait_for(path, poll_s)
    partial = b""
    for data in _stream(path, file, poll_s):
        *whole, partial = (partial + data).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


def _newest_first(path: str) -> Iterator[io.FileIO]:
    """The log's files, open. While they are being renamed, none comes twice."""
    previous: os.stat_result | None = None
    for _, place in _places(path):
        try:
            file = io.FileIO(place)
        except FileNotFoundError:
            continue
        status = os.fstat(file.fileno())
        if previous is not None and os.path.samestat(status, previous):
            file.close()
            continue
        previous = status
        yield file


def _places(path: str) -> Iterator[tuple[int, str]]:
    """PATH, PATH.1 and on, as far as they go. A rotation may leave a hole, which it is filling."""
    holes = 0
    for number in itertools.count():
        place = f"{path}.{number}" if number else path
        holes = 0 if os.path.exists(place) else holes + 1
        # PATH itself may be gone for good.
        if holes >= 2 and number > 1:
            return
        yield number, place


def _past(files: Iterable[io.FileIO], lines: int, keep: io.FileIO | None = None) -> list[str]:
    found: list[bytes] = []
    for file in files:
        found = _last_lines(file, lines - len(found)) + found
        if file is not keep:
            file.close()
        if len(found) >= lines:
            break
    return [line.decode(errors="replace") for line in found]


def _last_lines(file: io.FileIO, count: int) -> list[bytes]:
    """The last lines of a file; it is then read up to the end of the last of them."""
    end = start = file.seek(0, os.SEEK_END)
    blocks: deque[bytes] = deque()
    # One more than asked for, because the first one may be cut.
    missing = count + 1
    while start and missing > 0:
        length = min(BLOCK_BYTES, start)
        start = file.seek(start - length)
        blocks.appendleft(file.read(length))
        missing -= blocks[0].count(b"\n")
    file.seek(end)
    lines = b"".join(blocks).removesuffix(b"\n").split(b"\n")
    return lines[-count:] if count and end else []


def _stream(path: str, file: io.FileIO, poll_s: float) -> Iterator[bytes]:
    """What is appended to the file, and to those that come after it."""
    try:
        while True:
            yield from _rest(file)
            successor = _successor(path, file)
            if successor is not None:
                # It may have grown between our reading and its renaming.
                yield from _rest(file)
                file.close()
                file = successor
                continue
            if os.fstat(file.fileno()).st_size < file.tell():
                file.seek(0)
            time.sleep(poll_s)
    finally:
        file.close()


def _rest(file: io.FileIO) -> Iterator[bytes]:
    while data := file.read(BLOCK_BYTES):
        yield data


def _successor(path: str, file: io.FileIO) -> io.FileIO | None:
    """The file that came after this one, when this one is no longer at the path."""
    mine = os.fstat(file.fileno())
    try:
        if os.path.samestat(os.stat(path), mine):
            return None
        number = _number(path, mine)
        newer = io.FileIO(f"{path}.{number - 1}" if number > 1 else path)
        # Unless they were renamed once more meanwhile; the next look will tell.
        if not number or os.path.samestat(os.stat(f"{path}.{number}"), mine):
            return newer
        newer.close()
    except FileNotFoundError:
        pass
    return None


def _number(path: str, mine: os.stat_result) -> int:
    """Which predecessor a file is by now; 0 when it is gone."""
    for number, place in _places(path):
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(place), mine):
                return number
    return 0


def _wait_for(path: str, poll_s: float) -> io.FileIO:
    while True:
        try:
            return io.FileIO(path)
        except FileNotFoundError:
            time.sleep(poll_s)


def setup(verbosity: int, color: bool) -> None:
    """Send microfaas's own log to stderr: what happens at 0, its details at 1, faults at -1."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain(color))
    logger = logging.getLogger("microfaas")
    logger.handlers = [handler]
    logger.propagate = False
    level = logging.DEBUG if verbosity > 0 else logging.INFO
    logger.setLevel(logging.WARNING if verbosity < 0 else level)


class _Plain(logging.Formatter):
    """`HH:MM:SS level message`."""

    def __init__(self, color: bool) -> None:
        super().__init__("%(asctime)s %(level)s %(message)s", "%H:%M:%S")
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        name = record.levelname.lower()
        code = _LEVEL_COLORS.get(name) if self._color else None
        record.level = f"\x1b[{code}m{name}\x1b[0m" if code else name
        return super().format(record)
