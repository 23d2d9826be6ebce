"""Lines by time and by stream, out of files that grow, turn over and come late."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microfaas.log import FunctionLog, LogFile, LogIndex, path_of, stamp
from microfaas.log.index import Line, Step, Wanted
from microfaas.log.streams import StreamNames, nameless, short_of, stream_name

T0_MS = 1_795_473_060_000
ALL = Wanted(0, 10**14)
A, B = "0a1b2c3d", "ffffffff"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return path_of(str(tmp_path), "f")


def line(after_ms: int, text: str = "x", process: str = A) -> bytes:
    return f"{stamp((T0_MS + after_ms) / 1000)} {process}\t{text}\n".encode()


def written(path: str, *lines: bytes, bytes_max: int = 10**6, files_max: int = 50) -> LogFile:
    file = LogFile(path, bytes_max, files_max)
    for each in lines:
        file.write(each)
        file.flush()
    file.close()
    return file


def texts(index: LogIndex, wanted: Wanted = ALL, *, backward: bool = False) -> list[str]:
    found = index.lines(wanted, backward=backward)
    return [each.text for each in found if isinstance(each, Line)]


def test_lines_are_in_the_order_of_their_times(path: str) -> None:
    written(path, line(5, "b"), line(3, "a"), line(9, "c"))
    assert texts(LogIndex(path)) == ["a", "b", "c"]
    assert texts(LogIndex(path), backward=True) == ["c", "b", "a"]


def test_lines_of_one_moment_are_in_the_order_in_which_they_were_written(path: str) -> None:
    written(path, *(line(1, str(n)) for n in range(12)))
    assert texts(LogIndex(path)) == [str(n) for n in range(12)]


def test_a_time_has_its_begin_and_not_its_end(path: str) -> None:
    written(path, *(line(n, str(n)) for n in range(10)))
    assert texts(LogIndex(path), Wanted(T0_MS + 3, T0_MS + 5)) == ["3", "4"]


def test_a_process_has_its_own(path: str) -> None:
    written(path, line(1, "a"), line(2, "b", B), line(3, "c"))
    wanted = Wanted(0, 10**14, frozenset([B]))
    assert texts(LogIndex(path), wanted) == ["b"]
    spans = LogIndex(path).spans()
    assert spans == {A: (T0_MS + 1, T0_MS + 3), B: (T0_MS + 2, T0_MS + 2)}


def test_an_index_sees_what_was_appended(path: str) -> None:
    index = LogIndex(path)
    assert texts(index) == []
    written(path, line(1, "a"))
    assert texts(index) == ["a"]
    written(path, line(2, "b"))
    assert texts(index) == ["a", "b"]


def test_a_line_is_not_told_before_its_end(path: str) -> None:
    written(path, line(1, "a"))
    with open(path, "ab") as file:
        file.write(line(2, "b")[:-1])
    index = LogIndex(path)
    assert texts(index) == ["a"]
    with open(path, "ab") as file:
        file.write(b"\n")
    assert texts(index) == ["a", "b"]


def test_places_outlive_a_rotation(path: str) -> None:
    index = LogIndex(path)
    lines = [line(n, str(n)) for n in range(20)]
    written(path, *lines[:5], bytes_max=100)
    before = [each.place for each in index.lines(ALL) if isinstance(each, Line)]
    written(path, *lines[5:], bytes_max=100)
    after = [each.place for each in index.lines(ALL) if isinstance(each, Line)]
    assert after[:5] == before
    assert len(set(after)) == 20
    assert after == sorted(after)
    assert all(place < 10**56 for place in after)


def test_what_was_emptied_is_read_anew(path: str) -> None:
    written(path, line(1, "a"), line(2, "b"))
    index = LogIndex(path)
    assert texts(index) == ["a", "b"]
    os.truncate(path, 0)
    written(path, line(3, "c"))
    assert texts(index) == ["c"]


def test_a_line_may_be_longer_than_a_block(path: str) -> None:
    written(path, line(1, "a"), line(2, "b" * 300_000), line(3, "c"))
    assert [len(text) for text in texts(LogIndex(path))] == [1, 300_000, 1]


def test_torn_lines_are_passed_over(path: str) -> None:
    written(path, line(1, "a"), b"2026-99-99T99:99:99.000Z torn\n", line(2, "b"))
    assert texts(LogIndex(path)) == ["a", "b"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=300), st.integers(0, 400), st.booleans())
def test_whatever_the_order_of_writing(
    tmp_path_factory: pytest.TempPathFactory, moments: list[int], start: int, backward: bool
) -> None:
    path = path_of(str(tmp_path_factory.mktemp("log")), "f")
    lines = [line(at, f"{at} {n} {'x' * 3000}") for n, at in enumerate(moments)]
    written(path, *lines, bytes_max=200_000)
    found = list(LogIndex(path).lines(Wanted(T0_MS + start, 10**14), backward=backward))
    kept = sorted((at, n) for n, at in enumerate(moments) if at >= start)
    told = [
        (int(each.text.split()[0]), int(each.text.split()[1]))
        for each in found
        if isinstance(each, Line)
    ]
    if backward:
        told.reverse()
    assert [at for at, _ in told] == [at for at, _ in kept]
    assert sorted(told) == kept
    places = [each.place for each in found]
    assert places == sorted(places, reverse=backward)


def test_a_step_says_how_much_was_looked_through(path: str) -> None:
    written(path, *(line(n, "x" * 1000) for n in range(200)))
    steps = [each for each in LogIndex(path).lines(ALL) if isinstance(each, Step)]
    assert sum(step.size for step in steps) == os.path.getsize(path)
    assert len(steps) > 2


def test_names_of_streams_are_kept_beside_the_log(path: str) -> None:
    log = FunctionLog(path, 1000, 2)
    stream = stream_name("7", "0a1b2c3d" * 4)
    log.begin_stream(stream)
    log.write(line(1))
    log.close()
    names = StreamNames(path)
    assert names.refresh() == {A: stream}
    assert short_of(stream) == A
    log.begin_stream(stream_name("$LATEST", "e" * 32))
    log.close()
    assert set(names.refresh()) == {A, "eeeeeeee"}
    assert sorted(os.listdir(os.path.dirname(path))) == ["f.log", "f.streams"]


def test_names_turn_over_with_the_log(path: str) -> None:
    log = FunctionLog(path, 4000, 2)
    for number in range(200):
        log.begin_stream(stream_name("$LATEST", f"{number:08x}" * 4))
        for after in range(3):
            log.write(line(number * 3 + after, "x" * 40, f"{number:08x}"))
        log.flush()
    log.close()
    kept = LogIndex(path).spans()
    assert 20 < len(kept) < 200
    assert kept.keys() <= StreamNames(path).refresh().keys()


def test_a_process_whose_name_is_not_kept_has_one_that_stays() -> None:
    assert nameless(A, T0_MS) == f"2026/11/23/[$LATEST]{A}{'0' * 24}"
