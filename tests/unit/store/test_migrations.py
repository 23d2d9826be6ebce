"""A database of any earlier version becomes today's, and keeps all it has."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from microfaas.store import statements
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from microfaas.store.keys import rows as key_rows
from microfaas.store.messages import Batch, MessageStore
from microfaas.store.objects import Ledger, Stamp
from microfaas.store.usage import recent

VERSIONS = range(1, len(statements.SCHEMA_STEPS))
# What each version can hold that the one before could not.
CONTENT = {
    1: """
        INSERT INTO invocations
        VALUES (7, 1000, 'f', '$LATEST', 'r1', 'ok', 1, 1, 1, 128, 30, NULL);
        INSERT INTO usage_days VALUES ('f', 0, 1, 0, 1, 128, 1, 30, 0);
        INSERT INTO objects VALUES ('f:inbox', 'a.txt', 3, 5, 9, 77, 'handled');
        INSERT INTO dead_letters VALUES (4, 1000, 'f', 'r2', 'f:inbox/b.txt', '{}', '"no"', 3);
    """,
    2: "INSERT INTO secrets VALUES ('token', x'00', 5);",
    3: "INSERT INTO access_keys VALUES ('MFKA', 'me', x'00', 'read', 5, NULL, NULL, NULL, NULL);",
}


def of_version(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    for step in range(1, version + 1):
        connection.executescript(statements.schema_step(step))
        connection.executescript(CONTENT.get(step, ""))
    connection.execute(f"PRAGMA user_version={version}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_it_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / "microfaas.db"
    of_version(path, version)
    database = Database(str(path))
    database.open()
    assert database.read("queues", {})[0][1] == "results"
    [run] = recent(database, "f", 10)
    assert run.request_id == "r1"
    assert Ledger(database).find("f:inbox", "a.txt") == Stamp(3, 5, 9)
    [buried] = DeadLetters(database).page()
    # It can be sent again to where it failed, and is counted.
    assert (buried.id, buried.letter.queue) == (4, "function:f")
    assert database.read("queues", {})[1][2:] == (1, len(b'{}"no"'))
    assert len(database.read("secrets", {})) == (version >= 2)
    assert len(key_rows(database)) == (version >= 3)
    await MessageStore(database).commit(Batch())
    database.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_the_same_as_a_new_one(tmp_path: Path, version: int) -> None:
    of_version(tmp_path / "old.db", version)
    schemas = []
    for name in ("old.db", "new.db"):
        database = Database(str(tmp_path / name))
        database.open()
        database.close()
        connection = sqlite3.connect(tmp_path / name)
        schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall())
        connection.close()
    assert sorted(schemas[0], key=str) == sorted(schemas[1], key=str)
