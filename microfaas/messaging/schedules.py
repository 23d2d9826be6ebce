"""Schedules at work: each tick is put where it belongs, exactly once.

Theory of operation. What a tick gives rise to, and the row that says that it was dealt with, are
one batch; so a tick is put exactly once, whatever crashes. One loop watches over all schedules: it
sleeps until the next one is due, but no longer than LOOK_S, since a clock that was set wakes
nobody. When the wall clock has moved against the monotonic one, all schedules are looked at anew.

With overlap "skip" and "queue" the last tick's message is remembered in the row: as long as it
lies in the store, it waits, runs, or will be tried again. Ticks that must wait for it are in the
row too, and are put one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, tzinfo
from typing import NamedTuple

import msgspec

from microfaas.errors import MicrofaasError
from microfaas.store.db import Database
from microfaas.store.messages import DUE_MS_MAX, Batch, Message, MessageStore
from microfaas.timetable import Due, Misfire, Overlap, Schedule, due, jittered, next_time, overlap

LOOK_S = 2.0
# How often it is looked whether what ticks wait for has ended.
WAITING_LOOK_S = 0.2
# After there was no room for a tick, or the disk refused.
RETRY_S = 5.0
COMMITS_MAX = 256
# By that much a wall clock may wander between two looks without having been set.
CLOCK_STEP_S = 0.5

_log = logging.getLogger("microfaas.schedules")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule and what it is for. `key` names it for good; `fire` puts what a tick, given in
    milliseconds, gives rise to; `ended` belongs to the batch after which there are no more."""

    key: str
    # What is told of it: its name, and where its ticks go.
    name: str
    target: str
    # The expression as it was written. When it, the zone or the start changes, it begins anew.
    expression: str
    timezone: str
    schedule: Schedule
    fire: Callable[[Batch, int], None]
    zone: tzinfo = UTC
    jitter_s: int = 0
    overlap: Overlap = "parallel"
    misfire: Misfire = "once"
    runs_max: int = 1
    start_ms: int | None = None
    end_ms: int | None = None
    # Whether a rate's first tick is the moment it was made, or its start.
    at_once: bool = False
    ended: Callable[[Batch], None] | None = None

    @property
    def identity(self) -> str:
        start = "" if self.start_ms is None else f" from {self.start_ms}"
        return f"{self.expression} {self.timezone}{start}"


class State(NamedTuple):
    """How far a schedule has come, in the order of the table's columns. `message` is the id of
    what the last tick gave rise to, `waiting` a JSON list of ticks."""

    key: str
    identity: str
    anchor_ms: int
    last_ms: int
    message: str = ""
    waiting: str = "[]"


class Followed:
    """A schedule that is looked after. `next_ms` is when to look at it; None for never."""

    def __init__(self, plan: Plan, state: State) -> None:
        self.plan = plan
        self.state = state
        self.next_ms: int | None = 0
        # One line per outage.
        self.complaint = ""
        # Whoever holds it alone may change how far it has come.
        self.lock = asyncio.Lock()

    @property
    def waiting(self) -> list[int]:
        ticks: list[int] = json.loads(self.state.waiting)
        return ticks


