"""The one thread that writes to the database, many writers to a commit.

Theory of operation. A commit costs an fsync, milliseconds on a disk and tens of them on an SD
card, whatever it contains. So writers queue what they want written and await a future; the
thread takes everything queued meanwhile, commits it as one transaction and wakes them all. No
delay is added: an idle writer commits at once, a busy one fills the next commit during the last.

sqlite3 gives up Python's interpreter lock in every step of a statement, and a busy event loop
may take 5 ms to give it back. Therefore rows are packed: one step inserts up to ROWS_PER_STEP of
them, through "VALUES (...), (...)", and neighbouring jobs with the same statement share steps.

There is no fire-and-forget: everybody who writes awaits, and so the queue is no longer than the
number of tasks that write.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from microfaas.errors import MachineError
from microfaas.store import salvage, statements

Row = Sequence[object] | Mapping[str, object]
Write = tuple[str, Sequence[Row]]

ROWS_PER_STEP = 256
JOBS_PER_COMMIT = 10_000

# What is wrong with the disk or the file, rather than with one statement of the batch.
_DISK_FAULTS = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
    )
)


@dataclass(slots=True)
class _Job:
    writes: Sequence[Write]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


class Writer:
    """Owns the writing connection and its thread."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="microfaas-store", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end the thread and close the connection."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def submit(self, writes: Sequence[Write]) -> asyncio.Future[None]:
        """Queue writes that belong together; the future is done when they are committed."""
        loop = asyncio.get_running_loop()
        job = _Job(writes, loop, loop.create_future())
        self._queue.put(job)
        return job.done

    def _run(self) -> None:
        going = True
        while going:
            jobs, going = self._take()
            if jobs:
                self._serve(jobs)

    def _take(self) -> tuple[list[_Job], bool]:
        """Wait for a job, then take all that queued up; False when this is the end."""
        jobs: list[_Job] = []
        job = self._queue.get()
        with contextlib.suppress(queue.Empty):
            while job is not None:
                jobs.append(job)
                if len(jobs) == JOBS_PER_COMMIT:
                    return jobs, True
                job = self._queue.get_nowait()
            return jobs, False
        return jobs, True

    def _serve(self, jobs: list[_Job]) -> None:
        error = self._commit(jobs)
        if error is None or len(jobs) == 1 or _code(error) in _DISK_FAULTS:
            _report(jobs, explain(self._path, error) if error else None)
            return
        # One of them is at fault; the others must not suffer.
        for job in jobs:
            self._serve([job])

    def _commit(self, jobs: list[_Job]) -> Exception | None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement, rows in _merged(jobs):
                self._execute(statement, rows)
            self._connection.execute("COMMIT")
        except Exception as error:  # the thread must outlive whatever a row may hold
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            return error
        return None

    def _execute(self, statement: str, rows: Sequence[Row]) -> None:
        if ":rows" not in statement:
            self._connection.executemany(statement, rows)
            return
        for start in range(0, len(rows), ROWS_PER_STEP):
            packed = [tuple(row) for row in rows[start : start + ROWS_PER_STEP]]
            values = tuple(itertools.chain.from_iterable(packed))
            self._connection.execute(statements.expand(statement, packed), values)


def explain(path: str, error: Exception) -> MachineError:
    """Say in one sentence what happened to the database at `path`, and what helps."""
    match _code(error):
        case sqlite3.SQLITE_FULL:
            text = f"cannot write {path}: the disk is full; free some space"
        case sqlite3.SQLITE_BUSY:
            text = f"cannot write {path}: another program holds it locked"
        case sqlite3.SQLITE_READONLY:
            text = f"cannot write {path}: it is read-only"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            salvage.mark(path)
            text = (
                f"cannot use {path}: it is damaged ({error}); start microfaas again: it sets the "
                "file aside and takes over what can be read"
            )
        case sqlite3.SQLITE_CANTOPEN:
            text = f"cannot open {path}: {error}; look at the directory's owner and mode"
        case _:
            text = f"cannot use {path}: {error}"
    return MachineError(text)


def _code(error: Exception) -> int | None:
    """The primary SQLite result code; the extended ones carry detail above the low byte."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _merged(jobs: Sequence[_Job]) -> Iterator[Write]:
    """The jobs' writes in order, as few as possible.

    Neighbouring jobs that write by the same statements are done statement by statement: such jobs
    are of one kind, and none of them touches the rows of another.
    """
    lists = [[write for write in job.writes if write[1]] for job in jobs]
    for shape, group in itertools.groupby(lists, key=lambda writes: [name for name, _ in writes]):
        alike = list(group)
        for place, statement in enumerate(shape):
            yield statement, [row for writes in alike for row in writes[place][1]]


def _report(jobs: Sequence[_Job], error: MachineError | None) -> None:
    """Wake the writers, with one call into each loop however many they are."""
    for loop in {job.loop for job in jobs}:
        waiters = [job.done for job in jobs if job.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(_wake, waiters, error)


def _wake(waiters: Sequence[asyncio.Future[None]], error: MachineError | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            # Each its own: a traceback grows on the instance that is raised.
            waiter.set_exception(MachineError(*error.args))
