"""The database with real files: group commit, faults of the disk, readers beside the writer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from microfaas.errors import MachineError
from microfaas.store.db import Database
from microfaas.store.writer import ROWS_PER_STEP


def object_row(key: str, size: int = 1) -> tuple[object, ...]:
    return ("b", key, size, 2, 3, 4, "handled")


def keys(db: Database) -> list[str]:
    params = {"bucket": "b", "after": "", "before": "\U0010ffff", "limit": 100_000}
    return [key for (key,) in db.read("keys", params)]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "data" / "store.db"))
    database.open()
    yield database
    database.close()


async def test_what_is_awaited_is_there(db: Database) -> None:
    await db.write("record_objects", [object_row("k")])
    assert keys(db) == ["k"]


async def test_many_writers_share_commits_and_all_is_written(db: Database) -> None:
    names = [f"{number:05}" for number in range(3 * ROWS_PER_STEP + 1)]
    await asyncio.gather(*(db.write("record_objects", [object_row(name)]) for name in names))
    assert keys(db) == names


async def test_order_is_kept_between_statements(db: Database) -> None:
    await asyncio.gather(
        db.write("record_objects", [object_row("k", 1)]),
        db.write("forget_objects", [("b", "k")]),
        db.write("record_objects", [object_row("k", 2), object_row("l")]),
        db.write("forget_objects", [("b", "l")]),
        db.write("record_objects", [object_row("k", 3)]),
    )
    assert db.read("object", {"bucket": "b", "key": "k"}) == [("k", 3, 2, 3)]
    assert keys(db) == ["k"]


async def test_a_bad_row_fails_alone(db: Database) -> None:
    bad = ("b", "bad", None, 2, 3, 4, "handled")
    good = [db.write("record_objects", [object_row(str(number))]) for number in range(5)]
    results = await asyncio.gather(
        *good[:3], db.write("record_objects", [bad]), *good[3:], return_exceptions=True
    )
    assert [type(result) for result in results].count(MachineError) == 1
    assert keys(db) == list("01234")


@pytest.mark.parametrize("value", ["\udcff", 2**70, object()])
async def test_a_value_that_sqlite_cannot_hold_is_an_error(db: Database, value: object) -> None:
    with pytest.raises(MachineError):
        await db.write("record_objects", [("b", value, 1, 2, 3, 4, "handled")])
    await db.write("record_objects", [object_row("after")])
    assert keys(db) == ["after"]


async def test_several_statements_are_all_or_nothing(db: Database) -> None:
    bad = ("b", "bad", None, 2, 3, 4, "handled")
    with pytest.raises(MachineError):
        await db.write_all(
            [("record_objects", [object_row("k")]), ("record_objects", [bad])],
        )
    assert keys(db) == []


async def test_no_rows_are_no_work(db: Database) -> None:
    await db.write("record_objects", [])


async def test_a_writer_that_was_cancelled_harms_nobody(db: Database) -> None:
    tasks = [asyncio.create_task(db.write("record_objects", [object_row("a")])) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert keys(db) == ["a"]


async def test_close_writes_what_is_queued(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    db = Database(path)
    db.open()
    names = [str(number) for number in range(100)]
    tasks = [asyncio.create_task(db.write("record_objects", [object_row(n)])) for n in names]
    await asyncio.sleep(0)
    db.close()
    await asyncio.gather(*tasks)
    reader = Database.reader(path)
    assert keys(reader) == sorted(names)
    reader.close()
    with pytest.raises(MachineError, match="not open"):
        await db.write("record_objects", [object_row("late")])


async def test_a_reader_beside_the_server_sees_commits(db: Database) -> None:
    reader = Database.reader(db.path)
    await db.write("record_objects", [object_row("k")])
    assert keys(reader) == ["k"]
    with pytest.raises(MachineError, match="not open for writing"):
        await reader.write("record_objects", [object_row("l")])
    reader.close()


def test_a_reader_of_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no such file"):
        Database.reader(str(tmp_path / "store.db"))


def test_opening_again_keeps_the_schema(tmp_path: Path) -> None:
    for _ in range(2):
        db = Database(str(tmp_path / "a b?#%.db"))
        db.open()
        db.close()
    assert os.listdir(tmp_path) == ["a b?#%.db"]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(MachineError, match="newer microfaas"):
        Database(str(path)).open()
    with pytest.raises(MachineError, match="newer microfaas"):
        Database.reader(str(path))


def test_an_empty_schema_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    with pytest.raises(MachineError, match="version is 0"):
        Database.reader(str(path))


def test_a_reader_names_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is no database, and it is long enough to be looked at\n" * 100)
    with pytest.raises(MachineError, match=r"store\.db: it is damaged .* start microfaas again"):
        Database.reader(str(path))


def test_a_place_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.mkdir()
    with pytest.raises(MachineError, match="cannot open"):
        Database(str(path)).open()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_is_survived(small_disk: Path) -> None:
    db = Database(str(small_disk / "store.db"))
    db.open()
    await db.write("record_objects", [object_row("before")])
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    big = "k" * 50_000
    writes = [db.write("record_objects", [object_row(f"{number}{big}")]) for number in range(9)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(result, MachineError) for result in results)
    assert "the disk is full" in str(results[0])
    filler.unlink()
    await db.write("record_objects", [object_row("after")])
    assert keys(db) == ["after", "before"]
    db.close()
