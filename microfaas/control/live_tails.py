"""Live tails: whoever follows log groups is told each second what came, and at most so much of it.

Theory of operation. Nothing is read while a follower does not ask. What functions print is in their
logs, so of a follower who comes late the end is read, as of a log that grows too fast. What clients
put is handed over as it is stored, and waits here, bounded. Either way events are left out rather
than collected, and the update says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import NamedTuple

from microfaas.control.function_logs import FunctionLogs, FunctionTails
from microfaas.control.log_groups import LogGroups
from microfaas.control.log_pages import EVENT_BYTES
from microfaas.errors import MachineError, ServiceError
from microfaas.model import MIB

# As CloudWatch's.
SESSIONS_MAX = 15
UPDATE_S = 1.0
EVENTS_MAX = 500
SESSION_S_MAX = 3 * 3600.0
# What is looked through for one update, of the logs of functions and of what clients have put.
LOOK_BYTES_MAX = 2 * MIB
PUT_BYTES_MAX = MIB
# Of each log at least so much, however many they are.
LOG_BYTES_MIN = 64 * 1024

_log = logging.getLogger("microfaas.log")


class Followed(NamedTuple):
    """What a follower wants: groups; which of their streams; which messages."""

    groups: frozenset[str]
    chosen: Callable[[str], bool]
    accepts: Callable[[str], bool]


class LiveEvent(NamedTuple):
    """One event; times in milliseconds of the epoch."""

    at_ms: int
    group: str
    stream: str
    message: str
    came_ms: int


class Update(NamedTuple):
    """Events in the order of their times. `sampled`: there were more."""

    events: list[LiveEvent]
    sampled: bool


class Ended(NamedTuple):
    """Why there are no more updates: the time is over, or else what went wrong."""

    timeout: bool
    text: str


class LiveTails:
    """All followers of log groups."""

    def __init__(
        self,
        groups: LogGroups,
        functions: FunctionLogs,
        *,
        update_s: float = UPDATE_S,
        session_s_max: float = SESSION_S_MAX,
    ) -> None:
        self._groups = groups
        self._functions = functions
        self._update_s = update_s
        self.session_s_max = session_s_max
        self.followers = 0
        self._closing = asyncio.Event()
        # Each look takes a thread, and a processor.
        self._look = asyncio.Semaphore(1)

    def close(self) -> None:
        """Everybody has seen enough: the server stops."""
        self._closing.set()

    def check(self, groups: Sequence[str]) -> None:
        """Raises ServiceError unless there are these groups, and room for one more follower."""
        for group in groups:
            self._groups.need(group)
        self._check_room()

    async def follow(self, wanted: Followed) -> AsyncGenerator[Update | Ended, None]:
        """An update each second, the first one at once and empty; what comes after it is told.

        Raises ServiceError when there are too many followers.
        """
        self._check_room()
        self.followers += 1
        put = _Put(wanted)
        try:
            with self._groups.told(put.take):
                tails = await asyncio.to_thread(self._functions.tails)
                yield Update([], False)
                async for update in self._updates(wanted, put, tails):
                    yield update
        finally:
            self.followers -= 1

    async def _updates(
        self, wanted: Followed, put: _Put, tails: FunctionTails
    ) -> AsyncGenerator[Update | Ended, None]:
        end_s = time.monotonic() + self.session_s_max
        while not await self._closes():
            if time.monotonic() >= end_s:
                yield Ended(True, "The session has been open as long as a session may.")
                return
            sample = Sample()
            try:
                async with self._look:
                    came, sample.incomplete = put.taken()
                    await asyncio.to_thread(_look_at, tails, wanted, came, sample)
            except (MachineError, OSError) as error:
                _log.error("cannot read logs that are followed: %s", error)
                yield Ended(False, f"cannot read the logs: {error}")
                return
            yield sample.update()

    async def _closes(self) -> bool:
        """Whether the server stops before the next update is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._update_s):
                await self._closing.wait()
        return self._closing.is_set()

    def _check_room(self) -> None:
        if self.followers >= SESSIONS_MAX:
            text = f"There are {SESSIONS_MAX} Live Tail sessions already."
            raise ServiceError("LimitExceededException", text)


class Sample:
    """So many of all events that come by, each as likely as any other."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self._events_max = events_max
        self._events: list[LiveEvent] = []
        self._count = 0
        self.incomplete = False

    def add(self, event: LiveEvent) -> None:
        self._count += 1
        if len(self._events) < self._events_max:
            self._events.append(event)
            return
        place = random.randrange(self._count)
        if place < self._events_max:
            self._events[place] = event

    def update(self) -> Update:
        sampled = self.incomplete or self._count > len(self._events)
        return Update(sorted(self._events, key=lambda event: event.at_ms), sampled)


class _Put:
    """What clients have put since the last update."""

    def __init__(self, wanted: Followed) -> None:
        self._wanted = wanted
        self._events: deque[LiveEvent] = deque()
        self._bytes = 0
        self._lost = False

    def take(self, group: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        """Remember events that were stored; when they are too many, the latest."""
        if group not in self._wanted.groups or not self._wanted.chosen(stream):
            return
        came_ms = int(time.time() * 1000)
        for at_ms, message in events:
            self._events.append(LiveEvent(at_ms, group, stream, message, came_ms))
            self._bytes += EVENT_BYTES + len(message)
        while self._bytes > PUT_BYTES_MAX:
            self._bytes -= EVENT_BYTES + len(self._events.popleft().message)
            self._lost = True

    def taken(self) -> tuple[Sequence[LiveEvent], bool]:
        """These events, and whether there were more; both are forgotten here."""
        found = self._events, self._lost
        self._events, self._bytes, self._lost = deque(), 0, False
        return found


def _look_at(
    tails: FunctionTails, wanted: Followed, came: Sequence[LiveEvent], sample: Sample
) -> None:
    """Add what is wanted of what came, and of what functions have printed. Blocking."""
    for event in came:
        if wanted.accepts(event.message):
            sample.add(event)
    printing = tails.printing(wanted.groups)
    share = max(LOG_BYTES_MIN, LOOK_BYTES_MAX // max(1, len(printing)))
    for group, function in printing:
        lines, lost = tails.read(function, share)
        sample.incomplete |= lost
        for event in _wanted_of(group, lines, wanted):
            sample.add(event)


def _wanted_of(
    group: str, lines: Sequence[tuple[int, str, str]], wanted: Followed
) -> Iterator[LiveEvent]:
    for at_ms, stream, text in lines:
        if wanted.chosen(stream) and wanted.accepts(text):
            yield LiveEvent(at_ms, group, stream, f"{text}\n", at_ms)
