"""Function logs: written, rotated, torn by a full disk, read and followed."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from microfaas import log
from microfaas.log import LogFile, writing

ID = "0a1b2c3d"
MIB = 1024 * 1024


def line(text: str) -> bytes:
    return f"{log.stamp(1_795_473_060.123)} {ID}\t{text}\n".encode()


def texts(lines: list[str]) -> list[str]:
    return [entry.text for entry in log.entries(lines)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "logs" / "hello.log")


@pytest.mark.parametrize(
    ("epoch_s", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_473_060.123, "2026-11-23T22:31:00.123Z"),
        (1_795_473_060.9999, "2026-11-23T22:31:00.999Z"),
    ],
)
def test_stamp_is_utc_with_milliseconds(epoch_s: float, text: str) -> None:
    assert log.stamp(epoch_s) == text


def test_writes_nothing_before_the_flush_and_all_of_it_then(path: str) -> None:
    file = LogFile(path, MIB, 3)
    file.write(line("one"))
    file.write(line("two"))
    assert not os.path.exists(path)
    file.flush()
    assert Path(path).read_bytes() == line("one") + line("two")
    assert os.stat(path).st_mode & 0o777 == 0o640


def test_a_burst_is_flushed_early(path: str) -> None:
    file = LogFile(path, 100 * MIB, 3)
    for _ in range(10):
        file.write(b"x" * (log.BUFFER_BYTES_MAX // 4 - 1) + b"\n")
    assert os.path.getsize(path) >= 2 * log.BUFFER_BYTES_MAX


def test_rotates_and_keeps_so_many_files(path: str) -> None:
    file = LogFile(path, len(line("00")) * 2, 2)
    for number in range(10):
        file.write(line(f"{number:02}"))
        file.flush()
    assert sorted(os.listdir(os.path.dirname(path))) == ["hello.log", "hello.log.1", "hello.log.2"]
    assert texts(list(log.read(path))) == ["04", "05", "06", "07", "08", "09"]
    assert all(
        os.path.getsize(found.path) <= file._bytes_max
        for found in os.scandir(os.path.dirname(path))
    )


def test_a_lower_number_of_files_is_soon_obeyed(path: str) -> None:
    file = LogFile(path, 1, 5)
    for number in range(8):
        file.write(line(str(number)))
        file.flush()
    file.close()
    file = LogFile(path, 1, 2)
    file.write(line("8"))
    file.flush()
    assert texts(list(log.read(path))) == ["6", "7", "8"]


def test_goes_on_in_the_file_that_is_there(path: str) -> None:
    for text in ("one", "two"):
        file = LogFile(path, MIB, 3)
        file.write(line(text))
        file.close()
    assert texts(list(log.read(path))) == ["one", "two"]


def test_a_file_that_nothing_is_written_to_is_let_go_of(path: str) -> None:
    file = LogFile(path, MIB, 3)

    def is_open() -> bool:
        links = [os.path.join("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd")]
        return path in [os.readlink(link) for link in links if os.path.lexists(link)]

    file.write(line("one"))
    for _ in range(writing.IDLE_FLUSHES_MAX):
        file.flush()
        assert is_open()
    file.flush()
    assert not is_open()
    file.write(line("two"))
    file.flush()
    assert Path(path).read_bytes() == line("one") + line("two")


@pytest.mark.parametrize("how", ["deleted", "moved", "directory deleted"])
def test_makes_a_file_that_somebody_took_away_again(path: str, how: str) -> None:
    file = LogFile(path, MIB, 3)
    file.write(line("one"))
    file.flush()
    if how == "moved":
        os.rename(path, f"{path}.old")
    else:
        os.unlink(path)
    if how == "directory deleted":
        os.rmdir(os.path.dirname(path))
    file.write(line("two"))
    file.flush()
    assert texts(log.tail(path, 10)) == ["two"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_loses_lines_but_never_raises(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(small_disk / "hello.log")
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 50_000)
    file = LogFile(path, MIB, 3)
    written = [line(f"{number:05}") for number in range(2000)]
    for data in written:
        file.write(data)
        file.flush()
    assert file.dropped_bytes > 0
    assert len(caplog.records) < 4
    ballast.unlink()
    file.write(line("after"))
    file.flush()
    file.close()
    assert file.dropped_bytes == 0
    found = texts(list(log.read(path)))
    assert found[-1] == "after"
    assert "microfaas lost" in found[-2]
    assert "No space left on device" in found[-2] or "full" in found[-2]
    kept = [text for text in found if len(text) == 5 and text.isdigit()]
    assert kept == [f"{number:05}" for number in range(len(kept))]
    lost = int(found[-2].split()[2])
    assert sum(map(len, written)) == len(kept) * len(line("00000")) + lost + torn_bytes(path)


def torn_bytes(path: str) -> int:
    """Of a line that the disk took only a part of."""
    lines = Path(path).read_bytes().split(b"\n")
    return sum(len(data) for data in lines if data and len(data) < len(line("")))


def test_the_notice_comes_without_a_new_line_too(path: str) -> None:
    os.makedirs(path)
    file = LogFile(path, MIB, 3)
    file.write(line("lost"))
    file.flush()
    os.rmdir(path)
    file.flush()
    assert texts(log.tail(path, 5)) == [
        f"microfaas lost {len(line('lost'))} bytes of this log: Is a directory"
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 100])
def test_tail_reads_across_files(path: str, count: int) -> None:
    file = LogFile(path, len(line("0")) * 3, 5)
    for number in range(8):
        file.write(line(str(number)))
        file.flush()
    assert texts(log.tail(path, count)) == [str(n) for n in range(8)][8 - min(count, 8) :]


def test_tail_reads_across_blocks_and_keeps_odd_characters(path: str) -> None:
    wanted = [f"{number} \r \u2028 ü" + "x" * 50 for number in range(5000)]
    file = LogFile(path, 100 * MIB, 2)
    for text in wanted:
        file.write(line(text))
    file.close()
    assert texts(log.tail(path, 4000)) == wanted[1000:]
    assert texts(log.tail(path, 9999)) == wanted


def test_what_is_not_there_has_no_lines(path: str) -> None:
    assert log.tail(path, 5) == []
    assert list(log.read(path)) == []


def test_lines_of_unknown_form_are_all_text() -> None:
    assert list(log.entries(["what", "2026-11-23T22:31:00.123Z 0a1b2c3d\ta\tb"])) == [
        ("", "", "what"),
        ("2026-11-23T22:31:00.123Z", "0a1b2c3d", "a\tb"),
    ]


def test_lines_of_one_request_among_others() -> None:
    rows = [
        ("a", "START RequestId: one Version: $LATEST"),
        ("b", "START RequestId: two Version: $LATEST"),
        ("a", "mine"),
        ("b", "other"),
        ("a", "END RequestId: one"),
        ("a", "REPORT RequestId: one\tDuration: 1.00 ms\t"),
        ("a", "START RequestId: three Version: $LATEST"),
    ]
    found = log.of_request((log.Entry("", instance, text) for instance, text in rows), "one")
    assert [entry.text for entry in found] == [rows[n][1] for n in (0, 2, 4, 5)]


def test_one_request_is_found_among_records_too() -> None:
    rows = [
        ("a", '{"time":"t","type":"platform.start","record":{"requestId":"one"}}'),
        ("b", '{"time":"t","type":"platform.start","record":{"requestId":"two"}}'),
        ("a", "plain"),
        ("b", "another"),
        ("a", '{"time":"t","type":"platform.report","record":{"requestId":"one"}}'),
        ("a", "later"),
        ("b", '{"timestamp": "t", "requestId": "one"}'),
        ("b", '{"timestamp": "t", "requestId": "one more"}'),
    ]
    found = log.of_request((log.Entry("", instance, text) for instance, text in rows), "one")
    assert [entry.text for entry in found] == [rows[n][1] for n in (0, 2, 4, 6)]


def test_follow_sees_every_line_once_through_rotations(path: str) -> None:
    count = 3000
    file = LogFile(path, len(line("0000")) * 40, 100)
    file.write(line("past 1"))
    file.write(line("past 2"))
    file.flush()

    def write() -> None:
        for number in range(count):
            file.write(line(f"{number:04}"))
            if number % 7 == 0:
                file.flush()
        file.close()

    writer = threading.Thread(target=write)
    with contextlib.closing(log.follow(path, 1, poll_s=0.001)) as lines:
        assert texts([next(lines)]) == ["past 2"]
        writer.start()
        assert texts(list(itertools.islice(lines, count))) == [f"{n:04}" for n in range(count)]
    writer.join()


def test_follow_waits_for_the_file(path: str) -> None:
    file = LogFile(path, MIB, 3)
    file.write(line("first"))
    timer = threading.Timer(0.05, file.flush)
    timer.start()
    with contextlib.closing(log.follow(path, 5, poll_s=0.001)) as lines:
        assert texts([next(lines)]) == ["first"]


@pytest.mark.parametrize("how", ["emptied", "deleted"])
def test_follow_goes_on_after_somebody_cleared_the_log(path: str, how: str) -> None:
    file = LogFile(path, MIB, 3)
    file.write(line("a long first line"))
    file.flush()
    with contextlib.closing(log.follow(path, 1, poll_s=0.001)) as lines:
        next(lines)
        if how == "emptied":
            os.truncate(path, 0)
        else:
            os.unlink(path)
        timer = threading.Timer(0.05, lambda: (file.write(line("new")), file.flush()))
        timer.start()
        assert texts([next(lines)]) == ["new"]


@pytest.fixture
def _restored_logger() -> Iterator[None]:
    logger = logging.getLogger("microfaas")
    handlers, propagate, level = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.mark.usefixtures("_restored_logger")
@pytest.mark.parametrize(
    ("verbosity", "levels"),
    [(-1, ["warning"]), (0, ["info", "warning"]), (1, ["debug", "info", "warning"])],
)
def test_own_log_goes_to_stderr(
    capsys: pytest.CaptureFixture[str], verbosity: int, levels: list[str]
) -> None:
    log.setup(verbosity, color=False)
    log.setup(verbosity, color=False)
    logger = logging.getLogger("microfaas.pool")
    logger.debug("details")
    logger.info("news")
    logger.warning("trouble")
    rows = [row.split(" ", 2) for row in capsys.readouterr().err.splitlines()]
    assert [level for _, level, _ in rows] == levels
    assert all(len(time) == 8 for time, _, _ in rows)


@pytest.mark.usefixtures("_restored_logger")
def test_own_log_has_colours_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(0, color=True)
    logging.getLogger("microfaas").error("bad")
    assert "\x1b[31merror\x1b[0m bad" in capsys.readouterr().err
