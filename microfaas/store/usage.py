"""What every invocation took: a bounded history of single ones, and totals kept for good.

Theory of operation. `record` is on the path of every invocation, so it only appends to a list.
`run` writes the list every FLUSH_S, as one commit that holds the rows, the totals they add up to
and the pruning of the oldest rows. A power cut costs at most the last FLUSH_S of usage.

When the disk refuses, rows wait in the list. Past ROWS_WAITING_MAX they are folded into totals,
of which there is one per function and day: history is then thinned, but no invocation is missing
from the totals, and memory stays bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from microfaas.errors import MachineError
from microfaas.store.db import Database

FLUSH_S = 0.5
FLUSH_ROWS = 5_000
ROWS_WAITING_MAX = 50_000
HISTORY_DAYS = 30
HISTORY_ROWS = 500_000
# Per flush: more than a flush adds at the highest rate, few enough not to hold up the others.
PRUNE_ROWS = 20_000

DAY_MS = 86_400_000

_log = logging.getLogger("microfaas.store")

Days = dict[tuple[str, int], list[float]]


class UsageRow(NamedTuple):
    """One invocation, in the order of the table's columns."""

    at_ms: int
    function: str
    version: str
    request_id: str
    status: str
    wall_ms: float
    billed_ms: int
    cpu_ms: float
    memory_mb: int
    peak_mb: int
    init_ms: float | None


class Total(NamedTuple):
    """What a function took in all."""

    function: str
    invocations: int
    errors: int
    billed_ms: int
    gb_seconds: float
    cpu_ms: float
    peak_mb: int
    inits: int


class UsageLog:
    """Takes rows at any rate and writes them in the background."""

    def __init__(self, db: Database, now: Callable[[], float] = time.time) -> None:
        self._db = db
        self._now = now
        self._rows: list[UsageRow] = []
        self._days: Days = {}
        self._full = asyncio.Event()
        self._failing = False

    def record(self, row: UsageRow) -> None:
        self._rows.append(row)
        if len(self._rows) >= FLUSH_ROWS:
            self._crowd()

    async def run(self) -> None:
        """Write every FLUSH_S until cancelled; then the owner calls `flush` once more."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._full.wait()
            self._full.clear()
            try:
                await self.flush()
            except MachineError as error:
                await self._complain(error)
            else:
                self._failing = False

    async def flush(self) -> None:
        """Write what has been recorded; on an error it is kept for the next time."""
        rows, self._rows = self._rows, []
        days, self._days = self._days, {}
        if not rows and not days:
            return
        totals = fold(rows, {key: list(values) for key, values in days.items()})
        try:
            await self._db.write_all(
                (
                    ("record_invocations", rows),
                    ("add_to_days", [(*key, *values) for key, values in totals.items()]),
                    ("forget_invocations", [self._horizon()]),
                )
            )
        except MachineError:
            self._rows = rows + self._rows
            self._days = _add(days, self._days)
            self._crowd()
            raise

    async def _complain(self, error: MachineError) -> None:
        """Say it once per outage, and do not hammer a disk that refuses."""
        if not self._failing:
            _log.error("%s; usage waits in memory until it can be written", error)
        self._failing = True
        await asyncio.sleep(FLUSH_S)

    def _crowd(self) -> None:
        self._full.set()
        if len(self._rows) > ROWS_WAITING_MAX:
            self._days = fold(self._rows, self._days)
            self._rows = []

    def _horizon(self) -> dict[str, int]:
        before_ms = int(self._now() * 1000) - HISTORY_DAYS * DAY_MS
        return {"before_ms": before_ms, "keep": HISTORY_ROWS, "step": PRUNE_ROWS}


def fold(rows: Iterable[UsageRow], days: Days) -> Days:
    """Add rows to the totals of their function and day."""
    for at_ms, function, _, _, status, _, billed_ms, cpu_ms, memory_mb, peak_mb, init_ms in rows:
        key = (function, at_ms // DAY_MS)
        total = days.get(key)
        if total is None:
            total = days[key] = [0, 0, 0, 0, 0.0, 0, 0]
        total[0] += 1
        total[1] += status != "ok"
        total[2] += billed_ms
        total[3] += billed_ms * memory_mb
        total[4] += cpu_ms
        if peak_mb > total[5]:
            total[5] = peak_mb
        total[6] += init_ms is not None
    return days


def totals(db: Database, since_ms: int | None = None, function: str | None = None) -> list[Total]:
    """Totals per function, since a moment or since ever.

    The part of a day that `since_ms` cuts comes from the history, and so only as far as it goes.
    """
    since = since_ms or 0
    first_day = -(-since // DAY_MS)
    params = {"since_ms": since, "first_day": first_day, "function": function}
    return [
        Total(name, count, errors, billed_ms, mb_ms / 1024 / 1000, cpu_ms, peak_mb, inits)
        for name, count, errors, billed_ms, mb_ms, cpu_ms, peak_mb, inits in db.read(
            "usage_totals", params
        )
    ]


def recent(db: Database, function: str, limit: int) -> list[UsageRow]:
    """The newest invocations of a function, newest first."""
    rows = db.read("recent_invocations", {"function": function, "limit": limit})
    return [UsageRow(*row) for row in rows]


def _add(days: Days, more: Days) -> Days:
    """The sum of two sets of totals."""
    for key, values in more.items():
        known = days.setdefault(key, [0, 0, 0, 0, 0.0, 0, 0])
        peak = max(known[5], values[5])
        known[:] = [a + b for a, b in zip(known, values, strict=True)]
        known[5] = peak
    return days
