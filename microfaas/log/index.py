"""What is where in a log's files, so that lines of a time are found without reading all.

Theory of operation. Files are parted into blocks of whole lines; of each the times of its first
and last line are known, and of each process in a file the times between which it wrote. A look
reads only what was appended since the last one. A file is known by its inode and first bytes,
since rotation renames it, and its inode may be given again.

Lines are not quite in the order of their times: START is written with what follows it. So blocks
overlap, and lines are put in order across them. The place of a line is a number that orders all
lines of all logs: its time, its file's first time and bytes, and its offset.
"""

from __future__ import annotations

import calendar
import contextlib
import functools
import heapq
import io
import os
import re
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

from microfaas.log.reading import BLOCK_BYTES, newest_first

# The number of a place has 56 digits, as CloudWatch's event ids: 13 are the time's.
PLACES_PER_MS = 10**43
_DIGITS = 10**10
# What a file is known by: the time and the process of its first line.
_HEAD_BYTES = 33
_LINE = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ([0-9a-f]{8})\t(.*)$", re.MULTILINE)
_HEADS = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ([0-9a-f]{8})\t", re.MULTILINE)


class Line(NamedTuple):
    """One line of a log; `process` is the first eight digits of its id."""

    place: int
    at_ms: int
    process: str
    text: str


class Step(NamedTuple):
    """All lines up to a place have been told, and so many bytes more are looked through."""

    place: int
    size: int


class Span(NamedTuple):
    """From when to when a process wrote, in milliseconds of the epoch."""

    first_ms: int
    last_ms: int

    def with_(self, other: Span) -> Span:
        return Span(min(self.first_ms, other.first_ms), max(self.last_ms, other.last_ms))


class Wanted(NamedTuple):
    """Which lines: of a time, with the end not in it; of some processes or, by None, of all; and
    whose text is accepted."""

    start_ms: int
    end_ms: int
    processes: frozenset[str] | None = None
    accepts: Callable[[str], bool] = lambda _: True


class _Block(NamedTuple):
    start: int
    size: int
    span: Span


class _File:
    """One of the files, as far as it is known."""

    def __init__(self, head: bytes, salt: int) -> None:
        first = _LINE.match(head + b"\t")
        file_ms = _ms(first[1]) if first else 0
        self.base = (file_ms * _DIGITS + zlib.crc32(head)) * _DIGITS * _DIGITS + salt
        self.blocks: list[_Block] = []
        self.spans: dict[str, Span] = {}
        self.end = 0

    def read_on(self, fd: int) -> None:
        """Take note of what was appended."""
        for start, data in _blocks(fd, self.end):
            self._note(start, data)
            self.end = start + len(data)

    def _note(self, start: int, data: bytes) -> None:
        # Times are compared as they stand there, which is faster.
        moments: dict[bytes, list[bytes]] = {}
        for at, who in _HEADS.findall(data):
            moments.setdefault(who, []).append(at)
        if not moments:
            return
        spans = {
            who.decode(): Span(_ms(min(times)), _ms(max(times))) for who, times in moments.items()
        }
        for process, span in spans.items():
            known = self.spans.get(process)
            self.spans[process] = span if known is None else known.with_(span)
        block = _Block(start, len(data), functools.reduce(Span.with_, spans.values()))
        last = self.blocks[-1] if self.blocks else None
        if last is not None and start + len(data) - last.start <= BLOCK_BYTES:
            size = start + len(data) - last.start
            self.blocks[-1] = _Block(last.start, size, last.span.with_(block.span))
        else:
            self.blocks.append(block)


