"""A damaged database: found out, set aside, and what can still be read of it taken over.

Nothing that was accepted is given up because one page of the file cannot be read any more. The
damaged file is kept under another name, a new one is made, and every table is copied row by row:
from its beginning to the damage, and from its end back to it. What is between is lost, and told.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple

# Longer than this nobody waits at a start for a large file to be looked through.
CHECK_S_MAX = 0.5
CHECK_STEPS = 10_000
ROWS_PER_COMMIT = 1_000
# Beside the file: somebody met damage in it while it was in use.
MARK = ".damaged"
_MAGIC = b"SQLite format 3\0"
_HEAD_BYTES = 100
_COMPANIONS = ("", "-wal", "-shm")
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
# Kept by the triggers of other tables, which run when those are copied.
_DERIVED = frozenset(("message_groups", "log_totals", "sqlite_sequence"))
# Their counts are those triggers' as well.
_COUNTED = {"queues": ("id", "name")}


class Salvaged(NamedTuple):
    """Where the damaged file is now, how many rows were taken over, and which tables are not
    whole."""

    path: str
    rows: int
    broken: list[str]


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file is not what it should be."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in _DAMAGE


def mark(path: str) -> None:
    """Have the next start set the file aside. Never raises: it is called where much is wrong."""
    with contextlib.suppress(OSError), open(path + MARK, "w"):
        pass


def is_damaged(path: str) -> bool:
    """Look through a file, for a while; True when something in it is wrong."""
    if os.path.exists(path + MARK):
        return True
    if not os.path.isfile(path) or not os.path.getsize(path):
        return False
    deadline = time.monotonic() + CHECK_S_MAX
    with contextlib.closing(_open(path, "ro")) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, CHECK_STEPS)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
        except sqlite3.OperationalError:
            return False  # it took too long, or somebody else has it: nothing was found
        except sqlite3.DatabaseError as error:
            return is_damage(error)


def set_aside(path: str) -> str:
    """Give the file and its companions another name; that name."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    aside = f"{path}.damaged-{stamp}"
    for companion in _COMPANIONS:
        with contextlib.suppress(FileNotFoundError):
            os.replace(path + companion, aside + companion)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + MARK)
    return aside


def take_over(aside: str, connection: sqlite3.Connection) -> Salvaged:
    """Copy what can be read of the file into a new database that has its schema already."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name != 'queues'"
    tables = [name for (name,) in connection.execute(query) if name not in _DERIVED]
    rows, broken = 0, []
    _fill_up(aside)
    with contextlib.closing(_open(aside, "rw")) as old:
        for table in tables:
            copied, whole = _copy(old, connection, table)
            rows += copied
            if not whole:
                broken.append(table)
    return Salvaged(aside, rows, broken)


def _fill_up(path: str) -> None:
    """Make a file that was cut off as long as it says it is; SQLite reads nothing of it else."""
    with open(path, "r+b") as file:
        head = file.read(_HEAD_BYTES)
        if not head.startswith(_MAGIC) or len(head) < _HEAD_BYTES:
            return
        page_bytes = int.from_bytes(head[16:18], "big")
        # 65536 does not fit into its two bytes, and is written as 1.
        wanted = (65536 if page_bytes == 1 else page_bytes) * int.from_bytes(head[28:32], "big")
        if os.fstat(file.fileno()).st_size < wanted:
            file.truncate(wanted)


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> tuple[int, bool]:
    known = _COUNTED.get(table) or _columns(new, table)
    try:
        columns = [name for name in known if name in _columns(old, table)]
    except sqlite3.DatabaseError:
        return 0, False
    if not columns:
        return 0, True  # the old file is of a time before this table
    names = ", ".join(columns)
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"
    key = ", ".join(f"{name} DESC" for name in _key(new, table))
    count, whole = _carry(old, new, f"SELECT {names} FROM {table}", insert)
    if not whole:
        more, _ = _carry(old, new, f"SELECT {names} FROM {table} ORDER BY {key}", insert)
        count += more
    return count, whole


def _carry(
    old: sqlite3.Connection, new: sqlite3.Connection, select: str, insert: str
) -> tuple[int, bool]:
    """Rows until there are no more or one cannot be read; how many were new, and which it was."""
    before = new.total_changes
    page: list[Any] = []
    whole = True
    try:
        for row in _rows(old, select):
            page.append(row)
            if len(page) == ROWS_PER_COMMIT:
                _write(new, insert, page)
                page = []
    except sqlite3.DatabaseError:
        whole = False
    _write(new, insert, page)
    return new.total_changes - before, whole


def _rows(old: sqlite3.Connection, select: str) -> Iterator[Any]:
    with contextlib.closing(old.execute(select)) as cursor:
        yield from cursor


def _write(new: sqlite3.Connection, insert: str, rows: list[Any]) -> None:
    new.execute("BEGIN IMMEDIATE")
    new.executemany(insert, rows)
    new.execute("COMMIT")


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _key(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns by which the table is ordered on disk."""
    rows = [row for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
    return [row[1] for row in sorted(rows, key=lambda row: row[5])]


def _open(path: str, mode: str) -> sqlite3.Connection:
    uri = f"file:{urllib.parse.quote(os.path.abspath(path))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None)
