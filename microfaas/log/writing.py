"""A function's log as it is written: one file, and its predecessors.

Theory of operation. `LogFile.write` is on the path of every line a function prints, so it only
appends to a list; `flush` turns the list into one write. Before each flush the path is looked at:
that finds a file which somebody deleted, moved or emptied, and gives its size for the rotation.
A line that cannot be written is dropped and its bytes are counted, for a full disk must stop
neither the function nor the server; once writing works again, a notice in the log says how much
is missing.
"""

from __future__ import annotations

import functools
import logging
import os
import time

# Flushed early beyond this, so that a burst of lines is not kept in memory.
BUFFER_BYTES_MAX = 256 * 1024
# The platform's own lines in a function's log stand under this instance id.
PLATFORM_ID = "00000000"
# After so many flushes that had nothing to write, the file is let go of: of functions that print
# nothing there may be a thousand.
IDLE_FLUSHES_MAX = 50

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

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
        self._idle_flushes = 0
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
            self._idle_flushes += 1
            if self._idle_flushes >= IDLE_FLUSHES_MAX:
                self._close()
            return
        self._idle_flushes = 0
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
