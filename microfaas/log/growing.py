"""What is appended to a log, in the order in which it was written, a look at a time.

Unlike the index, which puts lines in the order of their times, a tail tells also those that were
written later than they say, and never reads anything twice. Of much at once it reads the end.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator

from microfaas.log.index import known_by, lines_in
from microfaas.log.reading import newest_first
from microfaas.log.streams import StreamNames, nameless


class LogTail:
    """One log, from now on or, `whole`, from its first line on. All of it is blocking."""

    def __init__(self, path: str, *, whole: bool = False) -> None:
        self._path = path
        self._names = StreamNames(path)
        self._file: tuple[int, bytes] | None = None
        self._end = 0
        if not whole:
            self._skip()

    def read(self, bytes_max: int) -> tuple[list[tuple[int, str, str]], bool]:
        """Times, streams and texts of the lines that came; and whether some were left out."""
        data, lost = self._appended(bytes_max)
        if not data:
            return [], lost
        names = self._names.refresh()
        lines = [
            (at_ms, names.get(process) or nameless(process, at_ms), text)
            for at_ms, process, text in lines_in(data)
        ]
        return lines, lost

    def _skip(self) -> None:
        for file in newest_first(self._path):
            with file:
                if self._file is None and (known := known_by(file)) is not None:
                    self._file, self._end = known, os.fstat(file.fileno()).st_size

    def _appended(self, bytes_max: int) -> tuple[bytes, bool]:
        with contextlib.ExitStack() as stack:
            unread = list(self._unread(stack))
            skipped = max(0, sum(size for _, _, size in unread) - bytes_max)
            lost, data = skipped > 0, b""
            for file, start, size in reversed(unread):
                left_out = min(skipped, size)
                skipped -= left_out
                found = os.pread(file.fileno(), size - left_out, start + left_out)
                # A line whose end is not written yet is left for the next look.
                found = found[: found.rfind(b"\n") + 1]
                self._file, self._end = known_by(file), start + left_out + len(found)
                data += found.partition(b"\n")[2] if left_out else found
        return data, lost

    def _unread(self, stack: contextlib.ExitStack) -> Iterator[tuple[io.FileIO, int, int]]:
        """The files that have something new, newest first: where it begins, and its size."""
        for file in newest_first(self._path):
            stack.enter_context(file)
            known = known_by(file)
            if known is None:
                continue
            size = os.fstat(file.fileno()).st_size
            # One that was emptied, and has the same beginning again, is new.
            start = self._end if known == self._file and self._end <= size else 0
            yield file, start, size - start
            if known == self._file:
                return
