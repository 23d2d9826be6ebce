"""Durable events: accepted, begun, drained; and a backlog of a million."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench import floor, server
from bench.client import invoke_path
from bench.effort import Effort
from bench.endpoint import Endpoint, MissingError, wait_until
from bench.processes import resident_kb
from bench.report import Row, at_least, at_most, middle, p99
from microfaas.store import db, events
from microfaas.store.db import Database
from microfaas.store.messages import Batch, MessageStore

SCRIPT = Path(__file__).parent / "post_event.lua"
CONNECTIONS, WORKERS = 32, 4
ACCEPTED_MIN, BEGUN_MS_MAX, BESIDE_MS_MAX, DRAINED_MIN = 5000, 5, 100, 4000
BACKLOG_MB_MAX, START_S_MAX, GROWTH_MB_MAX = 1024, 2, 32
BACKLOG = 1_000_000
PAUSE_S = 0.02
WAIT_S_MAX = 300
FILL_STEP = 5_000
DRAINED_COUNT_MIN = 20_000
EVENT = b'{"message":"hello!"}'


def run(effort: Effort) -> list[Row]:
    if not shutil.which("wrk"):
        raise MissingError("wrk is missing: apt-get install wrk")
    return [
        accepted(effort),
        begun(effort),
        drained(effort),
        beside(effort),
        *backlog(BACKLOG if effort.rounds > 2 else BACKLOG // 10),
    ]


def accepted(effort: Effort) -> Row:
    """wrk hands events over while the function runs them, on the same two cores."""
    with server.project() as folder:
        bare = commit_rates(folder)
        with serving(folder) as endpoint:
            post(endpoint, 1)
            turns = [post(endpoint, effort.load_s) for _ in range(effort.rounds)]
    rates = [turn["requests"] / turn["took_us"] * 1e6 for turn in turns]
    refused = sum(turn["refused"] + turn["broken"] for turn in turns)
    return Row(
        scenario="events: accepted",
        unit="/s",
        target=f"≥ {ACCEPTED_MIN:,} /s at {CONNECTIONS} connections",
        median=middle(rates),
        floor=middle(bare),
        met=at_least(middle(rates), ACCEPTED_MIN),
        note=f"{refused:.0f} calls failed" if refused else "",
        details={"turns": turns},
    )


def begun(effort: Effort) -> Row:
    """From just before an event is handed over to the first line of its handler."""
    with server.project() as folder:
        stamp = stamping(folder)
        with server.serving({"stamp": stamp}, folder) as endpoint:
            delays = delays_ms(endpoint, folder, effort.drops)[1:]
    return Row(
        scenario="events: begun",
        unit="ms",
        target=f"≤ {BEGUN_MS_MAX} ms",
        median=middle(delays),
        p99=p99(delays),
        met=at_most(middle(delays), BEGUN_MS_MAX),
    )


def beside(effort: Effort) -> Row:
    """The same beside another function's backlog, which is being drained."""
    count = BACKLOG // 10
    with server.project() as folder:
        stamp = stamping(folder)
        echo = server.function("echo", concurrency_max=WORKERS)
        with server.serving({"stamp": stamp, "echo": echo}, folder):
            pass
        asyncio.run(fill(folder, count))
        with server.serving({"stamp": stamp, "echo": echo}, folder) as endpoint:
            # Its module is loaded, which is no part of waiting for others.
            wait_until(partial(is_loaded, endpoint, "stamp"), 10)
            delays = delays_ms(endpoint, folder, effort.drops)
            left = waiting(folder)
    return Row(
        scenario=f"events: begun, beside {count}",
        unit="ms",
        target=f"first ≤ {BESIDE_MS_MAX} ms",
        median=delays[0],
        p99=p99(delays),
        met=at_most(delays[0], BESIDE_MS_MAX),
        note=f"{left} still waited; the median of {len(delays)} is {middle(delays):.1f} ms",
    )


def stamping(folder: Path) -> dict[str, object]:
    """A function that notes in `out/stamps` when it began."""
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    stamps = folder / "out" / "stamps"
    stamps.touch()
    stamps.chmod(0o666)
    return server.function("stamp_event", mounts={"OUT": {"path": "out", "write": True}})


def delays_ms(endpoint: Endpoint, folder: Path, count: int) -> list[float]:
    stamps = folder / "out" / "stamps"
    delays = []
    for number in range(count + 1):
        sent_ns = time.monotonic_ns()
        hand_over(endpoint, number)
        wait_until(partial(has_lines, stamps, number + 1), 10)
        delays.append((int(stamps.read_text().splitlines()[-1][:20]) - sent_ns) / 1e6)
        time.sleep(PAUSE_S)
    return delays