class Schedules:
    """All schedules of a server, wherever they come from."""

    def __init__(
        self,
        db: Database,
        store: MessageStore,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._steady = steady
        self._states = {state.key: state for state in map(State._make, db.read("schedules", {}))}
        self._followed: dict[str, Followed] = {}
        self._wake = asyncio.Event()
        self._offset_s = clock() - steady()

    def all(self) -> list[Followed]:
        """Those that are followed, in the order of their names."""
        return sorted(self._followed.values(), key=lambda each: (each.plan.name, each.plan.key))

    def next_tick(self, followed: Followed) -> int | None:
        """The next moment that is not dealt with; None when there is none any more."""
        plan, state = followed.plan, followed.state
        tick = next_time(plan.schedule, state.last_ms, plan.zone, state.anchor_ms)
        return None if tick is None or _is_over(plan, tick) else tick

    def prepare(self, batch: Batch, plan: Plan, *, resumed: bool = False) -> Followed:
        """What is to be committed to begin with a schedule, or to go on where it was left.

        `resumed`: it was suspended, and what it would have done meanwhile is not made up for.
        """
        now_ms = self._now_ms()
        state = self._states.get(plan.key)
        if state is None or state.identity != plan.identity:
            state = _begun(plan, now_ms)
        elif resumed:
            state = state._replace(last_ms=max(state.last_ms, now_ms))
        batch.also("set_schedule", [state])
        return Followed(plan, state)

    def follow(self, followed: Followed) -> None:
        """Look after it from now on; after the commit of what `prepare` put into a batch."""
        self._states[followed.plan.key] = followed.state
        self._followed[followed.plan.key] = followed
        self._wake.set()

    async def begin(self, plans: Sequence[Plan]) -> None:
        """Begin with schedules, or go on where they were left, by one commit for all."""
        batch = Batch()
        prepared = [self.prepare(batch, plan) for plan in plans]
        await self._store.commit(batch)
        for followed in prepared:
            self.follow(followed)

    def leave(self, key: str) -> None:
        """Look after it no longer; how far it came is kept."""
        self._followed.pop(key, None)

    async def change(
        self, key: str, batch: Batch, plan: Plan | None, *, resumed: bool = False
    ) -> None:
        """Commit what changes about a schedule, and go by its new plan; without one it rests."""
        async with self._changing(key):
            followed = None if plan is None else self.prepare(batch, plan, resumed=resumed)
            await self._store.commit(batch)
            self.leave(key)
            if followed is not None:
                self.follow(followed)

    async def remove(self, key: str, batch: Batch) -> None:
        """Forget one, by a commit with what else its end changes."""
        async with self._changing(key):
            await self._forget([key], batch)

    async def discard(self, keys: Sequence[str]) -> None:
        """Forget some that nobody looks after."""
        if keys:
            await self._forget(keys, Batch())

    @contextlib.asynccontextmanager
    async def _changing(self, key: str) -> AsyncIterator[None]:
        """A schedule puts nothing while it is changed: prepared anew, or forgotten."""
        followed = self._followed.get(key)
        async with followed.lock if followed is not None else contextlib.nullcontext():
            yield

    async def _forget(self, keys: Sequence[str], batch: Batch) -> None:
        batch.also("remove_schedules", [(key,) for key in keys])
        await self._store.commit(batch)
        for key in keys:
            self._drop(key)

    def keys(self) -> list[str]:
        """Of all that are remembered, followed or not."""
        return list(self._states)

    async def run(self) -> None:
        """Put what is due, until cancelled."""
        while True:
            self._wake.clear()
            await self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._wake.wait()

    async def look(self) -> None:
        """Put all that is due by now."""
        offset_s = self._clock() - self._steady()
        was_set = abs(offset_s - self._offset_s) > CLOCK_STEP_S
        self._offset_s = offset_s
        now_ms = self._now_ms()
        ready = [f for f in self._followed.values() if was_set or self._is_ready(f, now_ms)]
        for start in range(0, len(ready), COMMITS_MAX):
            async with asyncio.TaskGroup() as group:
                for followed in ready[start : start + COMMITS_MAX]:
                    group.create_task(self._advance(followed))

    def _is_ready(self, followed: Followed, now_ms: int) -> bool:
        if followed.next_ms is not None and followed.next_ms <= now_ms:
            return True
        return followed.state.waiting != "[]" and not self._is_busy(followed)

    def _is_busy(self, followed: Followed) -> bool:
        """Whether the last tick's message is still there."""
        message = followed.state.message
        return bool(message) and self._store.find(message) is not None

    def _pause_s(self) -> float:
        now_ms = self._now_ms()
        times = [f.next_ms - now_ms for f in self._followed.values() if f.next_ms is not None]
        wait = any(f.state.waiting != "[]" for f in self._followed.values())
        look_s = WAITING_LOOK_S if wait else LOOK_S
        # A moment more, so that it is due for certain.
        return min(look_s, max(0.0, min(times, default=0) / 1000 + 0.001)) if times else look_s

    async def _advance(self, followed: Followed) -> None:
        """Deal with what is due of one schedule; its faults are its own."""
        plan = followed.plan
        try:
            async with followed.lock:
                # It may have been left while others were dealt with.
                if self._followed.get(plan.key) is followed:
                    await self._commit(followed)
        except MicrofaasError as error:
            if followed.complaint != str(error):
                followed.complaint = str(error)
                _log.error("schedule %s: %s; it is tried again", plan.name, error)
        except Exception:
            _log.exception("schedule %s failed; it is tried again", plan.name)
        else:
            followed.complaint = ""
            return
        followed.next_ms = self._now_ms() + int(RETRY_S * 1000)

    async def _commit(self, followed: Followed) -> None:
        plan, state = followed.plan, followed.state
        now_ms = self._now_ms()
        if plan.start_ms is not None and now_ms < plan.start_ms:
            followed.next_ms = plan.start_ms
            return
        found = _found(plan, state, now_ms)
        busy = plan.overlap != "parallel" and self._is_busy(followed)
        runs, waiting, dropped = turns(plan.overlap, found.ticks, followed.waiting, busy)
        for tick in dropped:
            _log.warning(
                "schedule %s: the tick of %s is left out, an earlier one has not ended",
                plan.name,
                time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(tick / 1000)),
            )
        batch = Batch()
        for tick in runs:
            self._fire(batch, plan, tick, now_ms)
        state = state._replace(last_ms=found.last_ms, waiting=json.dumps(waiting))
        if found.next_ms is None and not waiting and plan.ended is not None:
            plan.ended(batch)
            batch.also("remove_schedules", [(plan.key,)])
            await self._store.commit(batch)
            self._drop(plan.key)
            return
        if state != followed.state or runs:
            batch.also_of("set_schedule", functools.partial(_rows, state))
            state = _after(state, await self._store.commit(batch))
        self._states[plan.key] = followed.state = state
        followed.next_ms = found.next_ms

    def _fire(self, batch: Batch, plan: Plan, tick: int, now_ms: int) -> None:
        """Put what a tick gives rise to, later when it is jittered."""
        start = len(batch.drafts)
        plan.fire(batch, tick)
        delay_ms = min(jittered(tick, plan.jitter_s, plan.key) - now_ms, DUE_MS_MAX)
        if plan.jitter_s and delay_ms > 0:
            for at, draft in enumerate(batch.drafts[start:], start):
                batch.drafts[at] = draft._replace(delay_ms=max(delay_ms, draft.delay_ms))

    def _drop(self, key: str) -> None:
        self.leave(key)
        self._states.pop(key, None)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def turns(
    policy: Overlap, ticks: Iterable[int], waiting: Sequence[int], busy: bool
) -> tuple[list[int], list[int], list[int]]:
    """Which ticks are run now, which wait, and which are left out; oldest first. Pure."""
    runs: list[int] = []
    left = list(waiting)
    dropped: list[int] = []
    if left and not busy:
        runs.append(left.pop(0))
    for tick in ticks:
        turn = overlap(policy, int(busy or bool(runs)), len(left))
        {"run": runs, "wait": left, "drop": dropped}[turn].append(tick)
    return runs, left, dropped


