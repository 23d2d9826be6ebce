"""A log file and its rotated predecessors, as one sequence of lines. Blocking; no event loop here.

Theory of operation. A file is known by its first bytes, since its name changes when it is rotated
and its inode is given again; only while nothing of it was read does the inode have to do. What is
read of it counts only after its first bytes were found unchanged: a file that was truncated and
filled up again is not continued in its middle.

After a rotation by renaming the file that is held open is read to its end, and given up once
nothing was added for a while: its writer may not have noticed yet. Then come files that were
rotated meanwhile, the oldest first, and at last the new one. After a copy and truncation the rest
is read from the copy. Before the first of a new file counts, it is looked once more whether one
was rotated before it.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from microfaas.triggers.tail_known import (
    KNOWN_BY_BYTES,
    Position,
    identity,
    is_any,
    number_of,
    opened,
    opened_at,
    start_of,
)

CHUNK_BYTES = 256 * 1024
# How many files are remembered that were read to their end.
DONE_MAX = 16
# How many rotated files are held open; more of them are found behind the last one.
BACKLOG_MAX = 16
CUT_MARK = b" [cut]"
_ROTATED = re.compile(r"[.-][0-9][0-9.T:_-]*")


class Chunk(NamedTuple):
    """Lines, and the position behind them. `more`: look again at once; else after `again_s`,
    where that is known."""

    lines: list[bytes]
    position: Position
    more: bool
    again_s: float | None = None


def cut(data: bytes, line_max: int, cutting: bool) -> tuple[list[bytes], int, bool]:
    """The whole lines at the begin of `data`, how many bytes they are, and whether a line goes on
    that has been cut already."""
    lines: list[bytes] = []
    at = 0
    while True:
        end = data.find(b"\n", at)
        if end < 0:
            break
        if not cutting:
            lines.append(_bounded(data[at:end], line_max))
        cutting, at = False, end + 1
    if cutting:
        return lines, len(data), True
    if len(data) - at > line_max:
        lines.append(data[at : at + line_max] + CUT_MARK)
        return lines, len(data), True
    return lines, at, False


def _bounded(line: bytes, line_max: int) -> bytes:
    return line if len(line) <= line_max else line[:line_max] + CUT_MARK


class Tail:
    """Reads on where `position` is; without one, at an end or the beginning. Raises OSError."""

    def __init__(
        self,
        path: str,
        position: Position | None,
        *,
        at_end: bool,
        line_max: int,
        quiet_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.warning = ""
        self._line_max = line_max
        self._quiet_s = quiet_s
        self._clock = clock
        self._file: int | None = None
        # Open files that come next, and where in them to begin: their names may change any time.
        self._backlog: list[tuple[int, Position]] = []
        self._replaced_s: float | None = None
        self._position = position or Position()
        if position is None and at_end:
            self._begin_at_end()
        elif position is not None and (position.inode or position.offset):
            self._resume(position)
        # From where nothing would be left out after a crash, though less may be held in memory.
        self._safe = position or self._position

    def close(self) -> None:
        for file in (self._file, *(file for file, _ in self._backlog)):
            if file is not None:
                os.close(file)
        self._file, self._backlog = None, []

    def read(self) -> Chunk:
        """What there is next. Raises OSError."""
        if self._file is None and not self._open_next():
            return self._chunk([])
        assert self._file is not None
        size = max(CHUNK_BYTES, 2 * self._line_max)
        data = os.pread(self._file, size, self._position.offset)
        if self._has_changed():
            self._restart()
            return self._chunk([], more=True)
        self._know(self._position.offset + len(data))
        if data and self._position.left_ns and not self._is_next():
            return self._chunk([], more=True)
        lines, consumed, cutting = cut(data, self._line_max, self._position.cutting)
        if consumed:
            self._replaced_s = None
            self._advance(consumed, cutting)
            return self._chunk(lines, more=True)
        return self._end(data)

    def _chunk(
        self, lines: list[bytes], *, more: bool = False, again_s: float | None = None
    ) -> Chunk:
        if lines or (self._file is not None and not self._backlog):
            self._safe = self._position
        return Chunk(lines, self._safe, more, again_s)

    def _advance(self, consumed: int, cutting: bool) -> None:
        offset = self._position.offset + consumed
        self._position = msgspec.structs.replace(self._position, offset=offset, cutting=cutting)

    def _know(self, size: int) -> None:
        """Know the file by as much of its begin as was seen."""
        assert self._file is not None
        length = min(KNOWN_BY_BYTES, size)
        if self._position.start.length < length:
            start = start_of(self._file, length)
            self._position = msgspec.structs.replace(self._position, start=start)

    def _has_changed(self) -> bool:
        """Whether this is no longer what was read before."""
        assert self._file is not None
        position = self._position
        if os.fstat(self._file).st_size < position.offset:
            return True
        return start_of(self._file, position.start.length) != position.start

    def _restart(self) -> None:
        """The file was truncated: first the rest from a copy, if there is one, then from 0."""
        position = self._position
        for path, _ in self._siblings():
            if (copy := opened_at(path, position)) is not None:
                self._backlog.insert(0, (copy, position))
                break
        self._leave()

    def _is_next(self) -> bool:
        """Whether the file at the path follows the one that was left; else what does is next."""
        position = self._position
        missed = self._rotated_since(position.left_ns, before=True)
        if missed == []:
            self._position = msgspec.structs.replace(position, left_ns=0)
            return True
        assert self._file is not None
        os.close(self._file)
        self._file = None
        self._position = Position(done=position.done, left_ns=position.left_ns)
        self._backlog = [(file, Position()) for file in missed or ()]
        return False

    def _end(self, rest: bytes) -> Chunk:
        """Nothing whole for now. A file that is no longer at the path is left for the next; the
        one that was rotated last only after a while."""
        if not self._is_replaced():
            self._replaced_s = None
            return self._chunk([])
        assert self._file is not None
        if not self._backlog:
            # Of an empty file all that was rotated since the one before it came before it.
            since_ns = self._position.left_ns or os.fstat(self._file).st_mtime_ns
            files = self._rotated_since(since_ns)
            if files is None:
                return self._chunk([], more=True)
            self._backlog = [(file, Position()) for file in files]
        if not self._backlog and (left_s := self._quiet_left_s()) > 0:
            return self._chunk([], again_s=left_s)
        if rest:
            # The last line will not become any longer.
            self._advance(len(rest), False)
            return self._chunk([_bounded(rest, self._line_max)], more=True)
        self._leave()
        return self._chunk([], more=True)

    def _quiet_left_s(self) -> float:
        """For how long nothing more must be added before the file is left."""
        now_s = self._clock()
        if self._replaced_s is None:
            self._replaced_s = now_s
        return self._replaced_s + self._quiet_s - now_s

    def _is_replaced(self) -> bool:
        """Whether something else is next: in the backlog, or at the path."""
        assert self._file is not None
        if self._backlog:
            return True
        try:
            return identity(os.stat(self.path)) != identity(os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _rotated_since(self, moment_ns: int, *, before: bool = False) -> list[int] | None:
        """Files that were rotated since and have not been read, opened, the oldest first: what
        came after this one, or before it. None when they were just being moved: they are to be
        looked for again then."""
        assert self._file is not None
        mine = identity(os.fstat(self._file))
        found = [
            (status.st_mtime_ns, -number_of(path), path, status)
            for path, status in self._siblings()
            if status.st_size and status.st_mtime_ns >= moment_ns
        ]
        ordered = [(path, status) for _, _, path, status in sorted(found)]
        places = [at for at, (_, status) in enumerate(ordered) if identity(status) == mine]
        if places:
            ordered = ordered[: places[0]] if before else ordered[places[0] + 1 :]
        return self._unread(ordered[:BACKLOG_MAX])

    def _unread(self, candidates: Sequence[tuple[str, os.stat_result]]) -> list[int] | None:
        """Those that have not been read, opened; None when one is no longer where it was."""
        read = [*self._position.done, self._position.start]
        files: list[int] = []
        for path, status in candidates:
            file = opened(path)
            if file is None or identity(os.fstat(file)) != identity(status):
                for other in (*files, *(() if file is None else (file,))):
                    os.close(other)
                return None
            if is_any(file, read):
                os.close(file)
            else:
                files.append(file)
        return files

    def _siblings(self) -> list[tuple[str, os.stat_result]]:
        """Files that were once at the path, as their names say, and are not compressed."""
        folder, name = os.path.split(self.path)
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                suffix = entry.name.removeprefix(name)
                if suffix == entry.name or not _ROTATED.fullmatch(suffix):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode):
                        found.append((entry.path, status))
        return sorted(found)

    def _leave(self) -> None:
        """Done with this file."""
        assert self._file is not None
        left_ns = os.fstat(self._file).st_mtime_ns
        os.close(self._file)
        self._file = self._replaced_s = None
        position = self._position
        done = (*position.done, position.start) if position.start.length else position.done
        self._position = Position(done=done[-DONE_MAX:], left_ns=left_ns)

    def _open_next(self) -> bool:
        """The backlog's first file, or the one at the path, if there is one."""
        if self._backlog:
            self._take(*self._backlog.pop(0))
            return True
        file = opened(self.path)
        if file is None:
            return False
        self._take(file, Position(left_ns=self._position.left_ns))
        return True

    def _take(self, file: int, position: Position) -> None:
        """Read a file from a position on; what was read before stays known."""
        self._file = file
        inode, done = os.fstat(file).st_ino, self._position.done
        self._position = msgspec.structs.replace(position, inode=inode, done=done)

    def _begin_at_end(self) -> None:
        """Behind the last whole line."""
        if not self._open_next():
            return
        assert self._file is not None
        size = os.fstat(self._file).st_size
        first = max(0, size - self._line_max)
        last = os.pread(self._file, size - first, first)
        whole = first + last.rfind(b"\n") + 1
        cutting = whole == first > 0
        self._advance(size if cutting else whole, cutting)
        self._know(size)

    def _resume(self, position: Position) -> None:
        """Find the file again, wherever it was moved to; what came after it is found then."""
        names = [self.path]
        with contextlib.suppress(FileNotFoundError):
            names += [path for path, _ in self._siblings()]
        for path in names:
            if (file := opened_at(path, position)) is not None:
                self._position = position
                self._take(file, position)
                return
        if position.offset:
            self.warning = (
                f"the rest of the file that was read before is not beside {self.path} any more; "
                "lines may be missing"
            )
        self._position = Position(done=position.done, left_ns=position.left_ns)
