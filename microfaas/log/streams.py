"""The streams of a function's log, as CloudWatch has them: one for each process.

A line of the log has the first eight digits of its process's id. The names in full stand in a
file of their own beside it, a line for each process, so that a printed line costs nothing.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from microfaas.log.reading import read
from microfaas.log.writing import LogFile

ID_CHARS = 32
SHORT_CHARS = 8


def stream_name(version: str, process: str, at: datetime | None = None) -> str:
    """Lambda's name for the log of one process; `process` is its id, of hex digits."""
    return f"{at or datetime.now(UTC):%Y/%m/%d}/[{version}]{process}"


def short_of(stream: str) -> str:
    """What stands in the lines of a stream."""
    return stream.rpartition("]")[2][:SHORT_CHARS]


class FunctionLog(LogFile):
    """A function's log, and beside it the names of its streams."""

    def __init__(self, path: str, bytes_max: int, files_max: int) -> None:
        super().__init__(path, bytes_max, files_max)
        # Hardly a process writes less than its name is long, so names outlive its lines.
        self._names = LogFile(names_path(path), bytes_max, files_max)

    def begin_stream(self, stream: str) -> None:
        """Lines of this stream may follow."""
        self._names.write(f"{stream}\n".encode())

    def flush(self) -> None:
        """Bring what was written to the files, the names first. Never raises."""
        self._names.flush()
        super().flush()

    def close(self) -> None:
        self._names.close()
        super().close()


def names_path(path: str) -> str:
    """Where the names of a log's streams are."""
    return f"{path.removesuffix('.log')}.streams"


class StreamNames:
    """The names in full, by what stands in the lines; read again when there are more."""

    def __init__(self, path: str) -> None:
        self._path = names_path(path)
        self._read: tuple[int, int] | None = None
        self._names: dict[str, str] = {}

    def refresh(self) -> dict[str, str]:
        """All names that are kept. Blocking."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return self._names
        seen = status.st_ino, status.st_size
        if seen != self._read:
            names = [name for name in read(self._path) if len(short_of(name)) == SHORT_CHARS]
            self._names = {short_of(name): name for name in names}
            self._read = seen
        return self._names


def nameless(short: str, first_ms: int) -> str:
    """The stream of lines whose process's name is not kept: older ones, and the platform's own."""
    at = datetime.fromtimestamp(first_ms / 1000, UTC)
    return stream_name("$LATEST", short.ljust(ID_CHARS, "0"), at)
