"""Log files as one sequence of lines, whatever is done to them while they are read."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microfaas.triggers.tail_files import CUT_MARK, Tail, cut
from microfaas.triggers.tail_known import Position


class Log:
    """A log, who writes it, and who reads it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.path = folder / "access.log"
        self.options = {"at_end": False, "line_max": 1000, "quiet_s": 0.0, **options}
        self.lines: list[bytes] = []
        self.position: Position | None = None
        self.tail = self.opened()

    def opened(self) -> Tail:
        kept = self.position and msgspec.msgpack.decode(
            msgspec.msgpack.encode(self.position), type=Position
        )
        return Tail(str(self.path), kept, **self.options)

    def write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def read(self, chunks: int = 1000) -> list[bytes]:
        """Read as the loop would; what was read is kept with the position behind it."""
        for _ in range(chunks):
            chunk = self.tail.read()
            self.lines += chunk.lines
            self.position = chunk.position
            if not chunk.more:
                break
        return self.lines

    def crash(self) -> None:
        self.tail.close()
        self.tail = self.opened()

    def shift(self) -> None:
        for number in range(40, 0, -1):
            old = self.path.with_name(f"access.log.{number}")
            if old.exists():
                old.rename(self.path.with_name(f"access.log.{number + 1}"))

    def rotate(self) -> None:
        self.shift()
        if self.path.exists():
            self.path.rename(self.path.with_name("access.log.1"))

    def copy_and_truncate(self) -> None:
        self.shift()
        if self.path.exists():
            shutil.copyfile(self.path, self.path.with_name("access.log.1"))
            os.truncate(self.path, 0)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_a_partial_line_is_held_until_it_is_whole(log: Log) -> None:
    log.write(b"one\ntw")
    assert log.read() == [b"one"]
    log.crash()
    log.write(b"o\n\n")
    assert log.read() == [b"one", b"two", b""]


def test_a_file_may_come_later(log: Log) -> None:
    assert log.read() == []
    log.write(b"first\n")
    assert log.read() == [b"first"]


def test_from_the_end_a_line_that_is_begun_comes_whole(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(b"old\nbeg")
    log = Log(tmp_path, at_end=True)
    assert log.read() == []
    log.crash()
    log.write(b"un\nnew\n")
    assert log.read() == [b"begun", b"new"]


def test_from_the_end_within_a_line_too_long_the_next_one_is_the_first(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(b"x" * 5000)
    log = Log(tmp_path, at_end=True)
    log.read()
    log.write(b"x\nnext\n")
    assert log.read() == [b"next"]


def test_a_file_that_comes_after_the_start_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = Log(tmp_path, at_end=True)
    log.read()
    log.crash()
    log.write(b"first\n")
    assert log.read() == [b"first"]


def test_a_long_line_is_cut_and_marked(log: Log) -> None:
    log.write(b"a" * 1000 + b"\n" + b"b" * 1001 + b"\n" + b"c" * 5000)
    marked = [b"a" * 1000, b"b" * 1000 + CUT_MARK, b"c" * 1000 + CUT_MARK]
    assert log.read() == marked
    log.crash()
    log.write(b"c" * 5000 + b"\nnext\n")
    assert log.read() == [*marked, b"next"]


def test_the_rest_of_a_rotated_file_comes_first(log: Log) -> None:
    log.write(b"1\n")
    log.read()
    log.write(b"2\n3")
    log.rotate()
    log.write(b"4\n")
    assert log.read() == [b"1", b"2", b"3", b"4"]


def test_a_rotated_file_is_left_once_it_was_quiet(tmp_path: Path) -> None:
    now = 0.0
    log = Log(tmp_path, quiet_s=1.0, clock=lambda: now)
    log.write(b"1\n")
    log.read()
    log.rotate()
    log.write(b"new\n")
    assert log.read() == [b"1"]
    with (tmp_path / "access.log.1").open("ab") as late:
        late.write(b"2\n")
    now = 0.9
    assert log.read() == [b"1", b"2"]
    now = 1.8
    assert log.read() == [b"1", b"2"]
    now = 2.0
    assert log.read() == [b"1", b"2", b"new"]


def test_rotations_while_nobody_read(log: Log) -> None:
    log.write(b"1\n")
    log.read()
    for number in range(2, 5):
        log.write(b"%d\n" % number)
        log.rotate()
    log.write(b"5\n")
    log.crash()
    assert log.read() == [b"1", b"2", b"3", b"4", b"5"]


def test_what_was_copied_before_a_truncation_is_read_from_the_copy(log: Log) -> None:
    log.write(b"1\n")
    log.read()
    log.write(b"2\n")
    log.copy_and_truncate()
    log.write(b"3\n4\n5\n6\n")  # longer than what was read
    assert log.read() == [b"1", b"2", b"3", b"4", b"5", b"6"]
    log.crash()
    assert log.read() == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_a_truncation_without_a_copy_starts_over(log: Log) -> None:
    log.write(b"1\n2\n")
    log.read()
    os.truncate(log.path, 0)
    log.write(b"3\n")
    assert log.read() == [b"1", b"2", b"3"]


def test_a_file_that_has_gone_is_missed(log: Log) -> None:
    log.write(b"1\n2\n")
    log.read()
    log.path.unlink()
    log.write(b"other\n")
    log.crash()
    assert "lines may be missing" in log.tail.warning
    assert log.read() == [b"1", b"2", b"other"]


def test_what_is_no_file_is_refused(log: Log) -> None:
    log.path.mkdir()
    with pytest.raises(OSError, match="regular file"):
        log.read()


@given(
    line_max=st.integers(1, 20),
    parts=st.lists(st.text("ab\n", max_size=30).map(str.encode), max_size=10),
)
def test_cutting_does_not_depend_on_where_reading_stopped(
    line_max: int, parts: list[bytes]
) -> None:
    whole = b"".join(parts)
    wanted, _, _ = cut(whole + b"\n", line_max, False)
    lines: list[bytes] = []
    rest, cutting = b"", False
    for part in [*parts, b"\n"]:
        data = rest + part
        more, consumed, cutting = cut(data, line_max, cutting)
        lines, rest = lines + more, data[consumed:]
        assert len(rest) <= line_max
    assert lines == wanted


ACTIONS = st.lists(
    st.sampled_from(["write", "write", "part", "read", "read one", "crash", "rotate", "truncate"]),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(ACTIONS)
def test_no_line_is_lost_or_doubled_whatever_happens(actions: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder))
        log.write(b"begin\n")
        log.read()
        wanted = [b"begin"]
        pending = b""
        for number, action in enumerate(actions):
            match action:
                case "write":
                    for inner in range(3):
                        line = b"line %d of step %d of a log" % (inner, number)
                        log.write(line + b"\n")
                        wanted.append(pending + line)
                        pending = b""
                case "part":
                    log.write(b"part %d " % number)
                    pending += b"part %d " % number
                case "read":
                    log.read()
                case "read one":
                    log.read(1)
                case "crash":
                    log.crash()
                case "rotate":
                    if pending:
                        wanted.append(pending)
                        pending = b""
                    log.rotate()
                case "truncate":
                    if pending:
                        wanted.append(pending)
                        pending = b""
                    log.copy_and_truncate()
        log.write(b"end\n")
        wanted.append(pending + b"end")
        log.read()
        assert log.lines == wanted
        log.tail.close()