class LogIndex:
    """The index of one log; may be used from several threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        # Lines of several logs may have the same time, bytes and offset.
        self._salt = zlib.crc32(os.path.basename(path).encode())
        self._lock = threading.Lock()
        self._files: dict[tuple[int, bytes], _File] = {}

    def spans(self) -> dict[str, Span]:
        """When each process wrote, of those of which something is kept. Blocking."""
        found: dict[str, Span] = {}
        with self._open() as files:
            for file, _ in files:
                for process, span in list(file.spans.items()):
                    known = found.get(process)
                    found[process] = span if known is None else known.with_(span)
        return found

    def lines(
        self, wanted: Wanted, *, backward: bool = False
    ) -> Generator[Line | Step, None, None]:
        """Lines in the order of their places, or against it. Blocking."""
        with self._open() as files:
            blocks = [
                (block, file, fd)
                for file, fd in files
                for block in tuple(file.blocks)
                if block.span.last_ms >= wanted.start_ms and block.span.first_ms < wanted.end_ms
            ]
            sign = -1 if backward else 1
            blocks.sort(key=lambda each: sign * _edge(each[0], backward=backward))
            waiting: list[tuple[int, Line]] = []
            for block, file, fd in blocks:
                edge = _edge(block, backward=backward)
                while waiting and waiting[0][0] < sign * edge:
                    yield heapq.heappop(waiting)[1]
                yield Step(edge, block.size)
                for line in _lines(file, fd, block, wanted):
                    heapq.heappush(waiting, (sign * line.place, line))
            while waiting:
                yield heapq.heappop(waiting)[1]

    @contextlib.contextmanager
    def _open(self) -> Iterator[list[tuple[_File, int]]]:
        """The files, oldest first, and what is known of them by now."""
        with contextlib.ExitStack() as stack:
            opened = []
            for file in newest_first(self._path):
                stack.enter_context(file)
                opened.append(file)
            with self._lock:
                found = [
                    (known, file.fileno())
                    for file in reversed(opened)
                    if (known := self._known(file)) is not None
                ]
                kept = {id(known) for known, _ in found}
                self._files = {k: v for k, v in self._files.items() if id(v) in kept}
            yield found

    def _known(self, file: io.FileIO) -> _File | None:
        key = known_by(file)
        if key is None:
            return None
        known = self._files.get(key)
        if known is None or os.fstat(file.fileno()).st_size < known.end:
            known = self._files[key] = _File(key[1], self._salt)
        known.read_on(file.fileno())
        return known


def first_ms(path: str) -> int | None:
    """The time of a file's first line; None when it has none."""
    with open(path, "rb") as file:
        match = _LINE.match(file.read(_HEAD_BYTES) + b"\t")
    return _ms(match[1]) if match else None


def lines_in(data: bytes) -> Iterator[tuple[int, str, str]]:
    """Whole lines as they are in a file: time, process and text; what has no such form is not."""
    for match in _LINE.finditer(data):
        at, who, said = match.groups()
        yield _ms(at), who.decode(), said.decode(errors="replace")


def known_by(file: io.FileIO) -> tuple[int, bytes] | None:
    """What a file of a log is told by, wherever it is renamed to; None before it has a line."""
    head = os.pread(file.fileno(), _HEAD_BYTES, 0)
    if len(head) < _HEAD_BYTES:
        return None
    return os.fstat(file.fileno()).st_ino, head


def _edge(block: _Block, *, backward: bool) -> int:
    """No line of the block is before this place; or, backward, behind it."""
    if backward:
        return (block.span.last_ms + 1) * PLACES_PER_MS - 1
    return block.span.first_ms * PLACES_PER_MS


def _lines(file: _File, fd: int, block: _Block, wanted: Wanted) -> Iterator[Line]:
    for match in _LINE.finditer(os.pread(fd, block.size, block.start)):
        at, who, said = match.groups()
        at_ms = _ms(at)
        if not wanted.start_ms <= at_ms < wanted.end_ms:
            continue
        process, text = who.decode(), said.decode(errors="replace")
        known = wanted.processes is None or process in wanted.processes
        if known and wanted.accepts(text):
            offset = (block.start + match.start()) * _DIGITS
            yield Line(at_ms * PLACES_PER_MS + file.base + offset, at_ms, process, text)


def _blocks(fd: int, start: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines from an offset on; a line that is longer than a block is one by itself."""
    size = BLOCK_BYTES
    while data := os.pread(fd, size, start):
        end = data.rfind(b"\n") + 1
        if end:
            yield start, data[:end]
            start += end
            size = BLOCK_BYTES
        elif len(data) < size:
            return  # its end is not written yet
        else:
            size *= 2


@functools.lru_cache(maxsize=4096)
def _second(text: bytes) -> int:
    try:
        return calendar.timegm(time.strptime(text.decode(), "%Y-%m-%dT%H:%M:%S"))
    except ValueError:  # of a torn line
        return 0


def _ms(at: bytes) -> int:
    return _second(at[:19]) * 1000 + int(at[20:])
