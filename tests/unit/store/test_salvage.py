"""A damaged database is set aside, and what can be read of it is taken over."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

import pytest

from microfaas.errors import MachineError
from microfaas.store import events, salvage
from microfaas.store.db import Database
from microfaas.store.log_events import LogEvents
from microfaas.store.messages import Batch, MessageStore

EVENTS = 2_000
PAGE = 4096


def filled(path: Path, count: int = EVENTS) -> None:
    async def fill() -> None:
        database = Database(str(path))
        database.open()
        store = MessageStore(database)
        drafts = [events.draft("f", b'{"n":%d}' % number + b" " * 200) for number in range(count)]
        await store.commit(Batch(drafts))
        database.close()

    asyncio.run(fill())


def opened(path: Path) -> tuple[list[bytes], int]:
    """The events that are there, and how many there are by the books."""
    database = Database(str(path))
    database.open()
    try:
        store = MessageStore(database)
        messages, _ = store.ready("function:f", 0, EVENTS * 2, 1 << 40)
        return [message.body.strip() for message in messages], store.depth("function:f").messages
    finally:
        database.close()


def overwrite(path: Path, page: int, pages: int = 1) -> None:
    with open(path, "r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xa5" * PAGE * pages)


def pages_of(path: Path) -> int:
    return path.stat().st_size // PAGE


def test_a_whole_one_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "microfaas.db"
    filled(path)
    assert not salvage.is_damaged(str(path))
    found, depth = opened(path)
    assert (len(found), depth) == (EVENTS, EVENTS)
    assert [each.name for each in tmp_path.glob("*damaged*")] == []


def test_damage_in_the_middle_costs_only_what_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "microfaas.db"
    filled(path)
    overwrite(path, pages_of(path) // 2)
    with caplog.at_level(logging.ERROR):
        found, depth = opened(path)
    # A page holds some 15 events; the rest is there, in order, and rightly counted.
    assert EVENTS - 40 <= len(found) < EVENTS
    assert depth == len(found)
    assert found == sorted(found, key=lambda body: int(body[5:-1]))
    assert b'{"n":0}' in found
    assert b'{"n":%d}' % (EVENTS - 1) in found
    [aside] = [each for each in tmp_path.glob("*.damaged-*") if each.suffix != ".damaged"]
    assert str(aside) in caplog.text
    assert "messages" in caplog.text


async def test_what_is_counted_by_triggers_is_not_counted_twice(tmp_path: Path) -> None:
    path = tmp_path / "microfaas.db"
    database = Database(str(path))
    database.open()
    await LogEvents(database).put("g", "s", [(5, "one"), (7, "two")])
    database.close()
    salvage.mark(str(path))
    database = Database(str(path))
    database.open()
    (total,) = LogEvents(database).totals("g")
    assert (total.events, total.bytes, total.first_ms, total.last_ms) == (2, 6, 5, 7)
    database.close()


def test_what_is_no_database_at_all_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "microfaas.db"
    path.write_bytes(b"this is not a database" * 1000)
    assert opened(path) == ([], 0)
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


def test_a_file_that_was_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "microfaas.db"
    filled(path)
    with open(path, "r+b") as file:
        file.truncate(pages_of(path) * 3 // 4 * PAGE)
    found, depth = opened(path)
    assert 0 < len(found) < EVENTS
    assert depth == len(found)


def test_damage_that_is_met_later_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "microfaas.db"
    filled(path)
    database = Database(str(path))
    database.open()
    overwrite(path, 1, pages_of(path) - 1)
    with pytest.raises(MachineError, match="start microfaas again"):
        database.read("ready_messages", {"queue": 16, "after": 0, "limit": 10**6})
    assert (tmp_path / "microfaas.db.damaged").exists()
    database.close()
    opened(path)
    assert not (tmp_path / "microfaas.db.damaged").exists()


def test_new_ids_do_not_repeat_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "microfaas.db"
    filled(path, 100)
    salvage.mark(str(path))
    found, _ = opened(path)
    assert len(found) == 100
    connection = sqlite3.connect(path)
    [[last]] = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'")
    assert last == 100
