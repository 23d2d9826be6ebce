"""Output over a real pipe: lines, tails, and the platform's own lines to the letter."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from microfaas.model import LogSettings, Status, Usage
from microfaas.pool.output import DRAIN_BYTES_MAX, LINE_BYTES_MAX, TAIL_BYTES_MAX, Output
from microfaas.pool.platform_lines import Ending, form_of

PREFIX = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z abcd0123\t")
BYTES_MAX = 1024 * 1024
OK = Ending()
TIMEOUT = Ending(Status.TIMEOUT, "Sandbox.Timedout")
USAGE = Usage(wall_ms=1.234, billed_ms=2, memory_mb=17)


@dataclass
class Log:
    """A log file in memory."""

    data: bytes = b""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: bytes) -> None:
        self.data += data
        self.arrived.set()

    @property
    def lines(self) -> list[bytes]:
        """What was logged, without the prefixes, which every line must have."""
        *lines, rest = self.data.split(b"\n")
        assert rest == b""
        assert all(PREFIX.match(line) for line in lines)
        return [PREFIX.sub(b"", line, count=1) for line in lines]


@dataclass
class Printing:
    """An Output, what it logs to, and the process's end of the pipe."""

    output: Output
    log: Log
    fd: int

    def put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.fd, rest) :]

    def put_and_drain(self, data: bytes) -> None:
        for start in range(0, len(data), 32 * 1024):
            self.put(data[start : start + 32 * 1024])
            self.output._read()

    def exit(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def report(self, usage: Usage = USAGE, ending: Ending = OK) -> bytes:
        return self.output.end("id", usage, 128, ending)


@pytest.fixture
async def process() -> AsyncIterator[Printing]:
    read_fd, write_fd = os.pipe()
    log = Log()
    made = Printing(Output(read_fd, log, "abcd0123", BYTES_MAX), log, write_fd)  # type: ignore[arg-type]
    yield made
    with contextlib.suppress(OSError, ValueError):
        made.output.close()
    made.exit()


def begun(process: Printing, tail: bool = True) -> Printing:
    process.output.begin("id", "$LATEST", tail)
    return process


async def test_a_line_is_logged_with_moment_and_instance(process: Printing) -> None:
    process.put(b"hello\n")
    process.output.drain()
    assert process.log.lines == [b"hello"]


async def test_a_line_is_logged_when_it_arrives(process: Printing) -> None:
    process.put(b"hello\n")
    await process.log.arrived.wait()
    assert process.log.lines == [b"hello"]


async def test_several_lines_in_one_piece_are_several_lines(process: Printing) -> None:
    process.put(b"one\n\ntwo\nthree\n")
    process.output.drain()
    assert process.log.lines == [b"one", b"", b"two", b"three"]


async def test_a_line_in_pieces_is_one_line(process: Printing) -> None:
    process.put_and_drain(b"he")
    process.put_and_drain(b"llo\n")
    assert process.log.lines == [b"hello"]


async def test_bytes_that_are_not_text_are_logged_as_they_are(process: Printing) -> None:
    process.put(b"\xff\x00\xfe\n")
    process.output.drain()
    assert process.log.lines == [b"\xff\x00\xfe"]


async def test_what_ends_without_a_newline_is_a_line_when_the_invocation_ends(
    process: Printing,
) -> None:
    begun(process).put(b"no newline")
    process.report()
    assert process.log.lines[1] == b"no newline"


async def test_a_very_long_line_is_cut_and_nothing_is_lost(process: Printing) -> None:
    text = os.urandom(LINE_BYTES_MAX * 3).replace(b"\n", b"-")
    process.put_and_drain(text + b"\n")
    assert b"".join(process.log.lines) == text
    assert len(process.log.lines) >= 3


@pytest.mark.parametrize("offset", [1, 10, 40_000])
async def test_no_line_is_longer_than_the_bound(process: Printing, offset: int) -> None:
    process.put_and_drain(b"x" * (LINE_BYTES_MAX - offset))
    process.put_and_drain(b"x" * 30_000 + b"\n")
    assert max(map(len, process.log.lines)) <= LINE_BYTES_MAX


async def test_the_platforms_lines_are_those_of_lambda(process: Printing) -> None:
    begun(process).report()
    assert process.log.lines == [
        b"START RequestId: id Version: $LATEST",
        b"END RequestId: id",
        b"REPORT RequestId: id\tDuration: 1.23 ms\tBilled Duration: 2 ms\t"
        b"Memory Size: 128 MB\tMax Memory Used: 17 MB\t",
    ]


@pytest.mark.parametrize(
    ("usage", "ending", "end"),
    [
        ({"init_ms": 5.6789}, OK, b"Init Duration: 5.68 ms\t"),
        ({"init_ms": 0.0}, Ending(Status.ERROR), b"Init Duration: 0.00 ms\t"),
        ({}, TIMEOUT, b"Status: timeout"),
        ({"init_ms": 1.0}, TIMEOUT, b"Init Duration: 1.00 ms\tStatus: timeout"),
    ],
)
async def test_a_report_ends_with_what_was_special(
    process: Printing, usage: dict[str, Any], ending: Ending, end: bytes
) -> None:
    begun(process).report(Usage(wall_ms=1, billed_ms=1, memory_mb=17, **usage), ending)
    assert process.log.lines[-1].endswith(b"\tMax Memory Used: 17 MB\t" + end)


async def test_a_function_may_have_json_and_leave_out_what_tells_nothing_new() -> None:
    read_fd, write_fd = os.pipe()
    log = Log()
    form = form_of(LogSettings(format="JSON", system_level="WARN"))
    printing = Printing(
        Output(read_fd, log, "abcd0123", BYTES_MAX, form),  # type: ignore[arg-type]
        log,
        write_fd,
    )
    begun(printing).put(b"hello\n")
    assert printing.report() == b"hello\n"
    assert begun(printing).report() == b""
    assert log.lines == [b"hello"]
    begun(printing).report(ending=TIMEOUT)
    assert [json.loads(line)["type"] for line in log.lines[1:]] == [
        "platform.runtimeDone",
        "platform.report",
    ]
    printing.output.close()
    printing.exit()


async def test_what_was_printed_stands_between_start_and_end(process: Printing) -> None:
    begun(process).put(b"hello\n")
    process.report()
    assert [line.split()[0] for line in process.log.lines] == [
        b"START",
        b"hello",
        b"END",
        b"REPORT",
    ]


async def test_the_tail_is_the_same_without_prefixes(process: Printing) -> None:
    begun(process).put(b"hello\npartial")
    tail = process.report()
    assert tail.splitlines() == process.log.lines


async def test_without_being_asked_for_there_is_no_tail(process: Printing) -> None:
    begun(process, tail=False).put(b"hello\n")
    assert process.report() == b""


async def test_a_tail_does_not_reach_back_to_another_invocation(process: Printing) -> None:
    begun(process).put(b"first\n")
    process.report()
    begun(process).put(b"second\n")
    assert b"first" not in process.report()


@pytest.mark.parametrize("lines", [100, 1000, 20_000])
async def test_a_tail_is_the_end_of_the_log(process: Printing, lines: int) -> None:
    begun(process).put_and_drain(b"".join(b"line %d\n" % number for number in range(lines)))
    whole = b"".join(line + b"\n" for line in [*process.log.lines])
    tail = process.report()
    end = b"".join(line + b"\n" for line in process.log.lines)[len(whole) :]
    assert tail == (whole + end)[-TAIL_BYTES_MAX:]


async def test_a_tail_of_one_huge_line_is_bounded(process: Printing) -> None:
    begun(process).put_and_drain(b"x" * LINE_BYTES_MAX + b"\n")
    assert len(process.report()) == TAIL_BYTES_MAX


async def test_a_note_is_a_line(process: Printing) -> None:
    begun(process).output.note("it is over")
    assert process.report().splitlines()[1] == b"it is over"


async def test_closing_takes_what_is_still_in_the_pipe(process: Printing) -> None:
    process.put(b"last words\nand more")
    process.output.close()
    assert process.log.lines == [b"last words", b"and more"]


async def test_closing_after_the_process_has_exited_takes_its_last_words(
    process: Printing,
) -> None:
    process.put(b"last words\nand more")
    process.exit()
    process.output.close()
    assert process.log.lines == [b"last words", b"and more"]


async def test_a_partial_line_before_the_end_of_the_pipe_is_logged(process: Printing) -> None:
    process.put(b"last words")
    process.exit()
    process.output._readable()
    process.output._readable()
    process.output.close()
    assert process.log.lines == [b"last words"]


async def test_closing_twice_is_fine(process: Printing) -> None:
    process.output.close()
    process.output.close()
    assert process.log.lines == []


async def test_an_invocation_may_end_after_the_pipe_has(process: Printing) -> None:
    begun(process).put(b"hello\n")
    process.exit()
    assert process.report().splitlines()[1] == b"hello"


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
        await asyncio.sleep(0.001)


def text_of(process: Printing) -> bytes:
    """What is in the log of what was printed, without START, END, REPORT and the notices."""
    own = (b"START ", b"END ", b"REPORT ", b"[microfaas: ")
    lines = [line + b"\n" for line in process.log.lines if not line.startswith(own)]
    return b"".join(lines)


def dropped(process: Printing) -> int:
    """How many bytes the log says were dropped."""
    found = re.findall(rb"\[microfaas: (\d+) bytes were dropped\]", process.log.data)
    return sum(map(int, found))


FLOODS = {
    "lines": b"0123456789abcde\n" * 2048,
    "empty lines": b"\n" * 32768,
    "long lines": b"x" * 32767 + b"\n",
    "lines without end": b"x" * 32768,
}


@pytest.mark.parametrize("piece", FLOODS.values(), ids=FLOODS.keys())
async def test_a_flood_is_cut_where_the_log_would_be_too_long(
    process: Printing, piece: bytes
) -> None:
    begun(process)
    for _ in range(100):
        process.put_and_drain(piece)
    tail = process.report()
    lines = process.log.lines
    assert lines[0].startswith(b"START")
    notices = [number for number, line in enumerate(lines) if line.startswith(b"[microfaas: ")]
    assert lines[notices[0]] == b"[microfaas: 1 MB are printed, the rest is dropped]"
    assert notices == [len(lines) - 4, len(lines) - 3]
    assert lines[-2] == b"END RequestId: id"
    assert BYTES_MAX - LINE_BYTES_MAX - 100 < len(process.log.data) < BYTES_MAX + 1000
    # A line that was cut has got an end in each of its pieces.
    assert 0 <= len(text_of(process)) + dropped(process) - 100 * len(piece) <= 20
    assert tail.splitlines()[-4:] == lines[-4:]


async def test_what_fits_exactly_is_not_cut(process: Printing) -> None:
    prefix = 34
    for more, cut in ((0, False), (1, True)):
        begun(process)
        line = b"x" * (BYTES_MAX // 4 - prefix - 1) + b"\n"
        for piece in (line, line, line, b"x" * more + line):
            process.put_and_drain(piece)
        process.report()
        assert (b"is dropped" in process.log.data) is cut


async def test_the_next_invocation_prints_again(process: Printing) -> None:
    for number in range(3):
        begun(process)
        for _ in range(100):
            process.put_and_drain(b"x" * 32767 + b"\n")
        process.report()
        process.log.data = b""
        begun(process).put(b"again %d\n" % number)
        process.report()
        assert text_of(process) == b"again %d\n" % number
        assert dropped(process) == 0
        process.log.data = b""


async def test_between_invocations_as_much_may_be_printed(process: Printing) -> None:
    begun(process).report()
    for _ in range(100):
        process.put_and_drain(b"x" * 32767 + b"\n")
    assert BYTES_MAX * 0.9 < len(process.log.data) < BYTES_MAX + 1000
    begun(process).put(b"hello\n")
    process.report()
    lines = process.log.lines
    start = len(lines) - 4
    assert lines[start - 1] == b"[microfaas: %d bytes were dropped]" % dropped(process)
    assert lines[start].startswith(b"START")
    assert lines[start + 1] == b"hello"
    assert len(text_of(process)) + dropped(process) == 100 * 32768 + 6


async def test_the_platforms_own_lines_are_never_dropped(process: Printing) -> None:
    begun(process)
    for _ in range(100):
        process.put_and_drain(b"x" * 32767 + b"\n")
    process.output.note("it is over")
    process.report()
    assert process.log.lines[-4] == b"it is over"


async def test_whoever_floods_is_never_held_up_for_long(process: Printing) -> None:
    """The loop does all of it: what is put into the pipe leaves it, whatever there is to do."""
    begun(process)
    total = 64 * DRAIN_BYTES_MAX
    left = total
    os.set_blocking(process.fd, False)
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def put() -> None:
        nonlocal left
        left -= os.write(process.fd, b"y" * 65535 + b"\n")
        if left <= 0:
            loop.remove_writer(process.fd)
            finished.set()

    loop.add_writer(process.fd, put)
    await finished.wait()
    process.report()
    assert len(text_of(process)) + dropped(process) == total - left
    # And it still hears of a line.
    process.log.arrived.clear()
    begun(process).put(b"hello\n")
    await process.log.arrived.wait()
    assert process.log.lines[-1] == b"hello"


async def test_a_process_that_ends_while_it_floods_lets_go_of_everything(
    process: Printing,
) -> None:
    before = os.listdir("/proc/self/fd")
    begun(process)
    for _ in range(100):
        process.put_and_drain(b"x" * 32767 + b"\n")
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    process.exit()
    await until(lambda: len(os.listdir("/proc/self/fd")) == len(before) - 2)
    assert dropped(process) > 0
    process.report()


async def test_what_floods_costs_nothing_while_it_is_quiet(process: Printing) -> None:
    begun(process)
    for _ in range(100):
        process.put_and_drain(b"x" * 32767 + b"\n")
    for _ in range(3):
        process.put(b"more\n")
        await until(lambda: not process.output._has_more())
        await until(lambda: process.output._timer is None)
    process.report()
    assert len(text_of(process)) + dropped(process) == 100 * 32768 + 15
