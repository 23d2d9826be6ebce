"""What a process prints, and the platform's own lines around it, on their way to the log.

Theory of operation. What is read at once becomes lines by one replacement, with one moment for
all of them: a million empty lines cost what a few long ones do. The log takes `bytes_max` from an
invocation, from loading a module, and from the time between two invocations, counted as they
stand in the log. Of what is printed beyond, only the number of bytes is kept. The function must
not be held up by it, nor may it hold up others: what overflows is moved to /dev/null without ever
coming into this process, as much as the enlarged pipe holds but only every GIVE_WAY_S, whatever
the rate at which it is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import termios
import time

from microfaas.log import LogFile, stamp
from microfaas.model import Usage
from microfaas.pool.platform_lines import TEXT, Ending, Form, Runtime

READ_BYTES = 64 * 1024
# A line longer than this is cut into several; Lambda does so at 256 KB.
LINE_BYTES_MAX = 256 * 1024
# What Lambda returns for X-Amz-Log-Type: Tail.
TAIL_BYTES_MAX = 4096
# How much is read at once before other work gets its turn; as much as any pipe of ours holds.
DRAIN_BYTES_MAX = 1024 * 1024
# Between looks at a pipe that overflows: half a GB a second may pass, for 500 system calls.
GIVE_WAY_S = 0.002
# What Linux gives a pipe at first.
_PIPE_BYTES = 64 * 1024
_ZERO = bytes(4)


class Output:
    """Reads one process's stdout and stderr; owns and closes `read_fd`."""

    def __init__(
        self, read_fd: int, log: LogFile, name: str, bytes_max: int, form: Form = TEXT
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = read_fd
        self._log = log
        self._name = name
        self._bytes_max = bytes_max
        self._form = form
        # What the log still takes; what it did not take; and, from then on, where that goes.
        self._left = bytes_max
        self._dropped = 0
        self._null_fd = -1
        self._timer: asyncio.TimerHandle | None = None
        self._partial = b""
        self._tail: bytearray | None = None
        # START is written with what follows it, which mostly is END: one write instead of two.
        self._start = ""
        os.set_blocking(read_fd, False)
        self._loop.add_reader(read_fd, self._readable)

    def begin(self, request_id: str, version: str, keep_tail: bool) -> None:
        """An invocation starts here."""
        if self._null_fd >= 0:
            self.drain()
        self._left = self._bytes_max
        now_s = time.time()
        start = self._form.start(now_s, request_id, version)
        self._start = _told(start, self._prefix(now_s))
        self._tail = bytearray(_told(start).encode()) if keep_tail else None

    def show_start(self) -> None:
        """Write START, if it is not written: the invocation prints, or takes its time."""
        if self._start:
            self._log.write(self._start.encode())
            self._start = ""

    def note(self, text: str) -> None:
        """Lines of the platform's, or none; they are never dropped."""
        if text:
            self._write(text.encode(), _told(text, self._prefix(time.time())).encode())

    def begin_init(self, runtime: Runtime) -> None:
        """The function is loaded from here on."""
        self.note(self._form.init_start(time.time(), runtime))

    def end(self, request_id: str, usage: Usage, memory_mb: int, ending: Ending) -> bytes:
        """The invocation ends here, with Lambda's END and REPORT lines; gives the log's tail."""
        if self._partial or self._null_fd >= 0 or self._has_more():
            self.drain()
        self._left = self._bytes_max
        now_s = time.time()
        end = self._form.end(now_s, request_id, usage, memory_mb, ending)
        if self._start or end:
            self._log.write((self._start + _told(end, self._prefix(now_s))).encode())
        self._start = ""
        if self._tail is not None:
            self._tail += _told(end).encode()
        return bytes(self._tail[-TAIL_BYTES_MAX:]) if self._tail is not None else b""

    def _has_more(self) -> bool:
        """Whether the pipe holds something; a read would say so by an exception, which is slow."""
        return self._fd >= 0 and fcntl.ioctl(self._fd, termios.FIONREAD, _ZERO) != _ZERO

    def drain(self) -> None:
        """Take what is in the pipe now. What was printed before a reply is before it here too.

        What is printed from here on counts anew.
        """
        taken = 0
        while taken < DRAIN_BYTES_MAX and self._fd >= 0:
            count = self._read()
            if count == 0:
                break
            taken += count
        self._end_line()
        self._stop_dropping()
        self._left = self._bytes_max

    def _end_line(self) -> None:
        """What has no line end yet becomes a line."""
        if self._partial:
            line, self._partial = self._partial, b""
            self._lines(line)

    def close(self) -> None:
        self.drain()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._fd < 0:
            return
        self._end_line()
        self._stop_dropping()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _readable(self) -> None:
        if self._null_fd < 0:
            self._read()
        else:
            self._loop.remove_reader(self._fd)
            self._give_way()

    def _read(self) -> int:
        """Take some of what is there, and say how much; 0 when there is nothing or no more."""
        try:
            if self._null_fd >= 0:
                count = os.splice(
                    self._fd, self._null_fd, DRAIN_BYTES_MAX, flags=os.SPLICE_F_NONBLOCK
                )
                self._dropped += count
            else:
                data = os.read(self._fd, READ_BYTES)
                count = len(data)
                self._take(data)
        except BlockingIOError:
            return 0
        if not count:
            self._hang_up()
        return count

    def _take(self, data: bytes) -> None:
        """Log the lines that `data` completes."""
        lines, newline, self._partial = (self._partial + data).rpartition(b"\n")
        if newline:
            self._lines(_cut(lines))
        if len(self._partial) > LINE_BYTES_MAX:
            line, self._partial = self._partial[:LINE_BYTES_MAX], self._partial[LINE_BYTES_MAX:]
            self._lines(line)
        if self._null_fd >= 0:
            self._dropped += len(self._partial)
            self._partial = b""

    def _lines(self, lines: bytes) -> None:
        """One or more whole lines, without the last one's end."""
        prefix = self._prefix(time.time()).encode()
        text = prefix + lines.replace(b"\n", b"\n" + prefix) + b"\n"
        if len(text) <= self._left:
            self._left -= len(text)
            self._write(lines, text)
            return
        kept = text[: text.rfind(b"\n", 0, self._left) + 1]
        count = len(kept) - kept.count(b"\n") * len(prefix)
        if kept:
            self._write(lines[: count - 1], kept)
        self._left = 0
        self._dropped += len(lines) + 1 - count
        self._start_dropping()

    def _prefix(self, now_s: float) -> str:
        return f"{stamp(now_s)} {self._name}\t"

    def _write(self, lines: bytes, text: bytes) -> None:
        """To the log `text`, which is the lines as they stand there; to the tail just the lines."""
        self.show_start()
        self._log.write(text)
        if self._tail is not None:
            self._tail += lines[-TAIL_BYTES_MAX:] + b"\n"
            if len(self._tail) > 2 * TAIL_BYTES_MAX:
                del self._tail[:-TAIL_BYTES_MAX]

    def _start_dropping(self) -> None:
        if self._null_fd >= 0:
            return
        self.note(self._form.dropping(self._bytes_max))
        self._null_fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        # Without the right to a large pipe the function is merely slower.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, DRAIN_BYTES_MAX)

    def _stop_dropping(self) -> None:
        """The log takes lines again, first of all how much it has not taken."""
        if self._null_fd < 0:
            return
        self.note(self._form.dropped(time.time(), self._dropped))
        self._dropped = 0
        os.close(self._null_fd)
        self._null_fd = -1
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._loop.add_reader(self._fd, self._readable)

    def _give_way(self) -> None:
        self._timer = self._loop.call_later(GIVE_WAY_S, self._drop)

    def _drop(self) -> None:
        """Go on as long as something comes; when nothing has, wait for it as ever."""
        self._timer = None
        if self._read():
            self._give_way()
        elif self._fd >= 0:
            self._loop.add_reader(self._fd, self._readable)


def _cut(lines: bytes) -> bytes:
    """Cut the first line in two when it is too long; the others came with one read, and are not."""
    end = lines.find(b"\n")
    if (len(lines) if end < 0 else end) > LINE_BYTES_MAX:
        return lines[:LINE_BYTES_MAX] + b"\n" + lines[LINE_BYTES_MAX:]
    return lines


def _told(text: str, prefix: str = "") -> str:
    """Lines of the platform's as they stand in the log."""
    if not text:
        return ""
    lines = text.replace("\n", f"\n{prefix}")
    return f"{prefix}{lines}\n"
