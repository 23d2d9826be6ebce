"""What is appended to a log is read once, whatever becomes of its files meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microfaas.log import FunctionLog, path_of, stamp, stream_name
from microfaas.log.growing import LogTail

T0_S = 1_795_473_060
STREAM = stream_name("$LATEST", "0a1b2c3d" * 4)
ALL = 10**9


@pytest.fixture
def path(tmp_path: Path) -> str:
    return path_of(str(tmp_path), "f")


def log_of(path: str, bytes_max: int = 10**6, files_max: int = 50) -> FunctionLog:
    log = FunctionLog(path, bytes_max, files_max)
    log.begin_stream(STREAM)
    return log


def said(log: FunctionLog, *texts: str, at_s: float = T0_S) -> None:
    for text in texts:
        log.write(f"{stamp(at_s)} 0a1b2c3d\t{text}\n".encode())
        log.flush()


def texts(tail: LogTail, bytes_max: int = ALL) -> list[str]:
    return [text for _, _, text in tail.read(bytes_max)[0]]


def test_only_what_comes_is_read_and_only_once(path: str) -> None:
    log = log_of(path)
    said(log, "before")
    tail, whole = LogTail(path), LogTail(path, whole=True)
    assert tail.read(ALL) == ([], False)
    said(log, "one", "two")
    assert tail.read(ALL) == ([(T0_S * 1000, STREAM, "one"), (T0_S * 1000, STREAM, "two")], False)
    assert tail.read(ALL) == ([], False)
    assert texts(whole) == ["before", "one", "two"]


def test_a_log_that_is_not_there_yet_is_read_from_its_beginning(path: str) -> None:
    tail = LogTail(path)
    assert tail.read(ALL) == ([], False)
    said(log_of(path), "first")
    assert texts(tail) == ["first"]


def test_a_log_that_was_removed_begins_anew(path: str) -> None:
    log = log_of(path)
    said(log, "one")
    tail = LogTail(path)
    Path(path).unlink()
    assert texts(tail) == []
    said(log, "two", at_s=T0_S + 1)
    assert texts(tail) == ["two"]


def test_a_file_that_was_emptied_is_read_again(path: str) -> None:
    log = log_of(path)
    said(log, "a longer one", "two")
    tail = LogTail(path)
    Path(path).write_bytes(b"")
    said(log, "three")
    assert texts(tail) == ["three"]


def test_of_too_much_the_end_is_read(path: str) -> None:
    log = log_of(path, bytes_max=200)
    tail = LogTail(path)
    said(log, *(f"{n:03}" for n in range(100)))
    found, lost = tail.read(500)
    assert lost
    numbers = [int(text) for _, _, text in found]
    assert numbers == list(range(100 - len(numbers), 100))
    assert 10 <= len(numbers) < 20
    assert tail.read(500) == ([], False)


def test_a_line_is_read_when_its_end_is_there(path: str) -> None:
    log = log_of(path)
    said(log, "one")
    tail = LogTail(path)
    with open(path, "ab") as file:
        file.write(f"{stamp(T0_S)} 0a1b2c3d\tbeg".encode())
        file.flush()
        assert texts(tail) == []
        file.write(b"un\n")
    assert texts(tail) == ["begun"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=30), st.integers(50, 600))
def test_files_turn_over_between_looks(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], bytes_max: int
) -> None:
    path = path_of(str(tmp_path_factory.mktemp("logs")), "f")
    log, tail = log_of(path, bytes_max), LogTail(path)
    seen: list[str] = []
    for count in counts:
        said(log, *(str(n) for n in range(len(seen), len(seen) + count)))
        seen += texts(tail)
    assert seen == [str(n) for n in range(sum(counts))]
