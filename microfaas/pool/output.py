"""What a process prints, and the platform's own lines around it, on their way to the log."""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
import time

from microfaas.log import LogFile, stamp
from microfaas.model import Usage

READ_BYTES = 64 * 1024
# A line longer than this is cut into several; Lambda does so at 256 KB.
LINE_BYTES_MAX = 256 * 1024
# What Lambda returns for X-Amz-Log-Type: Tail.
TAIL_BYTES_MAX = 4096
# How much is read at once before other work gets its turn.
DRAIN_BYTES_MAX = 1024 * 1024
_ZERO = bytes(4)


class Output:
    """Reads one process's stdout and stderr; owns and closes `read_fd`."""

    def __init__(self, read_fd: int, log: LogFile, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = read_fd
        self._log = log
        self._name = name
        self._partial = b""
        self._tail: bytearray | None = None
        # START is written with what follows it, which mostly is END: one write instead of two.
        self._start = ""
        os.set_blocking(read_fd, False)
        self._loop.add_reader(read_fd, self._readable)

    def begin(self, request_id: str, version: str, keep_tail: bool) -> None:
        """An invocation starts here."""
        start = f"START RequestId: {request_id} Version: {version}\n"
        self._tail = bytearray(start.encode()) if keep_tail else None
        self._start = f"{stamp(time.time())} {self._name}\t{start}"

    def show_start(self) -> None:
        """Write START, if it is not written: the invocation prints, or takes its time."""
        if self._start:
            self._log.write(self._start.encode())
            self._start = ""

    def note(self, text: str) -> None:
        """A line of the platform's."""
        self._line(text.encode())

    def end(self, request_id: str, usage: Usage, memory_mb: int, suffix: str) -> bytes:
        """The invocation ends here, with Lambda's END and REPORT lines; gives the log's tail."""
        if self._partial or self._has_more():
            self.drain()
        init = "" if usage.init_ms is None else f"Init Duration: {usage.init_ms:.2f} ms\t"
        end = f"END RequestId: {request_id}"
        report = (
            f"REPORT RequestId: {request_id}\tDuration: {usage.wall_ms:.2f} ms\t"
            f"Billed Duration: {usage.billed_ms} ms\tMemory Size: {memory_mb} MB\t"
            f"Max Memory Used: {usage.memory_mb} MB\t{init}{suffix}"
        )
        prefix = f"{stamp(time.time())} {self._name}\t"
        self._log.write(f"{self._start}{prefix}{end}\n{prefix}{report}\n".encode())
        self._start = ""
        if self._tail is not None:
            self._tail += f"{end}\n{report}\n".encode()
        return bytes(self._tail[-TAIL_BYTES_MAX:]) if self._tail is not None else b""

    def _has_more(self) -> bool:
        """Whether the pipe holds something; a read would say so by an exception, which is slow."""
        return self._fd >= 0 and fcntl.ioctl(self._fd, termios.FIONREAD, _ZERO) != _ZERO

    def drain(self) -> None:
        """Take what is in the pipe now. What was printed before a reply is before it here too."""
        taken = 0
        while taken < DRAIN_BYTES_MAX and self._fd >= 0:
            count = self._read()
            if count == 0:
                break
            taken += count
        self._end_line()

    def _end_line(self) -> None:
        """What has no line end yet becomes a line."""
        if self._partial:
            self._line(self._partial)
            self._partial = b""

    def close(self) -> None:
        self.drain()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._fd < 0:
            return
        self._end_line()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _readable(self) -> None:
        self._read()

    def _read(self) -> int:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self._hang_up()
            return 0
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._line(self._cut(line))
        self._partial = self._cut(self._partial)
        return len(data)

    def _cut(self, line: bytes) -> bytes:
        """Write a line that is too long in pieces; the last one is left."""
        while len(line) > LINE_BYTES_MAX:
            self._line(line[:LINE_BYTES_MAX])
            line = line[LINE_BYTES_MAX:]
        return line

    def _line(self, line: bytes) -> None:
        self.show_start()
        self._log.write(f"{stamp(time.time())} {self._name}\t".encode() + line + b"\n")
        if self._tail is not None:
            self._tail += line + b"\n"
            if len(self._tail) > 2 * TAIL_BYTES_MAX:
                del self._tail[:-TAIL_BYTES_MAX]
