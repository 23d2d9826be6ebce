"""The database: one SQLite file, its schema, a thread that writes and a connection that reads.

WAL mode lets readers, the command line's included, go on during a commit. `synchronous=FULL`
makes a commit outlive a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from microfaas.errors import MachineError
from microfaas.store import salvage, statements
from microfaas.store.writer import Row, Write, Writer, explain

FILE_NAME = "microfaas.db"
LOCK_WAIT_S = 5.0
LOCK_POLL_S = 0.01
# Rows are packed by the hundred, and each packing is a statement of its own.
STATEMENTS_CACHED = 128
WAL_BYTES_KEPT = 16 * 1024 * 1024

_log = logging.getLogger("microfaas.store")


class Database:
    """Statements are called by their name in `statements.sql`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._statements = statements.load()
        self._reader: sqlite3.Connection | None = None
        self._writer: Writer | None = None

    @classmethod
    def reader(cls, path: str) -> Database:
        """Open what a server, running or not, has left at `path`; nothing can be written."""
        if not os.path.exists(path):
            raise MachineError(f"cannot open {path}: no such file; nothing has been recorded yet")
        database = cls(path)
        database._reader = _connect(path, "ro")
        try:
            database._check_version(_version(database._reader, path))
        except BaseException:
            database.close()
            raise
        return database

    def open(self) -> None:
        """Make the file when there is none, bring its schema up to date, start the writer."""
        os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
        aside = salvage.set_aside(self.path) if salvage.is_damaged(self.path) else None
        connection = _connect(self.path, "rwc")
        try:
            self._prepare(connection)
            if aside is not None:
                self._take_over(aside, connection)
            self._reader = _connect(self.path, "ro")
        except sqlite3.Error as error:
            connection.close()
            raise explain(self.path, error) from error
        except BaseException:
            connection.close()
            raise
        self._writer = Writer(self.path, connection)
        self._writer.start()

    def close(self) -> None:
        """Write what is queued and let go of the file."""
        writer, self._writer = self._writer, None
        reader, self._reader = self._reader, None
        # The writer goes last: the last one out folds the log into the file; a reader may not.
        if reader:
            reader.close()
        if writer:
            writer.stop()

    async def write(self, name: str, rows: Sequence[Row]) -> None:
        """Run a statement for every row; returns after the commit that contains them."""
        await self.write_all(((name, rows),))

    async def write_all(self, writes: Sequence[Write]) -> None:
        """Run several statements in one commit: all of it is written, or nothing."""
        await self.submit(writes)

    def submit(self, writes: Sequence[Write]) -> asyncio.Future[None]:
        """The same, in the order of the calls; the future is done after the commit."""
        if self._writer is None:
            raise MachineError(f"cannot write {self.path}: it is not open for writing")
        return self._writer.submit([(self._statements[name], rows) for name, rows in writes])

    def read(self, name: str, params: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Run a short, indexed query; it sees every commit made so far."""
        if self._reader is None:
            raise MachineError(f"cannot read {self.path}: it is not open")
        try:
            return self._reader.execute(self._statements[name], params).fetchall()
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    @contextlib.contextmanager
    def rows(self, name: str, params: Mapping[str, object]) -> Iterator[Iterator[tuple[Any, ...]]]:
        """The rows of a query one by one, for who may not want all; not to be awaited in."""
        if self._reader is None:
            raise MachineError(f"cannot read {self.path}: it is not open")
        try:
            cursor = self._reader.execute(self._statements[name], params)
            try:
                yield cursor
            finally:
                cursor.close()
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def _take_over(self, aside: str, connection: sqlite3.Connection) -> None:
        salvaged = salvage.take_over(aside, connection)
        lost = ", ".join(salvaged.broken)
        _log.error(
            "%s is damaged; it is kept as %s, and a new one has the %d rows that can be read%s",
            self.path,
            salvaged.path,
            salvaged.rows,
            f"; something is missing of: {lost}" if lost else "; nothing is missing",
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _keep_a_log(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT}")
        version = _version(connection, self.path)
        if version > len(statements.SCHEMA_STEPS):
            self._check_version(version)
        for step in range(version + 1, len(statements.SCHEMA_STEPS) + 1):
            script = statements.schema_step(step)
            try:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {script} PRAGMA user_version={step}; COMMIT;"
                )
            except sqlite3.Error:
                connection.rollback()
                # A command and the server may both find the file old; one of them is the first.
                if _version(connection, self.path) < step:
                    raise

    def _check_version(self, version: int) -> None:
        known = len(statements.SCHEMA_STEPS)
        if version > known:
            raise MachineError(
                f"cannot use {self.path}: a newer microfaas wrote it (version {version}, "
                f"this one knows {known}); upgrade microfaas"
            )
        if version < known:
            raise MachineError(
                f"cannot read {self.path}: its version is {version}, not {known}; "
                'start "microfaas run" once to bring it up to date'
            )


def _connect(path: str, mode: str) -> sqlite3.Connection:
    uri = f"file:{urllib.parse.quote(os.path.abspath(path))}?mode={mode}"
    try:
        return sqlite3.connect(
            uri,
            uri=True,
            timeout=LOCK_WAIT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_CACHED,
        )
    except sqlite3.Error as error:
        raise explain(path, error) from error


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """WAL mode. To change it SQLite needs the file alone, and does not wait for that by itself."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(LOCK_POLL_S)


def _version(connection: sqlite3.Connection, path: str) -> int:
    try:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise explain(path, error) from error
    return version
