"""What to do when a schedule is due: which ticks to run, when exactly, and beside what.

Decisions only; a thin loop acts on them. It must look again at least every few seconds, since a
clock that was set does not wake it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, TypeAlias

from microfaas.timetable.moments import next_time
from microfaas.timetable.schedule import Schedule

# A tick that is later than that has been missed.
MISFIRE_GRACE_S = 60
# A clock may be put back by that much without schedules taking their past for an error.
CLOCK_BACK_S_MAX = 3600
# The most missed ticks of one schedule that are run, whatever is wished for.
RUNS_MAX = 100
# The most runs of one schedule that wait for their turn.
WAITING_MAX = 100

Misfire: TypeAlias = Literal["once", "all", "skip"]
Overlap: TypeAlias = Literal["skip", "queue", "parallel"]


@dataclass(frozen=True, slots=True)
class Due:
    """The ticks to run now, oldest first; the latest that was dealt with; when to look again."""

    ticks: list[int]
    last_ms: int
    next_ms: int | None


@dataclass(frozen=True, slots=True)
class _Line:
    """The ticks of one schedule."""

    schedule: Schedule
    zone: tzinfo
    anchor_ms: int

    def after(self, ms: int) -> int | None:
        return next_time(self.schedule, ms, self.zone, self.anchor_ms)

    def latest(self, after_ms: int, until_ms: int) -> int | None:
        """The latest tick in a span. Halves the span, for there may be very many."""
        tick = self._within(after_ms, until_ms)
        if tick is None:
            return None
        beyond_ms = until_ms
        while tick < beyond_ms:
            middle_ms = (tick + beyond_ms) // 2
            later = self._within(middle_ms, until_ms)
            if later is not None:
                tick = later
            elif (only := self._within(tick, middle_ms)) is not None:
                tick, beyond_ms = only, middle_ms
            else:
                break
        return tick

    def newest(self, count: int, after_ms: int, until_ms: int) -> list[int]:
        """The newest ticks in a span, oldest first."""
        ticks: list[int] = []
        while len(ticks) < count and (tick := self.latest(after_ms, until_ms)) is not None:
            ticks.append(tick)
            until_ms = tick - 1
        return ticks[::-1]

    def all(self, after_ms: int, until_ms: int) -> list[int]:
        ticks: list[int] = []
        while (tick := self._within(after_ms, until_ms)) is not None:
            ticks.append(tick)
            after_ms = tick
        return ticks

    def _within(self, after_ms: int, until_ms: int) -> int | None:
        tick = self.after(after_ms)
        return tick if tick is not None and tick <= until_ms else None


def due(
    schedule: Schedule,
    last_ms: int,
    now_ms: int,
    zone: tzinfo,
    anchor_ms: int,
    misfire: Misfire = "once",
    runs_max: int = 1,
) -> Due:
    """Which ticks to run. `last_ms` is what the call before returned, and the anchor at first.

    Ticks on time are always run. Of the missed ones "once" runs the latest, "all" the newest
    `runs_max`, "skip" none.
    """
    line = _Line(schedule, zone, anchor_ms)
    on_time_ms = now_ms - MISFIRE_GRACE_S * 1000
    start_ms = on_time_ms - 1 if _clock_was_wrong(line, last_ms, now_ms) else last_ms
    runs = {"once": 1, "all": min(runs_max, RUNS_MAX), "skip": 0}[misfire]
    ticks = line.newest(runs, start_ms, on_time_ms - 1)
    ticks += line.all(max(start_ms, on_time_ms - 1), now_ms)
    latest = ticks[-1] if ticks else line.latest(start_ms, now_ms)
    if latest is None:
        return Due([], last_ms, line.after(max(start_ms, now_ms)))
    return Due(ticks, latest, line.after(now_ms))


def _clock_was_wrong(line: _Line, last_ms: int, now_ms: int) -> bool:
    """Whether the tick that was last dealt with is further ahead than a clock is put back."""
    ahead_ms = last_ms - now_ms
    if ahead_ms <= CLOCK_BACK_S_MAX * 1000:
        return False
    successor = line.after(last_ms)
    return successor is not None and ahead_ms > successor - last_ms


def jittered(tick_ms: int, window_s: int, seed: str) -> int:
    """A moment less than `window_s` after a tick; always the same for that seed and tick."""
    if window_s <= 0:
        return tick_ms
    digest = hashlib.blake2b(f"{tick_ms}:{seed}".encode(), digest_size=8).digest()
    return tick_ms + int.from_bytes(digest) % (window_s * 1000)


def overlap(policy: Overlap, running: int, waiting: int) -> Literal["run", "wait", "drop"]:
    """What to do with a tick while earlier ones are running, or waiting for their turn."""
    if policy == "parallel" or not (running or waiting):
        return "run"
    return "wait" if policy == "queue" and waiting < WAITING_MAX else "drop"