def _begun(plan: Plan, now_ms: int) -> State:
    """The state of a schedule that is new. What was before it was made is not made up for."""
    anchor_ms = now_ms if plan.start_ms is None else plan.start_ms
    first = plan.at_once or plan.start_ms is not None
    last_ms = anchor_ms - 1 if first and anchor_ms >= now_ms else now_ms
    return State(plan.key, plan.identity, anchor_ms, last_ms)


def _found(plan: Plan, state: State, now_ms: int) -> Due:
    """What is due, within the schedule's end."""
    found = due(
        plan.schedule,
        state.last_ms,
        now_ms,
        plan.zone,
        state.anchor_ms,
        plan.misfire,
        plan.runs_max,
    )
    ticks = [tick for tick in found.ticks if not _is_over(plan, tick)]
    next_ms = found.next_ms
    if next_ms is not None and _is_over(plan, next_ms):
        next_ms = None
    return Due(ticks, found.last_ms, next_ms)


def _is_over(plan: Plan, tick: int) -> bool:
    return plan.end_ms is not None and tick > plan.end_ms


def _after(state: State, messages: Sequence[Message]) -> State:
    """The state that remembers the message that was put last."""
    return state._replace(message=messages[-1].uuid) if messages else state


def _rows(state: State, messages: Sequence[Message]) -> list[State]:
    return [_after(state, messages)]