def drained(effort: Effort) -> Row:
    """A backlog of empty functions, from the first result to the last."""
    count = max(effort.burst_drops * 2, DRAINED_COUNT_MIN)
    with server.project() as folder:
        with serving(folder):
            pass
        asyncio.run(fill(folder, count))
        with serving(folder):
            wait_until(lambda: waiting(folder) == 0, WAIT_S_MAX)
            ended, took_ms = ask(
                folder, "SELECT count(*), max(finished_ms) - min(finished_ms) FROM results"
            )
    rate = ended / took_ms * 1000
    return Row(
        scenario=f"events: {count} drained",
        unit="/s",
        target=f"≥ {DRAINED_MIN:,} /s",
        median=rate,
        met=at_least(rate, DRAINED_MIN),
    )


def backlog(count: int) -> list[Row]:
    """A queue that nobody empties: its size, the start with it, and what it does to memory."""
    with server.project() as folder:
        with serving(folder) as endpoint:
            empty_mb = resident_kb(endpoint.pid) / 1024
        asyncio.run(fill(folder, count, function="gone"))
        size_mb = (folder / "data" / db.FILE_NAME).stat().st_size / 2**20
        start = time.monotonic()
        with serving(folder) as endpoint:
            took_s = time.monotonic() - start
            time.sleep(2)
            grown_mb = resident_kb(endpoint.pid) / 1024 - empty_mb
    found = [
        ("disk", "MB", f"{BACKLOG:,} in ≤ {BACKLOG_MB_MAX} MB", size_mb, BACKLOG_MB_MAX),
        ("start", "s", f"≤ {START_S_MAX} s", took_s, START_S_MAX),
        ("memory", "MB", f"≤ {GROWTH_MB_MAX} MB more than without", grown_mb, GROWTH_MB_MAX),
    ]
    return [
        Row(
            scenario=f"events: backlog of {count}, {what}",
            unit=unit,
            target=target,
            median=value,
            met=at_most(value, limit) if count >= BACKLOG else None,
        )
        for what, unit, target, value, limit in found
    ]


@contextmanager
def serving(folder: Path) -> Iterator[Endpoint]:
    functions = {"echo": server.function("echo", concurrency_max=WORKERS)}
    with server.serving(functions, folder) as endpoint:
        yield endpoint


def post(endpoint: Endpoint, seconds: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{endpoint.port}{endpoint.path}"
    argv = ["wrk", f"-c{CONNECTIONS}", "-t2", f"-d{seconds}", "-s", str(SCRIPT), url]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True)
    turn: dict[str, float] = json.loads(printed.stdout.splitlines()[-1])
    return turn


def hand_over(endpoint: Endpoint, number: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=10)
    headers = {"X-Amz-Invocation-Type": "Event"}
    connection.request("POST", invoke_path("stamp"), json.dumps({"number": number}), headers)
    answer = connection.getresponse()
    assert answer.status == 202, answer.status
    connection.close()


def is_loaded(endpoint: Endpoint, name: str) -> bool:
    return bool(server.inventory(endpoint.port)[name]["zygote_pid"])


def has_lines(path: Path, count: int) -> bool:
    return path.read_bytes().count(b"\n") >= count


def commit_rates(folder: Path) -> list[float]:
    rows = ["--rows", str(CONNECTIONS), "--folder", str(folder)]
    return floor.figures("commit.py", 500, *rows)


async def fill(folder: Path, count: int, function: str = "echo") -> None:
    """Put events where the next server finds them."""
    database = Database(os.path.join(folder, "data", db.FILE_NAME))
    database.open()
    try:
        store = MessageStore(database)
        store.bound(f"{events.PREFIX}{function}", count * 2, 1 << 40)
        for _ in range(count // FILL_STEP):
            batch = Batch([events.draft(function, EVENT) for _ in range(FILL_STEP)])
            await store.commit(batch)
    finally:
        database.close()


def waiting(folder: Path) -> int:
    name = f"{events.PREFIX}echo"
    count: int = ask(folder, "SELECT sum(messages) FROM queues WHERE name = ?", name)[0]
    return count


def ask(folder: Path, query: str, *values: str) -> tuple[int, ...]:
    """One row of the server's database, which goes on meanwhile."""
    uri = f"file:{folder / 'data' / db.FILE_NAME}?mode=ro"
    connection = sqlite3.connect(uri, uri=True)
    try:
        row: tuple[int, ...] = connection.execute(query, values).fetchone()
        return row
    finally:
        connection.close()
