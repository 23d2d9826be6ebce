"""A function's log as it is read: all of it, its end, or as it grows.

A reader tells files by their inode, as rotation only renames them: when the path leads to another
file, the old one is read to its end, then those that came after it, in order.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

BLOCK_BYTES = 64 * 1024
POLL_S = 0.1

_ENTRY = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([0-9a-f]{8})\t(.*)", re.DOTALL)


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
    """Only one request's entries: an instance has one at a time, between START and REPORT.

    In JSON these may be left out; then there are the records that name the request.
    """
    begin, end = f"START RequestId: {request_id} ", f"REPORT RequestId: {request_id}\t"
    named = re.compile(rf'\{{.*"requestId": ?"{re.escape(request_id)}"', re.DOTALL)
    running: set[str] = set()
    for entry in found:
        record = named.match(entry.text) is not None
        platform = entry.text.startswith('{"time":') if record else False
        if entry.text.startswith(begin) or (platform and '"platform.start"' in entry.text):
            running.add(entry.instance)
        if record or entry.instance in running:
            yield entry
        if entry.text.startswith(end) or (platform and '"platform.report"' in entry.text):
            running.discard(entry.instance)


def read(path: str) -> Iterator[str]:
    """All lines that are kept, oldest first."""
    for file in reversed(list(newest_first(path))):
        with io.BufferedReader(file) as buffered:
            for line in buffered:
                yield line.removesuffix(b"\n").decode(errors="replace")


def tail(path: str, lines: int) -> list[str]:
    """The last lines, oldest first."""
    return _past(newest_first(path), lines)


def follow(path: str, lines: int = 0, poll_s: float = POLL_S) -> Iterator[str]:
    """The last lines, then every new one, for ever. The file need not exist yet."""
    files = newest_first(path)
    newest = next(files, None)
    if newest is not None:
        yield from _past(itertools.chain([newest], files), lines, keep=newest)
    file = newest or _wait_for(path, poll_s)
    partial = b""
    for data in _stream(path, file, poll_s):
        *whole, partial = (partial + data).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


def newest_first(path: str) -> Iterator[io.FileIO]:
    """The log's files, open. While they are being renamed, none comes twice."""
    previous: os.stat_result | None = None
    for _, place in places(path):
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


def places(path: str) -> Iterator[tuple[int, str]]:
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
    for number, place in places(path):
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
